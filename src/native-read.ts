// Native bytes as blocks: the reading half of src/native.ts. Bytes may come from a bus, so every length is
// checked against what is there.

import type { AnyHeld, Lists, NumberLists, Texts, WordLists, Words } from './block.ts'
import { allocate, Block, width } from './block.ts'
import type { Columns, ColumnType } from './flow.ts'

/** Rows that a block read from outside may hold. */
export const BLOCK_ROWS_MAX = 1 << 20

export const TWO_32 = 4294967296

/** The ClickHouse type a column is written as. A test compares it with the schema. */
export function clickhouseType(type: ColumnType): string {
  switch (type) {
    case 'u8':
      return 'UInt8'
    case 'u16':
      return 'UInt16'
    case 'u32':
      return 'UInt32'
    case 'count':
      return 'Nullable(UInt64)'
    case 'seconds':
      return 'Nullable(Float64)'
    case 'time':
      return "DateTime64(6, 'UTC')"
    case 'address':
      return 'IPv6'
    case 'uuid':
      return 'UUID'
    case 'word':
      return 'LowCardinality(String)'
    case 'text':
      return 'String'
    case 'words':
      return 'Array(String)'
    case 'bytes':
      return 'Array(UInt8)'
  }
}

/** UUIDs lie in Native as two little-endian 64-bit halves, the high one first. */
export function swapUuid(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number): void {
  for (let i = 0; i < 8; i++) {
    to[toAt + i] = from[fromAt + 7 - i]!
    to[toAt + 8 + i] = from[fromAt + 15 - i]!
  }
}

// LowCardinality: version, then a dictionary of its own in each block.
export const KEYS_VERSION = 1
export const HAS_ADDITIONAL_KEYS = 1 << 9
export const NEED_UPDATE_DICTIONARY = 1 << 10

/** A block that cannot be read: `at` is the byte where it went wrong. */
export class BlockError extends Error {
  readonly at: number
  constructor(message: string, at: number) {
    super(`${message} at byte ${at}`)
    this.name = 'BlockError'
    this.at = at
  }
}

/** A 64-bit integer, two's complement. Exact to 2^53 either way. */
function int64At(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true)
}

export class BlockReader {
  readonly bytes: Buffer
  readonly view: DataView
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Moves past `size` bytes and returns where they start. */
  skip(size: number): number {
    const start = this.at
    if (size < 0 || start + size > this.bytes.length) throw new BlockError('block is cut', start)
    this.at += size
    return start
  }

  varuint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.bytes[this.skip(1)]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    throw new BlockError('number too long', this.at)
  }

  int64(): number {
    return int64At(this.view, this.skip(8))
  }

  text(): string {
    const size = this.varuint()
    const at = this.skip(size)
    return this.bytes.toString('utf8', at, at + size)
  }
}

function readWords(input: BlockReader, rows: number, held: Words): void {
  if (input.int64() !== KEYS_VERSION) throw new BlockError('unknown dictionary version', input.at)
  const flags = input.int64()
  const wide = flags & 0xff
  if (wide > 2 || (flags & HAS_ADDITIONAL_KEYS) === 0)
    throw new BlockError('unknown dictionary flags', input.at)
  const count = input.int64()
  if (count < 0 || count > BLOCK_ROWS_MAX + 1)
    throw new BlockError('dictionary too large', input.at)
  const codes: number[] = []
  for (let i = 0; i < count; i++) codes.push(held.code(input.text()))
  if (input.int64() !== rows) throw new BlockError('dictionary rows differ', input.at)
  const { view } = input
  const from = input.skip(rows << wide)
  for (let i = 0; i < rows; i++) {
    const at = from + (i << wide)
    const key =
      wide === 0
        ? view.getUint8(at)
        : wide === 1
          ? view.getUint16(at, true)
          : view.getUint32(at, true)
    const code = codes[key]
    if (code === undefined) throw new BlockError('dictionary code out of range', at)
    held.codes[i] = code
  }
}

/** Keeps the bytes of the whole column, and where in them each row's are. */
function readTexts(input: BlockReader, rows: number, held: Texts): void {
  const from = input.at
  for (let i = 0; i < rows; i++) {
    const length = input.varuint()
    held.starts[i] = input.skip(length) - from
    held.lengths[i] = length
  }
  held.hold(input.bytes.subarray(from, input.at))
}

function readLists<V extends string | number>(
  input: BlockReader,
  rows: number,
  held: Lists<V>,
  item: () => V,
): void {
  const { view } = input
  const ends = input.skip(rows * 8)
  let from = 0
  for (let i = 0; i < rows; i++) {
    const end = int64At(view, ends + i * 8)
    if (end === from) continue
    if (end < from || end > input.bytes.length)
      throw new BlockError('list ends out of order', ends + i * 8)
    const list: V[] = []
    for (; from < end; from++) list.push(item())
    held.set(i, list)
  }
}

