// A small world for the tests of the auditor: chunks, pieces, statements and dead letters, stored as a worker does.

import { Block } from '../../src/block.ts'
import type { ChunkHeader } from '../../src/chunk.ts'
import { hoursOf } from '../../src/chunk-header.ts'
import { ANNOUNCED_COLUMNS, FLOW_COLUMNS } from '../../src/flow.ts'
import { contentUuid, formatUuid } from '../../src/hash.ts'
import { encodeBlock } from '../../src/native.ts'
import type { DeadLetterNote, SliceChunk, Store } from '../../src/store/store.ts'
import { flowIdOf, MONDAY } from '../store/samples.ts'

export const HOUR = 3_600_000_000
/** As a sensor has them unless told otherwise. */
const LANES = 8
const NONE = new Uint8Array(0)

/** A chunk of flow records alone, one every second from `ts` on. */
export function flowsChunk(
  origin: string,
  seq: number,
  rows: number,
  options: { ts?: number; piece?: string; every?: number; lanes?: number } = {},
): SliceChunk {
  const block = new Block(FLOW_COLUMNS, rows)
  const piece = options.piece ?? ''
  for (let i = 0; i < rows; i++) {
    const row = block.add()
    block.columns.flow_id.set(flowIdOf(`${origin} ${seq}${piece} ${i}`), row * 16)
    block.columns.sensor.set(row, 'tap1')
    block.columns.ts[row] = (options.ts ?? MONDAY) + i * (options.every ?? 1_000_000)
  }
  const id = formatUuid(contentUuid([origin, String(seq), piece]))
  const header: ChunkHeader = {
    v: 2,
    id,
    sensor: 'tap1',
    origin,
    seq,
    lanes: options.lanes ?? LANES,
    last: false,
    format: 'pcap',
    hours: hoursOf(block.columns.ts, rows),
    parts: [{ table: 'flow_records', rows, bytes: 1 }],
  }
  if (piece !== '')
    header.piece = { of: formatUuid(contentUuid([origin, String(seq)])), path: piece }
  return {
    header,
    parts: new Map([['flow_records', encodeBlock(block)]]),
    judgements: NONE,
    findings: NONE,
    ruling: 0,
    judgedKey: 'key0',
  }
}

export interface Saying {
  origin: string
  chunks: number
  last?: boolean
  flowRecords: number
  /** Hours since 1970 (0: not known), records. */
  hours: readonly [hour: number, records: number][]
}

/** A statement, as the sensor sends it. */
export function statement(seq: number, sayings: readonly Saying[], epoch = 'e1'): SliceChunk {
  const block = new Block(ANNOUNCED_COLUMNS, 8)
  const c = block.columns
  const say = (origin: string, about: string, hour: number, records: number) => {
    const row = block.add()
    c.sensor.set(row, 'tap1')
    c.origin.set(row, origin)
    c.about.set(row, about)
    c.hour[row] = hour * HOUR
    c.flow_records[row] = records
    c.said_at[row] = MONDAY
    return row
  }
  for (const { origin, chunks, last, flowRecords, hours } of sayings) {
    const row = say(origin, 'origin', 0, flowRecords)
    c.chunks[row] = chunks
    c.last[row] = last === true ? 1 : 0
    for (const [hour, records] of hours) say(origin, 'hour', hour, records)
  }
  const native = encodeBlock(block)
  const origin = `tap1/said/${epoch}`
  return {
    header: {
      v: 2,
      id: formatUuid(
        contentUuid([origin, String(seq), String(native.length), JSON.stringify(sayings)]),
      ),
      sensor: 'tap1',
      origin,
      seq,
      lanes: LANES,
      last: false,
      format: 'statement',
      hours: [],
      parts: [{ table: 'announced', rows: block.rows, bytes: native.length }],
    },
    parts: new Map([['announced', native]]),
    judgements: NONE,
    findings: NONE,
    ruling: 0,
    judgedKey: '',
  }
}

/** What a sensor says of these chunks. */
export function sayingOf(origin: string, chunks: readonly SliceChunk[]): Saying {
  const hours = new Map<number, number>()
  let flowRecords = 0
  for (const { header } of chunks)
    for (const [hour, records] of header.hours) {
      hours.set(hour, (hours.get(hour) ?? 0) + records)
      flowRecords += records
    }
  return {
    origin,
    chunks: 1 + Math.max(...chunks.map(({ header }) => header.seq)),
    flowRecords,
    hours: [...hours],
  }
}

/** In one slice, so at one time. */
export async function storeAll(store: Store, chunks: readonly SliceChunk[]): Promise<void> {
  await store.insertSlice({ key: 'tap1', chunks })
}

/** A letter about a chunk that nobody could store. */
export function letterOf({ header }: SliceChunk, offset: number): DeadLetterNote {
  return {
    id: formatUuid(contentUuid(['letter', String(offset)])),
    reason: 'unreadable',
    detail: 'its rows cannot be read',
    stream: 'bailiwick.chunks.v1',
    partition: 0,
    offset: String(offset),
    key: 'tap1/0',
    acceptedAt: MONDAY / 1000,
    diedAt: MONDAY / 1000,
    version: '0',
    chunk: {
      id: header.id,
      sensor: header.sensor,
      origin: header.origin,
      seq: header.seq,
      piece: header.piece?.path ?? '',
      flowRecords: header.parts[0]!.rows,
      hours: header.hours,
    },
  }
}
