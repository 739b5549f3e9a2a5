// Blocks: rows of one table held as columns. No object per row; words are interned per block, and a dictionary is
// emptied with its block, so the block's bytes (src/native.ts) are a function of the rows alone.

import type { Columns, ColumnType } from './flow.ts'

/** Values of one column, interned: `codes[row]` points into `values`; code 0 is the empty value. */
export abstract class Dictionary<V extends string | readonly unknown[]> {
  codes: Uint32Array<ArrayBuffer>
  readonly values: V[]
  /** Sum of the lengths of the distinct values' keys: what the text of this block weighs. */
  weight = 0
  protected readonly index = new Map<string, number>()
  /** The value that was asked for last, which is often the next one, too. Lists are told apart by identity. */
  #last: V
  #lastCode = 0

  constructor(capacity: number, empty: V) {
    this.codes = new Uint32Array(capacity)
    this.values = [empty]
    this.#last = empty
  }

  /** What two equal values agree in. */
  protected abstract key(value: V): string

  /** The code of a value; valid until the block is cleared. A list must not be changed afterwards. */
  code(value: V): number {
    if (value.length === 0) return 0
    if (value === this.#last) return this.#lastCode
    const key = this.key(value)
    let code = this.index.get(key)
    if (code === undefined) {
      code = this.values.length
      this.values.push(value)
      this.index.set(key, code)
      this.weight += key.length
    }
    this.#last = value
    this.#lastCode = code
    return code
  }

  /** The code of a value that is not there yet, as its giver knows: it is not looked for, nor found by `code` later. */
  append(value: V): number {
    return value.length === 0 ? 0 : this.values.push(value) - 1
  }

  set(row: number, value: V): void {
    this.codes[row] = this.code(value)
  }

  get(row: number): V {
    return this.values[this.codes[row]!]!
  }

  /** Forgets all values; the codes are the block's to clear. */
  clear(): void {
    this.values.length = 1
    this.index.clear()
    this.weight = 0
    this.#last = this.values[0]!
    this.#lastCode = 0
  }
}

/** Words of a dictionary that are remembered by their first and last letter and length, a power of two. */
const RECENT = 32

export class Words extends Dictionary<string> {
  // A block has few words of each column. Looking here first: 25 ns for a word instead of 36.
  readonly #recent: string[] = new Array<string>(RECENT).fill('')
  readonly #recentCodes = new Uint32Array(RECENT)

  constructor(capacity: number) {
    super(capacity, '')
  }

  protected key(value: string): string {
    return value
  }

  override code(value: string): number {
    const { length } = value
    if (length === 0) return 0
    const mix = length * 5 + value.charCodeAt(0) * 3 + value.charCodeAt(length - 1)
    const slot = mix & (RECENT - 1)
    if (this.#recent[slot] === value) return this.#recentCodes[slot]!
    const code = super.code(value)
    this.#recent[slot] = value
    this.#recentCodes[slot] = code
    return code
  }

  override clear(): void {
    super.clear()
    this.#recent.fill('')
  }
}

/** Separates the parts of a list in dictionary keys: text from outside never holds it (it is escaped). */
const UNIT_SEPARATOR = '\u001f'

export class Lists<T extends string | number> extends Dictionary<readonly T[]> {
  constructor(capacity: number) {
    super(capacity, [])
  }

  protected key(value: readonly T[]): string {
    return value.length === 1 ? String(value[0]) : value.join(UNIT_SEPARATOR)
  }
}

const utf8 = new TextEncoder()

/**
 * Text that hardly ever comes twice (ids, sentences), in UTF-8, one value after the other. No string is held, and
 * none is made for values that are bytes already.
 */
export class Texts {
  /** Where the text of a row begins in `bytes`, and how many bytes it has. */
  starts: Uint32Array<ArrayBuffer>
  lengths: Uint32Array<ArrayBuffer>
  bytes: Buffer = Buffer.alloc(0)
  /** Bytes in use: what the text of this block weighs. */
  weight = 0

  constructor(capacity: number) {
    this.starts = new Uint32Array(capacity)
    this.lengths = new Uint32Array(capacity)
  }

  set(row: number, value: string): void {
    const { length } = value
    const at = this.#take(row, length)
    const { bytes } = this
    let i = 0
    for (; i < length; i++) {
      const unit = value.charCodeAt(i)
      if (unit > 0x7f) break
      bytes[at + i] = unit
    }
    if (i === length) return
    this.weight = at
    const encoded = utf8.encode(value)
    this.setBytes(row, encoded, 0, encoded.length)
  }

  /** Takes `length` bytes of UTF-8 at `from`. */
  setBytes(row: number, source: Uint8Array, from: number, length: number): void {
    const at = this.#take(row, length)
    const { bytes } = this
    for (let i = 0; i < length; i++) bytes[at + i] = source[from + i]!
  }

  /** Takes the bytes of all rows at once (a copy); `starts` and `lengths` are the caller's to set. */
  hold(bytes: Uint8Array): void {
    this.weight = 0
    this.#reserve(bytes.length)
    this.bytes.set(bytes)
    this.weight = bytes.length
  }

  get(row: number): string {
    const start = this.starts[row]!
    return this.bytes.toString('utf8', start, start + this.lengths[row]!)
  }

  clear(): void {
    this.weight = 0
  }

  /** Room for the text of a row; what it had before is left behind. */
  #take(row: number, length: number): number {
    const at = this.weight
    this.#reserve(at + length)
    this.starts[row] = at
    this.lengths[row] = length
    this.weight = at + length
    return at
  }

