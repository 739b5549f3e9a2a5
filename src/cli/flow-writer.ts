// Flows as lines of NDJSON, CSV or Zeek's TSV. A block is bound once: each of its fields becomes one function of
// the row, with the block's dictionaries encoded at first use. Bench: `bailiwick flows FILE > /dev/null`.

import { contains, formatAddress, isIpv4, type Network } from '../address.ts'
import type { Block, WordLists, Words } from '../block.ts'
import type { FlowColumns } from '../flow.ts'
import { uidOf } from '../flow-id.ts'
import type { FlowField } from './flow-fields.ts'
import type { FlowFormat } from './flow-format.ts'
import { LineBytes } from './line-bytes.ts'

export type FlowBlock = Block<FlowColumns>

/** Writes one row of the block that it was bound to. */
export type RowWriter = (row: number) => void

type Cell = (row: number) => void

/** Zeek's words for the transport; ICMP of IPv6 is `icmp` too, `ip_proto` tells them apart. */
function transport(ipProto: number): string {
  return ipProto === 6
    ? 'tcp'
    : ipProto === 17
      ? 'udp'
      : ipProto === 1 || ipProto === 58
        ? 'icmp'
        : 'unknown_transport'
}

export class FlowWriter {
  readonly lines = new LineBytes()
  readonly #format: FlowFormat
  readonly #localNets: readonly Network[]

  constructor(format: FlowFormat, localNets: readonly Network[]) {
    this.#format = format
    this.#localNets = localNets
    this.lines.put(Buffer.from(format.header))
  }

  /** A writer for rows of `block`, which were read from `source`. Values may change after, rows may not. */
  bind(block: FlowBlock, source: string): RowWriter {
    const cells = this.#format.fields.map((field, index) => this.#cell(block, source, field, index))
    const end = Buffer.from(this.#format.end)
    const { lines } = this
    return (row) => {
      for (let i = 0; i < cells.length; i++) cells[i]!(row)
      lines.put(end)
    }
  }

  #cell(block: FlowBlock, source: string, field: FlowField, index: number): Cell {
    const { lines } = this
    const format = this.#format
    const begin = Buffer.from(format.begin(field, index))
    const unset = Buffer.from(format.unset(index))
    const held = block.columns[field.column]
    switch (field.kind) {
      case 'source': {
        const whole = Buffer.from(format.begin(field, index) + format.text(source))
        return () => lines.put(whole)
      }
      case 'number':
        return numberCell(lines, begin, held as Uint16Array)
      case 'nonzero':
        return nonzeroCell(lines, begin, unset, held as Uint16Array)
      case 'count':
        return countCell(lines, begin, unset, held as Float64Array)
      case 'time':
        return timeCell(lines, begin, unset, (row) => (held as Float64Array)[row]!)
      case 'moment':
        return timeCell(lines, begin, unset, (row) => (held as Float64Array)[row]! || Number.NaN)
      case 'seconds':
        return timeCell(lines, begin, unset, (row) => (held as Float64Array)[row]! * 1e6)
      case 'word':
        return wordCell(lines, format, begin, unset, held as Words)
      case 'words':
        return wordsCell(lines, format, begin, unset, held as WordLists)
      case 'text':
        return textCell(lines, format, begin, unset, held as Words)
      default:
        return this.#quotedCell(block, field, format.begin(field, index))
    }
  }

  /** The kinds whose value stands between quotes or is one of a few. */
  #quotedCell(block: FlowBlock, field: FlowField, start: string): Cell {
    const { lines } = this
    const { quote, yes, no } = this.#format
    const begin = Buffer.from(start + quote)
    const after = Buffer.from(quote)
    const held = block.columns[field.column] as Uint8Array
    switch (field.kind) {
      case 'uuid':
        return (row) => {
          lines.put(begin)
          lines.uuid(held, row * 16)
          lines.put(after)
        }
      case 'address':
        return addressCell(lines, begin, after, held)
      case 'uid':
        return uidCell(lines, this.#format, start, block)
      case 'proto': {
        const words = Array.from({ length: 256 }, (_, proto) =>
          Buffer.from(start + quote + transport(proto) + quote),
        )
        return (row) => lines.put(words[held[row]!]!)
      }
      default: {
        const truth = [Buffer.from(start + no), Buffer.from(start + yes)] as const
        if (field.kind === 'flag') return (row) => lines.put(truth[held[row] === 0 ? 0 : 1])
        const nets = this.#localNets
        const local = (row: number) => nets.some((net) => contains(net, held, row * 16))
        return (row) => lines.put(truth[local(row) ? 1 : 0])
      }
    }
  }
}

