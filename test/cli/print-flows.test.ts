import { describe, expect, it } from 'vitest'
import { flowFormat } from '../../src/cli/flow-format.ts'
import { FlowWriter } from '../../src/cli/flow-writer.ts'
import { printFlows, type StatsFormat } from '../../src/cli/print-flows.ts'
import { newStats, noteError } from '../../src/decoder.ts'
import type { SensorEvent } from '../../src/sensor.ts'
import { HOSTILE, heard, RAW_CONTROL } from './heard.ts'
import { chunkOf } from './made-flows.ts'

type InputEvent = Extract<SensorEvent, { type: 'input' }>

function over(source: string, more: Partial<InputEvent> = {}, format = 'pcap'): InputEvent {
  const stats = { ...newStats(format), packets: 3, bytes: 180 }
  return {
    type: 'input',
    source,
    stats,
    bytesRead: 300,
    foundInDirectory: false,
    known: true,
    ...more,
  }
}

function unread(source: string, why: string, more: Partial<InputEvent> = {}): InputEvent {
  const stats = newStats('')
  noteError(stats, why)
  stats.broken = true
  return over(source, { stats, known: false, bytesRead: 0, ...more })
}

async function print(events: readonly SensorEvent[], stats: StatsFormat = 'none') {
  const { terminal, out, err } = heard()
  const feed = async function* () {
    yield* events
  }
  const writer = new FlowWriter(flowFormat('ndjson', false), [])
  const causes = await printFlows(feed(), writer, terminal, stats)
  return { causes, out: out.text, err: err.text, terminal }
}

describe('printFlows', () => {
  it('prints flows under the path that was given, and stops where the input stops', async () => {
    const half = (recNo: number) =>
      chunkOf([{ id: 1, recNo, kind: 'aws', counts: { orig_pkts: 1 } }])
    const { out, causes } = await print([
      { type: 'chunk', source: 'a', chunk: half(0) },
      { type: 'chunk', source: 'a', chunk: half(1) },
      over('a', {}, 'aws-vpc'),
      { type: 'chunk', source: 'b', chunk: half(0) },
      over('b', {}, 'aws-vpc'),
    ])
    const flows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(flows.map(({ source, orig_pkts }) => [source, orig_pkts])).toEqual([
      ['a', 2],
      ['b', 1],
    ])
    expect(causes).toEqual([])
  })

  it('gives one JSON object per input, also for one that cannot be read', async () => {
    const logs = { ...newStats('zeek-tsv'), lines: 9, accepted: 5, rejected: 1, skipped: 3 }
    const { err } = await print(
      [over('a.pcap'), over('conn.log', { stats: logs }), unread('gone', 'no such file')],
      'json',
    )
    const lines = err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toEqual([
      { source: 'a.pcap', format: 'pcap', packets: 3, bytes: 180, errors: [] },
      {
        source: 'conn.log',
        format: 'zeek-tsv',
        lines: 9,
        accepted: 5,
        rejected: 1,
        skipped: 3,
        errors: [],
      },
      { source: 'gone', packets: 0, bytes: 0, errors: ['no such file'] },
    ])
  })

  it('fails for a named file of no known format, not for one found in a directory', async () => {
    const foreign = { bytesRead: 7 }
    expect((await print([unread('named', 'format not recognised', foreign)])).causes).toEqual([
      { code: 3, words: 'named: format not recognised' },
    ])
    const found = { ...foreign, foundInDirectory: true }
    expect((await print([unread('dir/readme', 'format not recognised', found)])).causes).toEqual([])
    const closed = unread('dir/closed', 'permission denied', { foundInDirectory: true })
    expect((await print([closed])).causes).toMatchObject([{ code: 3 }])
  })

  it('keeps what came before a damaged place, and says so', async () => {
    const stats = { ...newStats('pcap'), broken: true }
    noteError(stats, 'packet 4 is cut at byte 1200')
    const { out, causes } = await print([
      { type: 'chunk', source: 'cut.pcap', chunk: chunkOf([{ id: 1 }]) },
      over('cut.pcap', { stats, foundInDirectory: true }),
    ])
    expect(out.split('\n').length).toBe(2)
    expect(causes).toEqual([
      { code: 3, words: 'cut.pcap: packet 4 is cut at byte 1200; what came before is used' },
    ])
  })

  it('stops decoding when nobody reads', async () => {
    const { terminal, out } = heard()
    let asked = 0
    const feed = async function* (): AsyncGenerator<SensorEvent> {
      for (; asked < 100; asked++)
        yield { type: 'chunk', source: 'a', chunk: chunkOf([{ id: asked }]) }
    }
    out.destroy(Object.assign(new Error('gone'), { code: 'EPIPE' }))
    await new Promise((resolve) => setImmediate(resolve))
    const writer = new FlowWriter(flowFormat('ndjson', false), [])
    expect(await printFlows(feed(), writer, terminal, 'none')).toEqual([])
    expect(asked).toBeLessThan(2)
  })

  it('lets no path or error of outside reach the terminal raw', async () => {
    for (const text of HOSTILE)
      for (const stats of ['text', 'json'] as const) {
        const { err, causes } = await print([unread(text, text)], stats)
        expect(err).not.toMatch(RAW_CONTROL)
        for (const { words } of causes) expect(words).not.toMatch(RAW_CONTROL)
        if (stats === 'text') expect(err).not.toMatch(/^\{/m)
      }
  })
})
