// Blocks as bytes: ClickHouse's Native format (one block: column count, row count, then name, type and data of
// each column). A block goes from a sensor over the bus into the store without being written again, and
// ClickHouse itself can read a dump of it.
//
// Format read from ClickHouse's documentation of Native and of the LowCardinality serialization.

import type { AnyHeld, Block, NumberLists, Texts, WordLists, Words } from './block.ts'
import { width } from './block.ts'
import type { Columns, ColumnType } from './flow.ts'
import {
  BlockReader,
  clickhouseType,
  HAS_ADDITIONAL_KEYS,
  KEYS_VERSION,
  NEED_UPDATE_DICTIONARY,
  TWO_32,
} from './native-read.ts'

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
const utf8 = new TextEncoder()

/** A byte buffer that grows. All numbers are little-endian, as Native wants them. */
class Writer {
  bytes: Buffer
  view: DataView
  at = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size)
    this.view = viewOf(this.bytes)
  }

  reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.at + size))
    this.bytes.copy(larger, 0, 0, this.at)
    this.bytes = larger
    this.view = viewOf(larger)
  }

  varuint(value: number): void {
    this.reserve(10)
    let rest = value
    while (rest >= 0x80) {
      this.bytes[this.at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.bytes[this.at++] = rest
  }

  /** 64 bits of an integer of at most 2^53 either way, two's complement. */
  int64(value: number): void {
    this.reserve(8)
    const high = Math.floor(value / TWO_32)
    this.view.setInt32(this.at, value - high * TWO_32, true)
    this.view.setInt32(this.at + 4, high, true)
    this.at += 8
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.at++] = value
  }

  /** Some bytes of a buffer. */
  copy(from: Buffer, start: number, length: number): void {
    this.reserve(length)
    const { bytes, at } = this
    // Most of them are short: a call would cost more than the loop.
    if (length < 64) for (let i = 0; i < length; i++) bytes[at + i] = from[start + i]!
    else from.copy(bytes, at, start, start + length)
    this.at = at + length
  }

  /** Some bytes of another writer. As above, four at a time. */
  copyOf(from: Writer, start: number, length: number): void {
    this.reserve(length + 4)
    const { view, at } = this
    if (length < 128 && start + length + 4 <= from.bytes.length)
      // What is written beyond the end is overwritten by what comes next.
      for (let i = 0; i < length; i += 4)
        view.setInt32(at + i, from.view.getInt32(start + i, true), true)
    else from.bytes.copy(this.bytes, at, start, start + length)
    this.at = at + length
  }

  /** Elements of a typed array as they lie in memory. */
  elements(array: Uint16Array | Uint32Array | Float64Array, rows: number): void {
    if (!LITTLE_ENDIAN) throw new Error('big-endian hosts are not supported')
    this.raw(new Uint8Array(array.buffer, array.byteOffset, rows * array.BYTES_PER_ELEMENT))
  }

  text(value: string): void {
    const { length } = value
    // Most text is short ASCII: one byte of length, one byte a character, and no memory of its own.
    if (length < 0x80) {
      this.reserve(1 + length)
      const { bytes } = this
      const at = this.at + 1
      let i = 0
      for (; i < length; i++) {
        const unit = value.charCodeAt(i)
        if (unit > 0x7f) break
        bytes[at + i] = unit
      }
      if (i === length) {
        bytes[this.at] = length
        this.at = at + length
        return
      }
    }
    this.string(utf8.encode(value))
  }

  string(bytes: Uint8Array): void {
    this.varuint(bytes.length)
    this.raw(bytes)
  }

  /** A 64-bit value a row; `array` holds integers. NaN is written as 0. */
  int64s(array: Float64Array, rows: number): void {
    this.reserve(rows * 8)
    const { view } = this
    for (let i = 0, at = this.at; i < rows; i++, at += 8) {
      const value = array[i]!
      const high = Math.floor(value / TWO_32)
      view.setInt32(at, value - high * TWO_32, true)
      view.setInt32(at + 4, high, true)
    }
    this.at += rows * 8
  }

  nulls(array: Float64Array, rows: number): void {
    this.reserve(rows)
    const { bytes, at } = this
    for (let i = 0; i < rows; i++) bytes[at + i] = Number.isNaN(array[i]!) ? 1 : 0
    this.at += rows
  }

  zeros(count: number): void {
    this.reserve(count)
    this.bytes.fill(0, this.at, this.at + count)
    this.at += count
  }

  /** UUIDs of 16 bytes each, as Native wants them: see `swapUuid`. */
  uuids(held: Uint8Array, rows: number): void {
    this.reserve(rows * 16)
    const from = new DataView(held.buffer, held.byteOffset, rows * 16)
    const to = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, rows * 16)
    for (let i = 0; i < rows * 16; i += 8) {
      to.setUint32(i, from.getUint32(i + 4), true)
      to.setUint32(i + 4, from.getUint32(i), true)
    }
    this.at += rows * 16
  }

  take(): Uint8Array<ArrayBuffer> {
    // A copy of its own, so that it can be transferred to another thread.
    const out = new Uint8Array(this.at)
    out.set(this.bytes.subarray(0, this.at))
    return out
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Codes of a dictionary in as many bytes as its size asks for. */
function writeCodes(out: Writer, codes: Uint32Array, rows: number, wide: number): void {
  if (wide === 2) return out.elements(codes, rows)
  out.reserve(rows << wide)
  const { bytes, view, at } = out
  if (wide === 0) for (let i = 0; i < rows; i++) bytes[at + i] = codes[i]!
  else for (let i = 0; i < rows; i++) view.setUint16(at + 2 * i, codes[i]!, true)
  out.at += rows << wide
}

function writeLowCardinality(out: Writer, held: Words, rows: number): void {
  const keys = held.values
  const wide = keys.length > 0x10000 ? 2 : keys.length > 0x100 ? 1 : 0
  out.int64(KEYS_VERSION)
  out.int64(wide | HAS_ADDITIONAL_KEYS | NEED_UPDATE_DICTIONARY)
  out.int64(keys.length)
  for (const key of keys) out.text(key)
  out.int64(rows)
  if (keys.length === 1) out.zeros(rows)
  else writeCodes(out, held.codes, rows, wide)
}

function writeTexts(out: Writer, { starts, lengths, bytes, weight }: Texts, rows: number): void {
  if (weight === 0) return out.zeros(rows)
  out.reserve(weight + rows * 10)
  for (let row = 0; row < rows; row++) {
    const start = starts[row]!
    const length = lengths[row]!
    out.varuint(length)
    out.copy(bytes, start, length)
  }
}

/** Where the lists of a column are put together. */
const lists = new Writer(1 << 12)

function writeLists(out: Writer, held: WordLists | NumberLists, rows: number): void {
  if (held.values.length === 1) return out.zeros(rows * 8)
  const { codes } = held
  const { values } = held as { values: readonly (readonly (string | number)[])[] }
  const lengths = new Uint32Array(values.length)
  for (let code = 0; code < values.length; code++) lengths[code] = values[code]!.length
  let end = 0
  const ends = new Float64Array(rows)
  for (let i = 0; i < rows; i++) ends[i] = end += lengths[codes[i]!]!
  out.int64s(ends, rows)
  // Each distinct list once, one after the other; where each begins.
  const starts = new Uint32Array(values.length + 1)
  lists.at = 0
  for (const [code, list] of values.entries()) {
    starts[code] = lists.at
    for (const item of list)
      if (typeof item === 'string') lists.text(item)
      else lists.byte(item)
  }
  starts[values.length] = lists.at
  for (let i = 0; i < rows; i++) {
    const start = starts[codes[i]!]!
    out.copyOf(lists, start, starts[codes[i]! + 1]! - start)
  }
}

function writeColumn(out: Writer, type: ColumnType, held: AnyHeld, rows: number): void {
  switch (type) {
    case 'u8':
    case 'address':
      return out.raw((held as Uint8Array).subarray(0, rows * width(type)))
    case 'u16':
    case 'u32':
      return out.elements(held as Uint16Array | Uint32Array, rows)
    case 'count':
      out.nulls(held as Float64Array, rows)
      return out.int64s(held as Float64Array, rows)
    case 'seconds':
      out.nulls(held as Float64Array, rows)
      return out.elements(held as Float64Array, rows)
    case 'time':
      return out.int64s(held as Float64Array, rows)
    case 'uuid':
      return out.uuids(held as Uint8Array, rows)
    case 'word':
      return writeLowCardinality(out, held as Words, rows)
    case 'text':
      return writeTexts(out, held as Texts, rows)
    case 'words':
    case 'bytes':
      return writeLists(out, held as WordLists | NumberLists, rows)
  }
}

/** Reused, so that a block does not ask for new memory for every doubling; holds the largest blocks so far. */
const scratch = new Writer(1 << 16)

function writeBlock<C extends Columns>(out: Writer, block: Block<C>): void {
  const columns = Object.entries(block.spec)
  out.varuint(columns.length)
  out.varuint(block.rows)
  for (const [name, type] of columns) {
    out.text(name)
    out.text(clickhouseType(type))
    if (block.rows > 0) writeColumn(out, type, block.columns[name] as AnyHeld, block.rows)
  }
}

/** One Native block of all rows. The result owns its memory. */
export function encodeBlock<C extends Columns>(block: Block<C>): Uint8Array<ArrayBuffer> {
  scratch.at = 0
  writeBlock(scratch, block)
  return scratch.take()
}

/** One Native block for each of `blocks`. The results are lent: the next encoding overwrites them. */
export function encodeBlocks(blocks: readonly Block<Columns>[]): Uint8Array[] {
  scratch.at = 0
  const ends = blocks.map((block) => {
    writeBlock(scratch, block)
    return scratch.at
  })
  return ends.map((end, i) => scratch.bytes.subarray(ends[i - 1] ?? 0, end))
}

/**
 * The same Native block with columns added: a UUID that is the same in every row, and the row's number.
 * Rows of the store carry them as `chunk_id` and `row`, so that an auditor can count them.
 * @returns the block in pieces, to be written one after the other; one is a view of `native`
 */
export function addChunkColumns(native: Uint8Array, chunkId: Uint8Array): Uint8Array[] {
  const input = new BlockReader(native)
  const columns = input.varuint()
  const rows = input.varuint()
  const head = new Writer(20)
  head.varuint(columns + 2)
  head.varuint(rows)
  return [head.take(), native.subarray(input.at), ...chunkColumns(rows, chunkId)]
}

/** Row numbers from 0, as many as any block had so far; never changed, so that pieces of it can be lent. */
let rowNumbers = new Uint32Array(1 << 13).map((_, i) => i)

/** The columns `chunk_id` and `row` in pieces. */
function chunkColumns(rows: number, chunkId: Uint8Array): Uint8Array[] {
  if (!LITTLE_ENDIAN) throw new Error('big-endian hosts are not supported')
  if (rows > rowNumbers.length) rowNumbers = new Uint32Array(rows * 2).map((_, i) => i)
  const name = new Writer(32)
  name.text('chunk_id')
  name.text('UUID')
  const id = new Writer(16)
  id.uuids(chunkId, 1)
  const row = new Writer(32)
  row.text('row')
  row.text('UInt32')
  return [
    name.take(),
    Buffer.alloc(rows * 16, id.take()),
    row.take(),
    new Uint8Array(rowNumbers.buffer, 0, rows * 4),
  ]
}
