// Flows as lines of NDJSON, CSV or Zeek's TSV. A block is bound once: each of its fields becomes one function of
// the row, with the block's dictionaries turned into text at first use.

import { contains, formatAddress, isIpv4, type Network } from '../address.ts'
import type { Block, Dictionary, Words } from '../block.ts'
import { recordCommunityId } from '../community-id.ts'
import type { FlowColumns } from '../flow.ts'
import { uidOf } from '../flow-id.ts'
import { countText, isPlain, microsText, quadText, uuidText } from './cell-text.ts'
import type { FlowField } from './flow-fields.ts'
import type { FlowFormat } from './flow-format.ts'

export type FlowBlock = Block<FlowColumns>

/** Writes one row of the block that it was bound to. */
export type RowWriter = (row: number) => void

/** The text of one field of one row, with what stands before it. */
type Cell = (row: number) => string

/** Characters of output that are collected before they are worth sending. */
export const BATCH_CHARACTERS = 64 * 1024

/** Largest time that is exact in microseconds: the year 2255. */
const MICROS_MAX = Number.MAX_SAFE_INTEGER

export class FlowWriter {
  #batch: string
  readonly #format: FlowFormat
  readonly #localNets: readonly Network[]

  constructor(format: FlowFormat, localNets: readonly Network[]) {
    this.#format = format
    this.#localNets = localNets
    this.#batch = format.header
  }

  /** Characters that were written and not yet taken. */
  get length(): number {
    return this.#batch.length
  }

  /** What was written since the last call, in UTF-8. */
  take(): Buffer {
    const bytes = Buffer.from(this.#batch)
    this.#batch = ''
    return bytes
  }

  /** A writer for rows of `block`, which were read from `source`. Values may change after, rows may not. */
  bind(block: FlowBlock, source: string): RowWriter {
    const cells = this.#format.fields.map((field, index) => this.#cell(block, source, field, index))
    const { end } = this.#format
    return (row) => {
      let line = ''
      for (let i = 0; i < cells.length; i++) line += cells[i]!(row)
      this.#batch += line + end
    }
  }

  #cell(block: FlowBlock, source: string, field: FlowField, index: number): Cell {
    const format = this.#format
    const begin = format.begin(field, index)
    const unset = format.unset(index)
    const held = block.columns[field.column]
    switch (field.kind) {
      case 'source': {
        const whole = begin + format.text(source)
        return () => whole
      }
      case 'number':
        return (row) => begin + countText((held as Uint16Array)[row]!)
      case 'nonzero':
        return (row) => {
          const value = (held as Uint16Array)[row]!
          return value === 0 ? unset : begin + countText(value)
        }
      case 'count':
        return countCell(begin, unset, held as Float64Array)
      case 'time':
        return timeCell(begin, unset, (row) => (held as Float64Array)[row]!)
      case 'moment':
        return timeCell(begin, unset, (row) => (held as Float64Array)[row]! || Number.NaN)
      case 'seconds':
        return timeCell(begin, unset, (row) => (held as Float64Array)[row]! * 1e6)
      case 'word':
        return dictionaryCell(held as Words, unset, (value) => begin + format.text(value))
      case 'words':
        return dictionaryCell(
          held as Dictionary<readonly string[]>,
          unset,
          (value) => begin + format.list(value),
        )
      case 'community':
        return (row) => {
          const value = recordCommunityId(block.columns, row)
          return value === '' ? unset : begin + textOf(value, format)
        }
      default:
        return this.#madeCell(block, field, begin)
    }
  }

  /** The kinds whose value is made of bytes, or is one of a few. */
  #madeCell(block: FlowBlock, field: FlowField, begin: string): Cell {
    const format = this.#format
    const { quote } = format
    const open = begin + quote
    const held = block.columns[field.column] as Uint8Array
    switch (field.kind) {
      case 'uuid':
        return (row) => open + uuidText(held, row * 16) + quote
      case 'address':
        return (row) => {
          const at = row * 16
          const text = isIpv4(held, at) ? quadText(held, at + 12) : formatAddress(held, at)
          return open + text + quote
        }
      case 'uid': {
        const { uid, flow_id } = block.columns
        // Zeek's own, or the one that its flow id gives.
        return (row) => begin + textOf(uid.get(row) || uidOf(flow_id, row * 16), format)
      }
      case 'proto': {
        const words = Array.from({ length: 256 }, (_, proto) => open + transport(proto) + quote)
        return (row) => words[held[row]!]!
      }
      default: {
        const [no, yes] = [begin + format.no, begin + format.yes]
        if (field.kind === 'flag') return (row) => (held[row] === 0 ? no : yes)
        const nets = this.#localNets
        return (row) => (nets.some((net) => contains(net, held, row * 16)) ? yes : no)
      }
    }
  }
}

/** Zeek's words for the transport; ICMP of IPv6 is `icmp` too, `ip_proto` tells them apart. */
function transport(ipProto: number): string {
  if (ipProto === 6) return 'tcp'
  if (ipProto === 17) return 'udp'
  return ipProto === 1 || ipProto === 58 ? 'icmp' : 'unknown_transport'
}

function countCell(begin: string, unset: string, held: Float64Array): Cell {
  return (row) => {
    const value = held[row]!
    // False for NaN, which is how a counter is unset.
    return value >= 0 && value <= Number.MAX_SAFE_INTEGER ? begin + countText(value) : unset
  }
}

function timeCell(begin: string, unset: string, micros: (row: number) => number): Cell {
  return (row) => {
    const value = Math.round(micros(row))
    return Math.abs(value) <= MICROS_MAX ? begin + microsText(value) : unset
  }
}

/** Few distinct values: each is turned into text once in a block. */
function dictionaryCell<V extends string | readonly unknown[]>(
  held: Dictionary<V>,
  unset: string,
  text: (value: V) => string,
): Cell {
  const ready: (string | undefined)[] = [unset]
  return (row) => {
    const code = held.codes[row]!
    return (ready[code] ??= text(held.values[code]!))
  }
}

/** A value of nearly every row: looked at, and only odd ones are escaped. */
function textOf(value: string, format: FlowFormat): string {
  return isPlain(value, format.safe) ? format.quote + value + format.quote : format.text(value)
}
