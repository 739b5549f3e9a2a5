// Messages that nobody should ever have sent, one kind for each way in which a message can be wrong. What would be
// stored of them, if somebody did, are flows that the oracle does not know.

import { Block } from '../../src/block.ts'
import type { DeadReason } from '../../src/bus/dead-letter.ts'
import { type Chunk, ChunkWriter, chunkId, decodeChunk, encodeChunk } from '../../src/chunk.ts'
import { FLOW_COLUMNS } from '../../src/flow.ts'
import { encodeBlock } from '../../src/native.ts'

export interface Poison {
  kind: string
  bytes: Uint8Array
  /** Why it must be found in the dead letters. */
  reasons: readonly DeadReason[]
}

/** A chunk as it should be, of flows that no input has. */
function soundChunk(seq: number, rows: number): Uint8Array {
  const chunks: Uint8Array[] = []
  const origin = { sensor: 'poison', origin: `poison/${seq}`, format: 'aws-vpc' }
  const writer = new ChunkWriter(origin, (chunk) => chunks.push(chunk))
  for (let i = 0; i < rows; i++) {
    const row = writer.flow()
    const { columns } = writer.flows
    columns.flow_id.fill(seq & 0xff, row * 16, row * 16 + 12)
    columns.flow_id[row * 16 + 15] = i
    columns.sensor.set(row, 'poison')
    columns.ts[row] = 1_772_323_200_000_000 + i
    columns.orig_ip_bytes[row] = 7
  }
  writer.end()
  return chunks[0]!
}

function changed(
  chunk: Chunk,
  header: Partial<Chunk['header']>,
  bodies?: Uint8Array[],
): Uint8Array {
  const parts = bodies ?? chunk.header.parts.map(({ table }) => chunk.parts.get(table)!)
  const fresh = { ...chunk.header, ...header }
  return encodeChunk({ ...fresh, id: chunkId(fresh, parts) }, parts)
}

type Maker = (sound: Uint8Array, random: () => number) => Uint8Array

const MAKERS: Readonly<Record<string, { reasons: readonly DeadReason[]; make: Maker }>> = {
  noise: {
    reasons: ['garbage'],
    make: (_, random) =>
      Uint8Array.from({ length: 1 + Math.floor(random() * 2000) }, () => random() * 256),
  },
  empty: { reasons: ['garbage'], make: () => new Uint8Array(0) },
  cut: {
    reasons: ['garbage'],
    make: (sound, random) => sound.slice(0, 4 + Math.floor(random() * (sound.length - 5))),
  },
  flipped: {
    reasons: ['garbage'],
    make: (sound, random) => {
      const bytes = sound.slice()
      const body = bytes.length - 1 - Math.floor(random() * 100)
      bytes[body] = bytes[body]! ^ (1 << Math.floor(random() * 8))
      return bytes
    },
  },
  newer: {
    reasons: ['version'],
    make: (sound) => changed(decodeChunk(sound), { v: 3 as unknown as 2 }),
  },
  // Its id is right: whoever wrote it meant it.
  unreadable: {
    reasons: ['unreadable', 'garbage'],
    make: (sound) => {
      const chunk = decodeChunk(sound)
      const bodies = chunk.header.parts.map(({ bytes }) => new Uint8Array(bytes).fill(0xee))
      return changed(chunk, {}, bodies)
    },
  },
  // A block that is sound, of which the header says something else.
  miscounted: {
    reasons: ['unreadable', 'garbage'],
    make: (sound) => {
      const chunk = decodeChunk(sound)
      const parts = chunk.header.parts.map((part) => ({ ...part, rows: part.rows + 3 }))
      return changed(chunk, { parts })
    },
  },
  twofold: {
    reasons: ['garbage'],
    make: (sound) => {
      const chunk = decodeChunk(sound)
      const [part] = chunk.header.parts
      const body = chunk.parts.get(part!.table)!
      return changed(chunk, { parts: [part!, part!] }, [body, body])
    },
  },
  // A column of another type than it should be.
  mistaken: {
    reasons: ['unreadable', 'garbage'],
    make: (sound) => {
      const chunk = decodeChunk(sound)
      const other = new Block({ flow_id: FLOW_COLUMNS.flow_id, rec_no: 'text' })
      other.add()
      const native = encodeBlock(other)
      const parts = [{ table: 'flow_records' as const, rows: 1, bytes: native.length }]
      return changed(chunk, { parts }, [native])
    },
  },
}

export const POISON_KINDS = Object.keys(MAKERS)

/** Poison `number`, of all kinds in turn. @param random uniform in [0, 1) */
export function poison(number: number, random: () => number): Poison {
  const kind = POISON_KINDS[number % POISON_KINDS.length]!
  const { reasons, make } = MAKERS[kind]!
  return { kind, reasons, bytes: make(soundChunk(number, 3 + (number % 5)), random) }
}