function numberCell(lines: LineBytes, begin: Buffer, held: ArrayLike<number>): Cell {
  return (row) => {
    lines.put(begin)
    lines.integer(held[row]!)
  }
}

function nonzeroCell(lines: LineBytes, begin: Buffer, unset: Buffer, held: Uint16Array): Cell {
  return (row) => {
    const value = held[row]!
    lines.put(value === 0 ? unset : begin)
    if (value !== 0) lines.integer(value)
  }
}

function countCell(lines: LineBytes, begin: Buffer, unset: Buffer, held: Float64Array): Cell {
  return (row) => {
    const value = held[row]!
    // Also false for NaN, which is how a counter is unset.
    const set = value >= 0 && value <= Number.MAX_SAFE_INTEGER
    lines.put(set ? begin : unset)
    if (set) lines.integer(value)
  }
}

/** Largest time that is exact in microseconds: the year 2255. */
const MICROS_MAX = Number.MAX_SAFE_INTEGER

function timeCell(
  lines: LineBytes,
  begin: Buffer,
  unset: Buffer,
  micros: (row: number) => number,
): Cell {
  return (row) => {
    const value = Math.round(micros(row))
    const set = Math.abs(value) <= MICROS_MAX
    lines.put(set ? begin : unset)
    if (set) lines.micros(value)
  }
}

function addressCell(lines: LineBytes, begin: Buffer, after: Buffer, held: Uint8Array): Cell {
  return (row) => {
    lines.put(begin)
    const at = row * 16
    if (isIpv4(held, at)) lines.quad(held, at + 12)
    else lines.put(Buffer.from(formatAddress(held, at)))
    lines.put(after)
  }
}

/** Few distinct values: each is encoded once in a block. */
function wordCell(
  lines: LineBytes,
  format: FlowFormat,
  begin: Buffer,
  unset: Buffer,
  held: Words,
): Cell {
  const encoded: (Buffer | undefined)[] = [unset]
  return (row) => {
    const code = held.codes[row]!
    const ready = (encoded[code] ??= Buffer.concat([
      begin,
      Buffer.from(format.text(held.values[code]!)),
    ]))
    lines.put(ready)
  }
}

function wordsCell(
  lines: LineBytes,
  format: FlowFormat,
  begin: Buffer,
  unset: Buffer,
  held: WordLists,
): Cell {
  const encoded: (Buffer | undefined)[] = [unset]
  return (row) => {
    const code = held.codes[row]!
    const ready = (encoded[code] ??= Buffer.concat([
      begin,
      Buffer.from(format.list(held.values[code]!)),
    ]))
    lines.put(ready)
  }
}

function writeText(
  lines: LineBytes,
  format: FlowFormat,
  begin: Buffer,
  quote: Buffer,
  value: string,
): void {
  lines.put(begin)
  if (quote.length > 0) lines.put(quote)
  if (lines.plain(value, format.safe)) {
    if (quote.length > 0) lines.put(quote)
    return
  }
  // The opening quote is there already; `text` brings its own.
  const whole = Buffer.from(format.text(value))
  lines.put(whole.subarray(quote.length))
}

/** A value of nearly every row: written character by character, and only odd ones are escaped. */
function textCell(
  lines: LineBytes,
  format: FlowFormat,
  begin: Buffer,
  unset: Buffer,
  held: Words,
): Cell {
  const quote = Buffer.from(format.quote)
  return (row) => {
    const value = held.get(row)
    if (value === '') lines.put(unset)
    else writeText(lines, format, begin, quote, value)
  }
}

/** Zeek's own uid, or the one that its flow id gives. */
function uidCell(lines: LineBytes, format: FlowFormat, start: string, block: FlowBlock): Cell {
  const begin = Buffer.from(start)
  const quote = Buffer.from(format.quote)
  const { uid, flow_id } = block.columns
  return (row) => {
    const own = uid.get(row)
    writeText(lines, format, begin, quote, own === '' ? uidOf(flow_id, row * 16) : own)
  }
}
