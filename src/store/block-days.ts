// Which days the rows of a Native block are of, read without decoding the block: columns before `ts` are stepped
// over. The store needs it because one INSERT goes into one partition, and a partition is a day.

import { BlockError, BlockReader, HAS_ADDITIONAL_KEYS, TWO_32 } from '../native-read.ts'

const MICROS_PER_DAY = 86_400_000_000
/** The last day that ClickHouse's Date can hold. Times outside are put on the first or the last. */
const DAY_MAX = 65_535

export interface BlockDays {
  rows: number
  /** Rows by day since 1970, ascending; empty if the block has no column `ts`. */
  byDay: Map<number, number>
}

/** No bytes are a block without rows. @throws BlockError when the bytes are not a Native block of the types of src/flow.ts. */
export function blockDays(native: Uint8Array): BlockDays {
  if (native.length === 0) return { rows: 0, byDay: new Map() }
  const input = new BlockReader(native)
  const columns = input.varuint()
  const rows = input.varuint()
  const byDay = new Map<number, number>()
  if (rows === 0) return { rows, byDay }
  for (let c = 0; c < columns; c++) {
    const name = input.text()
    const type = input.text()
    if (name === 'ts' && type.startsWith('DateTime64(6'))
      return { rows, byDay: countDays(input, rows) }
    stepOver(input, type, rows)
  }
  return { rows, byDay }
}

/** The same arithmetic as in src/store/insert-sql.ts. */
function countDays(input: BlockReader, rows: number): Map<number, number> {
  const counts = new Map<number, number>()
  const start = input.skip(rows * 8)
  const view = new DataView(input.bytes.buffer, input.bytes.byteOffset + start, rows * 8)
  // Neighbours are mostly of one day: counted here, and added to the map when the day changes.
  let last = 0
  let run = 0
  for (let at = 0; at < rows * 8; at += 8) {
    const micros = view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true)
    const day = Math.min(DAY_MAX, Math.max(0, Math.trunc(micros / MICROS_PER_DAY)))
    if (day !== last && run > 0) {
      counts.set(last, (counts.get(last) ?? 0) + run)
      run = 0
    }
    last = day
    run++
  }
  counts.set(last, (counts.get(last) ?? 0) + run)
  return new Map([...counts].sort((a, b) => a[0] - b[0]))
}

const WIDTHS: Readonly<Record<string, number>> = {
  UInt8: 1,
  UInt16: 2,
  UInt32: 4,
  'Nullable(UInt64)': 9,
  'Nullable(Float64)': 9,
  "DateTime64(6, 'UTC')": 8,
  IPv6: 16,
  UUID: 16,
}

function stepOver(input: BlockReader, type: string, rows: number): void {
  const width = Object.hasOwn(WIDTHS, type) ? WIDTHS[type] : undefined
  if (width !== undefined) input.skip(rows * width)
  else if (type === 'String') stepOverTexts(input, rows)
  else if (type === 'LowCardinality(String)') {
    input.skip(8)
    const flags = input.int64()
    if ((flags & HAS_ADDITIONAL_KEYS) === 0)
      throw new BlockError('unknown dictionary flags', input.at)
    stepOverTexts(input, input.int64())
    input.skip(8 + rows * (1 << (flags & 0xff)))
  } else if (type === 'Array(String)' || type === 'Array(UInt8)') {
    input.skip((rows - 1) * 8)
    const items = input.int64()
    if (type === 'Array(UInt8)') input.skip(items)
    else stepOverTexts(input, items)
  } else throw new BlockError(`column type ${type} is unknown`, input.at)
}

function stepOverTexts(input: BlockReader, count: number): void {
  // Each takes a byte at least, so the count is bounded by what is there.
  for (let i = 0; i < count; i++) input.skip(input.varuint())
}
