// Blocks: rows of one table held as columns. No object per row; text is interned per block, and a
// dictionary is emptied with its block, so its bytes (src/native.ts) are a function of the rows alone.

import type { Columns, ColumnType } from './flow.ts'

/** Values of one column, interned: `codes[row]` points into `values`; code 0 is the empty value. */
export class Dictionary<V> {
  codes: Uint32Array<ArrayBuffer>
  readonly values: V[]
  /** Sum of the lengths of the distinct values' keys: what the text of this block weighs. */
  weight = 0
  readonly #index = new Map<string, number>()
  readonly #empty: V
  readonly #key: (value: V) => string

  constructor(capacity: number, empty: V, key: (value: V) => string) {
    this.codes = new Uint32Array(capacity)
    this.values = [empty]
    this.#empty = empty
    this.#key = key
    this.#index.set(key(empty), 0)
  }

  /** The code of a value; valid until the block is cleared. */
  code(value: V): number {
    const key = this.#key(value)
    let code = this.#index.get(key)
    if (code === undefined) {
      code = this.values.length
      this.values.push(value)
      this.#index.set(key, code)
      this.weight += key.length
    }
    return code
  }

  set(row: number, value: V): void {
    this.codes[row] = this.code(value)
  }

  /** Like `set`, for values that hardly ever come twice (ids): keeps no index of them, which costs more than it saves. */
  append(row: number, value: V): void {
    this.codes[row] = this.values.length
    this.values.push(value)
    this.weight += this.#key(value).length
  }

  get(row: number): V {
    return this.values[this.codes[row]!]!
  }

  clear(): void {
    this.values.length = 1
    this.#index.clear()
    this.#index.set(this.#key(this.#empty), 0)
    this.weight = 0
  }
}

/** Separates the parts of a list in dictionary keys: text from outside never holds it (it is escaped). */
const UNIT_SEPARATOR = '\u001f'

export type Words = Dictionary<string>
export type WordLists = Dictionary<readonly string[]>
export type NumberLists = Dictionary<readonly number[]>

export type Held<T extends ColumnType> = T extends 'u8' | 'address' | 'uuid'
  ? Uint8Array<ArrayBuffer>
  : T extends 'u16'
    ? Uint16Array<ArrayBuffer>
    : T extends 'u32'
      ? Uint32Array<ArrayBuffer>
      : T extends 'count' | 'seconds' | 'time'
        ? Float64Array<ArrayBuffer>
        : T extends 'word' | 'text'
          ? Words
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
    case 'text':
      return new Dictionary<string>(capacity, '', (value) => value)
    case 'words':
      return new Dictionary<readonly string[]>(capacity, [], (value) => value.join(UNIT_SEPARATOR))
    case 'bytes':
      return new Dictionary<readonly number[]>(capacity, [], (value) => value.join(UNIT_SEPARATOR))
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
    if (this.rows === this.capacity) this.#grow()
    return this.rows++
  }

  /** What the distinct text of this block weighs, in characters. */
  get textWeight(): number {
    let weight = 0
    for (const held of Object.values(this.columns) as AnyHeld[])
      if (held instanceof Dictionary) weight += held.weight
    return weight
  }

  clear(): void {
    for (const [name, type] of Object.entries(this.spec)) {
      const held = this.columns[name] as AnyHeld
      if (held instanceof Dictionary) {
        held.codes.fill(0, 0, this.rows)
        held.clear()
      } else {
        held.fill(
          type === 'count' || type === 'seconds' ? Number.NaN : 0,
          0,
          this.rows * width(type),
        )
      }
    }
    this.rows = 0
  }

  #grow(): void {
    this.capacity *= 4
    for (const [name, type] of Object.entries(this.spec)) {
      const held = this.columns[name] as AnyHeld
      if (held instanceof Dictionary) {
        const codes = new Uint32Array(this.capacity)
        codes.set(held.codes)
        held.codes = codes
      } else {
        const larger = allocate(type, this.capacity) as typeof held
        larger.set(held)
        ;(this.columns as Record<string, AnyHeld>)[name] = larger
      }
    }
  }
}
