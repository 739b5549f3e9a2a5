// Compares rows that should be in a table with rows that are: each by a key that says which row it is, and a hash of
// all that it says.

/** Rows in ascending order of their keys. */
export interface HashedRows {
  keys: BigUint64Array
  hashes: BigUint64Array
}

export interface RowDifference {
  /** Rows that agree. */
  same: number
  missing: number
  /** Rows beyond the first with one key. */
  duplicated: number
  /** Rows that are there with other content. */
  altered: number
  /** Rows that nobody sent. */
  foreign: number
}

export const NO_DIFFERENCE = { missing: 0, duplicated: 0, altered: 0, foreign: 0 } as const

/** What `found` lacks, has too often, has altered, and has besides. Keys of `wanted` are distinct. */
export function compareRows(wanted: HashedRows, found: HashedRows): RowDifference {
  const difference = { same: 0, missing: 0, duplicated: 0, altered: 0, foreign: 0 }
  let at = 0
  for (let i = 0; i < wanted.keys.length; i++) {
    const key = wanted.keys[i]!
    while (at < found.keys.length && found.keys[at]! < key) {
      difference.foreign++
      at++
    }
    let copies = 0
    let right = false
    for (; at < found.keys.length && found.keys[at] === key; at++) {
      copies++
      right ||= found.hashes[at] === wanted.hashes[i]
    }
    if (copies === 0) difference.missing++
    else if (right) difference.same++
    else difference.altered++
    difference.duplicated += Math.max(0, copies - 1)
  }
  difference.foreign += found.keys.length - at
  return difference
}

/** The columns of what ClickHouse's RowBinary gives for `count` columns of UInt64. */
export function readColumns(bytes: Uint8Array, count: number): BigUint64Array[] {
  const words = new BigUint64Array(bytes.slice().buffer)
  return Array.from({ length: count }, (_, column) =>
    BigUint64Array.from({ length: words.length / count }, (_, row) => words[row * count + column]!),
  )
}
