// A file of captured packets: whatever the pieces in which they come, it holds whole packets, as many as there is room for.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { PacketFile } from '../../src/live/packet-file.ts'
import { pcap } from '../capture/packet-writer.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-packet-file-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** What is kept of bytes that come in pieces, and what is said of it. */
function kept(bytes: Uint8Array, cuts: readonly number[], room: number) {
  const name = path.join(directory, 'kept.pcap')
  const fd = openSync(name, 'w')
  const said: string[] = []
  const file = new PacketFile(fd, room, (words) => said.push(words))
  const places = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b)
  let from = 0
  for (const to of [...places, bytes.length]) {
    file.push(bytes.slice(from, to))
    from = to
  }
  closeSync(fd)
  return { bytes: readFileSync(name), said }
}

test('holds the longest beginning of the capture that is whole and has room', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 20 })
  const settings = [lengths, fc.array(fc.nat(100_000)), fc.nat(30_000), fc.boolean()] as const
  fc.assert(
    fc.property(...settings, (sizes, cuts, room, nanoseconds) => {
      const packets = sizes.map((size, at) => ({ time: at, bytes: new Uint8Array(size).fill(at) }))
      const whole = pcap(packets, { nanoseconds })
      const ends = [24]
      for (const size of sizes) ends.push(ends.at(-1)! + 16 + size)
      const wanted = ends.findLast((end) => end <= room) ?? 0
      const { bytes, said } = kept(whole, cuts, room)
      expect(bytes.equals(whole.subarray(0, wanted))).toBe(true)
      expect(said.length).toBe(wanted === whole.length ? 0 : 1)
    }),
  )
})

test('ends where the disk is full, and where what comes is no capture', () => {
  const whole = pcap([{ time: 0, bytes: new Uint8Array(100) }])
  const said: string[] = []
  const full = openSync('/dev/full', 'w')
  const file = new PacketFile(full, 1e6, (words) => said.push(words))
  file.push(whole)
  file.push(whole)
  closeSync(full)
  expect(said).toEqual([expect.stringMatching(/no longer kept .*ENOSPC/)])
  const garbage = new Uint8Array(100).fill(255)
  expect(kept(garbage, [], 1e6).said).toEqual([expect.stringContaining('no capture')])
})