function readColumn(input: BlockReader, type: ColumnType, held: AnyHeld, rows: number): void {
  const { view } = input
  switch (type) {
    case 'u8':
    case 'address': {
      const size = rows * width(type)
      const at = input.skip(size)
      ;(held as Uint8Array).set(input.bytes.subarray(at, at + size))
      return
    }
    case 'u16':
    case 'u32': {
      const array = held as Uint16Array | Uint32Array
      const at = input.skip(rows * array.BYTES_PER_ELEMENT)
      const view = new Uint8Array(array.buffer, array.byteOffset, rows * array.BYTES_PER_ELEMENT)
      view.set(input.bytes.subarray(at, at + view.length))
      return
    }
    case 'count':
    case 'seconds': {
      const array = held as Float64Array
      const nulls = input.skip(rows)
      const at = input.skip(rows * 8)
      for (let i = 0; i < rows; i++) {
        const from = at + i * 8
        array[i] =
          view.getUint8(nulls + i) === 1
            ? Number.NaN
            : type === 'seconds'
              ? view.getFloat64(from, true)
              : view.getUint32(from + 4, true) * TWO_32 + view.getUint32(from, true)
      }
      return
    }
    case 'time': {
      const array = held as Float64Array
      const at = input.skip(rows * 8)
      for (let i = 0; i < rows; i++) array[i] = int64At(view, at + i * 8)
      return
    }
    case 'uuid': {
      const at = input.skip(rows * 16)
      for (let i = 0; i < rows; i++) swapUuid(input.bytes, at + i * 16, held as Uint8Array, i * 16)
      return
    }
    case 'word':
      return readWords(input, rows, held as Words)
    case 'text':
      return readTexts(input, rows, held as Texts)
    case 'words':
      return readLists(input, rows, held as WordLists, () => input.text())
    case 'bytes':
      return readLists(input, rows, held as NumberLists, () => input.bytes[input.skip(1)]!)
  }
}

/** Moves past a column without keeping it: who asks for a few columns does not pay for the text of the others. */
function skipColumn(input: BlockReader, type: ColumnType, rows: number): void {
  switch (type) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'address':
    case 'uuid':
      input.skip(rows * (type === 'u16' ? 2 : type === 'u32' ? 4 : width(type)))
      return
    case 'time':
      input.skip(rows * 8)
      return
    case 'count':
    case 'seconds':
      input.skip(rows * 9)
      return
    case 'text':
      for (let i = 0; i < rows; i++) input.skip(input.varuint())
      return
    default:
      readColumn(input, type, allocate(type, rows), rows)
  }
}

const TYPES: readonly ColumnType[] = [
  'u8',
  'u16',
  'u32',
  'count',
  'seconds',
  'time',
  'address',
  'uuid',
  'word',
  'text',
  'words',
  'bytes',
]
const TYPE_BY_NAME = new Map(TYPES.map((type) => [clickhouseType(type), type]))

/** How many rows a Native block says that it has. @throws BlockError if it ends before that */
export function blockRows(native: Uint8Array): number {
  const input = new BlockReader(native)
  input.varuint()
  return input.varuint()
}

/**
 * Reads one Native block into columns. A column that the block lacks stays empty and one that the spec
 * lacks is passed over, so neighbouring versions read each other.
 * @param into a block that nobody needs any more: it is emptied and used again
 * @throws BlockError when the bytes are not such a block, or a column has another type than the spec says.
 */
export function decodeBlock<C extends Columns>(
  native: Uint8Array,
  spec: C,
  into?: Block<C>,
): Block<C> {
  const input = new BlockReader(native)
  const columns = input.varuint()
  const rows = input.varuint()
  if (columns > 4096 || rows > BLOCK_ROWS_MAX) throw new BlockError('block too large', input.at)
  const block = into ?? new Block(spec, Math.max(1, rows))
  block.clear()
  block.reserve(rows)
  block.rows = rows
  for (let c = 0; c < columns; c++) {
    const name = input.text()
    const typeName = input.text()
    const type = TYPE_BY_NAME.get(typeName)
    if (type === undefined) throw new BlockError(`column type ${typeName} is unknown`, input.at)
    const wanted = Object.hasOwn(spec, name) ? spec[name] : undefined
    if (wanted !== undefined && wanted !== type)
      throw new BlockError(`column ${name} is ${typeName}`, input.at)
    if (rows === 0) continue
    if (wanted === undefined) skipColumn(input, type, rows)
    else readColumn(input, type, block.columns[name] as AnyHeld, rows)
  }
  if (input.at !== native.length) throw new BlockError('bytes after the block', input.at)
  return block
}
