// A row of a block as an object, for eyes: addresses, times and ids as text, what is unset or empty left out.

import { formatAddress } from '../address.ts'
import type { AnyHeld, Block, NumberLists, Texts, WordLists, Words } from '../block.ts'
import type { Columns, ColumnType } from '../flow.ts'
import { formatUuid } from '../hash.ts'

export function rowValues(block: Block<Columns>, row: number): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, type] of Object.entries(block.spec)) {
    const value = valueAt(block.columns[name] as AnyHeld, type, row)
    if (value !== undefined) values[name] = value
  }
  return values
}

/** Undefined for what is unset: no counter, no text, no list, address zero. Numbers may well be 0. */
function valueAt(held: AnyHeld, type: ColumnType, row: number): unknown {
  switch (type) {
    case 'u8':
    case 'u16':
    case 'u32':
      return (held as Uint32Array)[row]
    case 'count':
    case 'seconds': {
      const value = (held as Float64Array)[row]!
      return Number.isNaN(value) ? undefined : value
    }
    case 'time':
      return timeText((held as Float64Array)[row]!)
    case 'address': {
      const bytes = held as Uint8Array
      const at = row * 16
      return isZero(bytes, at) ? undefined : formatAddress(bytes, at)
    }
    case 'uuid': {
      const bytes = held as Uint8Array
      return isZero(bytes, row * 16) ? undefined : formatUuid(bytes, row * 16)
    }
    case 'word':
      return (held as Words).get(row) || undefined
    case 'text':
      return (held as Texts).get(row) || undefined
    default: {
      const list = (held as WordLists | NumberLists).get(row)
      return list.length === 0 ? undefined : [...list]
    }
  }
}

function isZero(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[at + i] !== 0) return false
  return true
}

/** Microseconds since 1970 as `2026-03-14T09:26:53.589793Z`; the number itself where no date is that far. */
export function timeText(micros: number): string {
  const date = new Date(Math.floor(micros / 1000))
  if (Number.isNaN(date.getTime())) return String(micros)
  const rest = String(((micros % 1000) + 1000) % 1000).padStart(3, '0')
  return date.toISOString().replace('Z', `${rest}Z`)
}

/** Milliseconds since 1970 as `2026-03-14T09:26:53`; the number itself where no date is that far. */
export function instantText(millis: number): string {
  const date = new Date(millis)
  return Number.isNaN(date.getTime()) ? String(millis) : date.toISOString().slice(0, 19)
}