  #reserve(size: number): void {
    if (size <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(4096, this.bytes.length * 2, size))
    this.bytes.copy(larger, 0, 0, this.weight)
    this.bytes = larger
  }
}

export type WordLists = Lists<string>
export type NumberLists = Lists<number>

export type Held<T extends ColumnType> = T extends 'u8' | 'address' | 'uuid'
  ? Uint8Array<ArrayBuffer>
  : T extends 'u16'
    ? Uint16Array<ArrayBuffer>
    : T extends 'u32'
      ? Uint32Array<ArrayBuffer>
      : T extends 'count' | 'seconds' | 'time'
        ? Float64Array<ArrayBuffer>
        : T extends 'word'
          ? Words
          : T extends 'text'
            ? Texts
            : T extends 'words'
              ? WordLists
              : NumberLists

/** Any column's memory. */
export type AnyHeld =
  | Uint8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Words
  | Texts
  | WordLists
  | NumberLists

export type ColumnsOf<C extends Columns> = { -readonly [K in keyof C]: Held<C[K]> }

/** Array elements that one row takes. */
export function width(type: ColumnType): number {
  return type === 'address' || type === 'uuid' ? 16 : 1
}

/** Empty memory for `capacity` rows. */
export function allocate(type: ColumnType, capacity: number): AnyHeld {
  switch (type) {
    case 'u8':
      return new Uint8Array(capacity)
    case 'address':
    case 'uuid':
      return new Uint8Array(capacity * 16)
    case 'u16':
      return new Uint16Array(capacity)
    case 'u32':
      return new Uint32Array(capacity)
    case 'count':
    case 'seconds':
      return new Float64Array(capacity).fill(Number.NaN)
    case 'time':
      return new Float64Array(capacity)
    case 'word':
      return new Words(capacity)
    case 'text':
      return new Texts(capacity)
    case 'words':
      return new Lists<string>(capacity)
    case 'bytes':
      return new Lists<number>(capacity)
  }
}

/** Rows of one table, as columns. A new row holds zeros, empty text and unset (NaN) counters. */
export class Block<C extends Columns> {
  readonly spec: C
  rows = 0
  capacity: number
  columns: ColumnsOf<C>

  constructor(spec: C, capacity = 256) {
    this.spec = spec
    this.capacity = capacity
    // Not filled key by key: V8 would make it a hash table, and every access to a column ten times as slow.
    this.columns = Object.fromEntries(
      Object.entries(spec).map(([name, type]) => [name, allocate(type, capacity)]),
    ) as ColumnsOf<C>
  }

  /** Appends an empty row and returns its number. Column arrays may be replaced: read them after. */
  add(): number {
    if (this.rows === this.capacity) this.reserve(this.capacity * 4)
    return this.rows++
  }

  /** What the distinct words and all text of this block weigh, in characters. */
  get textWeight(): number {
    let weight = 0
    for (const held of Object.values(this.columns) as AnyHeld[])
      if (held instanceof Dictionary || held instanceof Texts) weight += held.weight
    return weight
  }

  /** Takes all rows away; the memory stays for the next ones. */
  clear(): void {
    const { rows } = this
    for (const [name, type] of Object.entries(this.spec)) {
      const held = this.columns[name] as AnyHeld
      if (held instanceof Dictionary) {
        held.codes.fill(0, 0, rows)
        held.clear()
      } else if (held instanceof Texts) {
        held.lengths.fill(0, 0, rows)
        held.clear()
      } else {
        held.fill(type === 'count' || type === 'seconds' ? Number.NaN : 0, 0, rows * width(type))
      }
    }
    this.rows = 0
  }

  /** Makes room for `capacity` rows. */
  reserve(capacity: number): void {
    if (capacity <= this.capacity) return
    this.capacity = capacity
    for (const [name, type] of Object.entries(this.spec)) {
      const held = this.columns[name] as AnyHeld
      if (held instanceof Dictionary) held.codes = longer(held.codes, capacity)
      else if (held instanceof Texts) {
        held.starts = longer(held.starts, capacity)
        held.lengths = longer(held.lengths, capacity)
      } else {
        const larger = allocate(type, capacity) as typeof held
        larger.set(held)
        ;(this.columns as Record<string, AnyHeld>)[name] = larger
      }
    }
  }
}

/** A block of `count` rows of another one, from row `first` on, with dictionaries of their own. */
export function copyRows<C extends Columns>(
  from: Block<C>,
  first: number,
  count: number,
): Block<C> {
  const to = new Block(from.spec, Math.max(1, count))
  to.rows = count
  for (const [name, type] of Object.entries(from.spec)) {
    const source = from.columns[name] as AnyHeld
    const target = to.columns[name] as AnyHeld
    if (source instanceof Dictionary) {
      const copy = target as Dictionary<string | readonly unknown[]>
      for (let i = 0; i < count; i++) copy.set(i, source.get(first + i))
    } else if (source instanceof Texts) {
      const copy = target as Texts
      for (let i = 0; i < count; i++)
        copy.setBytes(i, source.bytes, source.starts[first + i]!, source.lengths[first + i]!)
    } else {
      const wide = width(type)
      ;(target as typeof source).set(source.subarray(first * wide, (first + count) * wide))
    }
  }
  return to
}

function longer(array: Uint32Array, capacity: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity)
  larger.set(array)
  return larger
}
