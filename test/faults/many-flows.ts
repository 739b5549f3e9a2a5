// A capture of very many small flows, for tests that need a run to last a while.

import { writeFile } from 'node:fs/promises'

/** Mulberry32: uniform numbers in [0, 1), the same for the same seed. */
export function uniformNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const PACKET_BYTES = 14 + 20 + 8 + 4

/**
 * Writes a pcap with one UDP datagram per flow, from 10.77.0.0/16 to 192.0.2.0/24, one millisecond apart.
 * Checksums are left at zero, as on a host that offloads them.
 */
export async function writeManyFlows(path: string, flows: number): Promise<void> {
  const file = Buffer.alloc(24 + flows * (16 + PACKET_BYTES))
  file.writeUInt32LE(0xa1b2c3d4, 0)
  file.writeUInt16LE(2, 4)
  file.writeUInt16LE(4, 6)
  file.writeUInt32LE(65_535, 16)
  file.writeUInt32LE(1, 20)
  const random = uniformNumbers(flows)
  for (let i = 0, at = 24; i < flows; i++) {
    file.writeUInt32LE(1_772_400_000 + Math.floor(i / 1000), at)
    file.writeUInt32LE((i % 1000) * 1000, at + 4)
    file.writeUInt32LE(PACKET_BYTES, at + 8)
    file.writeUInt32LE(PACKET_BYTES, at + 12)
    at += 16
    file.writeUInt16BE(0x0800, at + 12)
    const ip = at + 14
    file[ip] = 0x45
    file.writeUInt16BE(20 + 8 + 4, ip + 2)
    file[ip + 8] = 64
    file[ip + 9] = 17
    file.set([10, 77, (i >> 8) & 0xff, i & 0xff], ip + 12)
    file.set([192, 0, 2, Math.floor(random() * 256)], ip + 16)
    file.writeUInt16BE(1024 + Math.floor(random() * 60_000), ip + 20)
    file.writeUInt16BE(1024 + (i >> 16), ip + 22)
    file.writeUInt16BE(8 + 4, ip + 24)
    at += PACKET_BYTES
  }
  await writeFile(path, file)
}

/** An agent to whom all of these flows belong, and what it may reach of them. */
export async function writeCrawler(path: string): Promise<void> {
  await writeFile(
    path,
    `id: spiffe://acme.example/agent/crawler
owner: search@acme.example
purpose: Reads public pages
environment: test
addresses: [10.77.0.0/16]
scope:
  egress:
    - { cidr: 192.0.2.0/25, port: any, protocol: udp }
`,
  )
}
