import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { openTerminal, Sink, say } from '../../src/cli/terminal.ts'
import { HOSTILE, heard, Memory, RAW_CONTROL } from './heard.ts'

const settings = {
  noColour: false,
  forceColour: false,
  dumb: false,
  columns: undefined,
  verbose: false,
  quiet: false,
}

function screen(isTTY: boolean, columns?: number) {
  return Object.assign(new Memory(), { isTTY, ...(columns === undefined ? {} : { columns }) })
}

describe('Sink', () => {
  it('waits for a slow reader', async () => {
    const pass: (() => void)[] = []
    const slow = new Writable({
      highWaterMark: 1,
      write: (_piece, _encoding, done) => void pass.push(done),
    })
    const sink = new Sink(slow)
    let went = false
    const writing = sink.write('more than one byte').then(() => {
      went = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(went).toBe(false)
    pass[0]!()
    await writing
    expect(went).toBe(true)
  })

  it('goes quiet when the reader is gone, also while it waits', async () => {
    const slow = new Writable({ highWaterMark: 1, write: () => {} })
    const sink = new Sink(slow)
    const writing = sink.write('more than one byte')
    slow.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }))
    await writing
    expect(sink.gone).toBe(true)
    await sink.write('into the void')
    await sink.drained()
  })

  it('tells any other failure', async () => {
    const full = new Writable({
      write: (_piece, _encoding, done) =>
        done(Object.assign(new Error('no space left'), { code: 'ENOSPC' })),
    })
    const sink = new Sink(full)
    const writing = async () => {
      await sink.write('x')
      await new Promise((resolve) => setImmediate(resolve))
      await sink.write('y')
    }
    await expect(writing()).rejects.toThrow('no space left')
  })
})

describe('openTerminal', () => {
  it('colours each output by itself', () => {
    const both = openTerminal({ ...settings, stdout: screen(false), stderr: screen(true) })
    expect(both.colours.isColorSupported).toBe(false)
    expect(both.errColours.isColorSupported).toBe(true)
    const plain = openTerminal({
      ...settings,
      stdout: screen(true),
      stderr: screen(true),
      noColour: true,
      forceColour: true,
    })
    expect(plain.colours.red('x') + plain.errColours.red('x')).toBe('xx')
  })

  it('is as wide as the terminal, within reason', () => {
    const width = (stdout: Memory, columns?: number) =>
      openTerminal({ ...settings, stdout, stderr: stdout, columns }).width
    expect(width(screen(true, 120))).toBe(120)
    expect(width(screen(true, 10))).toBe(40)
    expect(width(screen(true, 500))).toBe(160)
    expect(width(screen(false), 72)).toBe(72)
    expect(width(screen(false))).toBe(100)
  })
})

describe('say', () => {
  it('is one printable line, never one that looks like statistics', async () => {
    for (const text of HOSTILE) {
      const { terminal, err } = heard()
      await say(terminal, text)
      expect(err.text.match(/\n/g)).toHaveLength(1)
      expect(err.text).not.toMatch(RAW_CONTROL)
      expect(err.text.startsWith('{')).toBe(false)
    }
  })
})
