// A sensor that follows, in this process, with a journal for the stream, for the tests of growing files.

import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CHUNK_STREAM } from '../../src/bus/bus.ts'
import { Journal } from '../../src/bus/journal.ts'
import { type ChunkHeader, chunkPart, decodeChunk } from '../../src/chunk.ts'
import { formatUuid } from '../../src/hash.ts'
import { readInputs } from '../../src/sensor.ts'
import type { Follower } from '../../src/ship/follow.ts'
import { readAll } from '../../src/ship/read-all.ts'
import { ship } from '../../src/ship/ship.ts'
import { Spool } from '../../src/ship/spool.ts'

export const SETTINGS = {
  sensor: 'lab',
  verifyChecksums: false,
  hashSeed: new Int32Array(4),
  localNets: [],
}

export interface Sent {
  header: ChunkHeader
  /** The higher ports of its flow records: less 40,000 they number the lines of the tests' logs. */
  ports: number[]
  ids: string[]
  names: string[]
  /** What its rows of coverage measure. */
  metrics: string[]
}

/** A sensor over these paths; what it sends comes out of `sent`. */
export async function startSensor(directory: string, paths: readonly string[], more = {}) {
  const spool = await Spool.open(
    { directory: path.join(directory, 'spool'), maxBytes: 64 << 20, lanes: 4 },
    () => {},
  )
  const stream = await Journal.open(
    { directory: path.join(directory, 'stream'), stream: CHUNK_STREAM },
    () => {},
  )
  const sent: Sent[] = []
  const source = stream.source()
  const taking = take(source, sent)
  const stop = new AbortController()
  const said: string[] = []
  const unreadable: string[] = []
  let follower: Follower | undefined
  const running = ship({
    sensor: 'lab',
    spool,
    sink: stream.sink(),
    log: (_, message) => said.push(message),
    signal: stop.signal,
    whenRefused: 'wait',
    read: (shipper, signal) =>
      readAll(paths, {
        settings: SETTINGS,
        shipper,
        log: (_, message) => said.push(message),
        signal,
        follow: true,
        decode: (some) => readInputs(some, SETTINGS, () => {}),
        inputOver: () => {},
        unreadable: (name, words) => unreadable.push(`${path.basename(name)}: ${words}`),
        following: (one) => {
          follower = one
        },
        cutMillis: 50,
        quietMillis: 500,
        ...more,
      }),
  })
  return {
    sent,
    said,
    unreadable,
    ledger: spool.ledger,
    ended: running,
    openFlows: () => follower?.counters.openFlows ?? 0,
    /** What it has sent, without what it says of itself. */
    records: () => sent.filter(({ header }) => header.format !== 'statement'),
    ports: () =>
      sent
        .filter(({ header }) => header.format !== 'statement')
        .flatMap(({ ports }) => ports)
        .sort((a, b) => a - b),
    names: () => sent.flatMap(({ names }) => names).filter((name) => name !== ''),
    ids: () => sent.flatMap(({ ids }) => ids).sort(),
    async until(done: () => boolean): Promise<void> {
      while (!done()) {
        await Promise.race([sleep(20), running.then(() => Promise.reject(new Error('it ended')))])
      }
    },
    async stop() {
      stop.abort()
      const shipped = await running
      await spool.close()
      // What was acknowledged is in the stream: it is taken to its end.
      while (sent.length < Number(stream.nextId) - first(stream)) await sleep(10)
      await source.close()
      await taking
      await stream.close()
      return shipped
    },
  }
}

const first = (stream: Journal) => Number(stream.committed)

async function take(source: ReturnType<Journal['source']>, sent: Sent[]): Promise<void> {
  for await (const claim of source.claims())
    for (;;) {
      const one = await claim.next(100)
      if (claim.lost.aborted) return
      if (one === undefined) continue
      sent.push(describe(one.bytes))
    }
}

export function describe(bytes: Uint8Array): Sent {
  const chunk = decodeChunk(bytes)
  const flows = chunkPart(chunk, 'flow_records')
  const coverage = chunkPart(chunk, 'coverage')
  const rows = Array.from({ length: flows?.rows ?? 0 }, (_, row) => row)
  return {
    header: chunk.header,
    ports: rows.map(
      (row) => Math.max(flows!.columns.orig_p[row]!, flows!.columns.resp_p[row]!) - 40_000,
    ),
    ids: rows.map((row) => formatUuid(flows!.columns.flow_id, row * 16)),
    names: rows.map((row) => flows!.columns.server_name.get(row)),
    metrics: Array.from({ length: coverage?.rows ?? 0 }, (_, row) =>
      coverage!.columns.metric.get(row),
    ),
  }
}

/** Line `n` of a VPC flow log: source port 40,000 + n. */
export function vpcLine(n: number): string {
  const start = 1_600_000_000 + n
  return `2 123456789010 eni-1235b8ca123456789 10.0.0.7 203.0.113.9 ${40_000 + n} 443 6 20 4249 ${start} ${start + 60} ACCEPT OK\n`
}

export const vpcLines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => vpcLine(from + i)).join('')

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)
