// AWS flow logs in text: VPC and Transit Gateway, default format or any custom one by its header line. This file reads
// the lines; src/logs/one-way.ts makes flow records of them.

import type { Network } from '../address.ts'
import type { ChunkWriter } from '../chunk.ts'
import { contextHash } from '../flow-id.ts'
import { type AwsPlan, isAwsFieldName, isAwsHeader, planAws, planOfDefault } from './aws-fields.ts'
import type { LineParser } from './line-decoder.ts'
import type { LogReport } from './log-report.ts'
import { ENDS, newOneWay, type OneWay, OneWayWriter } from './one-way.ts'
import { readAddress, TOO_LARGE, uintOf } from './scan.ts'

/** Most fields in a line that are looked at; AWS knows fewer than 60. */
const FIELDS_MAX = 256
const SECONDS_MAX = 9_000_000_000

export class AwsParser implements LineParser {
  readonly #report: LogReport
  readonly #chunks: ChunkWriter
  readonly #writer: OneWayWriter
  readonly #record: OneWay = newOneWay()
  #plan: AwsPlan | undefined
  /** Why rows cannot be read, once that is known. */
  #refusal: string | undefined
  readonly #starts = new Int32Array(FIELDS_MAX)
  readonly #stops = new Int32Array(FIELDS_MAX)

  constructor(report: LogReport, sensor: string, localNets: readonly Network[]) {
    this.#report = report
    this.#chunks = report.chunks
    const context = (interfaceId: string) => contextHash(`aws ${interfaceId}`)
    this.#writer = new OneWayWriter(report.chunks, report.kind, sensor, localNets, context)
  }

  line(bytes: Uint8Array, start: number, end: number, number: number): void {
    const first = bytes[start]!
    const letter = first >= 0x61 && first <= 0x7a
    if ((this.#plan === undefined && this.#refusal === undefined) || letter) {
      if (this.#header(bytes, start, end)) return this.#report.skip()
    }
    const count = this.#split(bytes, start, end)
    if (count === 0) return this.#report.skip()
    const plan = this.#plan
    if (plan === undefined)
      return this.#report.reject('unknown_format', this.#refusal ?? '', bytes, start, end, number)
    if (count !== plan.count) {
      const detail = `${count} fields, the format has ${plan.count}`
      return this.#report.reject('field_count', detail, bytes, start, end, number)
    }
    const bad = this.#row(plan, bytes)
    if (bad !== undefined) this.#report.reject('bad_field', bad, bytes, start, end, number)
  }

  /** Takes a header line; true if it is one. Concatenated files bring several, and the format may change. */
  #header(bytes: Uint8Array, start: number, end: number): boolean {
    const unknown = this.#plan === undefined && this.#refusal === undefined
    if (!unknown) {
      let stop = start
      while (stop < end && bytes[stop] !== 0x20) stop++
      if (!isAwsFieldName(Buffer.from(bytes.subarray(start, stop)).toString('latin1'))) return false
    }
    const tokens = Buffer.from(bytes.subarray(start, end)).toString('latin1').trim().split(/\s+/)
    if (!isAwsHeader(tokens)) {
      if (!unknown) return false
      this.#plan = planOfDefault(tokens)
      if (this.#plan === undefined)
        this.#refuse('no header line, and not a default format: put the log format as first line')
      return false
    }
    const plan = planAws(tokens)
    if (typeof plan === 'string') this.#refuse(plan)
    else {
      this.#plan = plan
      this.#refusal = undefined
    }
    return true
  }

  #refuse(why: string): void {
    this.#plan = undefined
    this.#refusal = why
    this.#report.stats.broken = true
  }

  /** Finds the tokens between spaces, of which there may be several; their number. */
  #split(bytes: Uint8Array, start: number, end: number): number {
    const starts = this.#starts
    const stops = this.#stops
    let count = 0
    let at = start
    while (at < end) {
      while (at < end && (bytes[at] === 0x20 || bytes[at] === 9)) at++
      if (at === end) break
      const from = at
      while (at < end && bytes[at] !== 0x20 && bytes[at] !== 9) at++
      if (count < FIELDS_MAX) {
        starts[count] = from
        stops[count] = at
      }
      count++
    }
    return count
  }

  /** A number of the row; 0 for `-` or a field that the format lacks; -1 if it is none or above `max`. */
  #number(token: number, bytes: Uint8Array, max: number): number {
    if (token < 0 || this.#unset(bytes, token)) return 0
    const value = uintOf(bytes, this.#starts[token]!, this.#stops[token]!)
    return value > max ? -1 : value
  }

  /** A counter: NaN if unset or too large for a double, which is told as an anomaly; -1 if it is none. */
  #counter(token: number, bytes: Uint8Array): number {
    if (token < 0 || this.#unset(bytes, token)) return Number.NaN
    const value = uintOf(bytes, this.#starts[token]!, this.#stops[token]!)
    if (value !== TOO_LARGE) return value
    this.#record.tooLarge = true
    return Number.NaN
  }

  #unset(bytes: Uint8Array, token: number): boolean {
    const start = this.#starts[token]!
    return bytes[start] === 0x2d && this.#stops[token]! === start + 1
  }

  #address(token: number, bytes: Uint8Array, at: number): boolean {
    if (token < 0) return false
    return readAddress(bytes, this.#starts[token]!, this.#stops[token]!, this.#record.ends, at)
  }

  #has(token: number, bytes: Uint8Array): boolean {
    return token >= 0 && !this.#unset(bytes, token)
  }

  /** Reads one row; the words for what is wrong with it, if anything is. */
  #row(plan: AwsPlan, bytes: Uint8Array): string | undefined {
    const start = this.#number(plan.start, bytes, SECONDS_MAX)
    const end = plan.end < 0 ? start : this.#number(plan.end, bytes, SECONDS_MAX)
    if (start < 0 || end < 0) return 'start and end are not seconds since 1970'
    const record = this.#record
    record.start = start * 1_000_000
    record.end = end * 1_000_000
    this.#vantage(plan, bytes)
    const status = plan['log-status']
    if (status >= 0) {
      const letter = bytes[this.#starts[status]!]!
      if (letter === 0x4e || letter === 0x53) return this.#noData(bytes, letter === 0x4e)
      if (letter !== 0x4f && letter !== 0x2d) return 'log-status is none of OK, NODATA, SKIPDATA'
    } else if (!this.#has(plan.srcaddr >= 0 ? plan.srcaddr : plan['pkt-srcaddr'], bytes))
      return this.#noData(bytes, true)
    if (start === 0) return 'start is not set'
    const bad = this.#endpoints(plan, bytes) ?? this.#numbers(plan, bytes)
    if (bad !== undefined) return bad
    const action = plan.action < 0 ? 0x2d : bytes[this.#starts[plan.action]!]
    record.action = action === 0x41 ? 'ACCEPT' : action === 0x52 ? 'REJECT' : ''
    const direction = plan['flow-direction']
    const letter = direction < 0 ? 0x2d : bytes[this.#starts[direction]!]
    record.direction = letter === 0x65 ? 'egress' : letter === 0x69 ? 'ingress' : ''
    this.#writer.write(record, bytes)
    this.#report.accept(record.start, Math.max(record.start, record.end))
    return undefined
  }

  #numbers(plan: AwsPlan, bytes: Uint8Array): string | undefined {
    const record = this.#record
    record.tooLarge = false
    record.srcPort = this.#number(plan.srcport, bytes, 0xffff)
    record.dstPort = this.#number(plan.dstport, bytes, 0xffff)
    if (record.srcPort < 0 || record.dstPort < 0) return 'srcport and dstport are not 0 to 65535'
    record.protocol = this.#number(plan.protocol, bytes, 0xff)
    if (record.protocol < 0 || this.#unset(bytes, plan.protocol)) return 'protocol is not 0 to 255'
    record.packets = this.#counter(plan.packets, bytes)
    record.bytes = this.#counter(plan.bytes, bytes)
    if (record.packets < 0 || record.bytes < 0) return 'packets and bytes are not counts'
    record.flags = this.#number(plan['tcp-flags'], bytes, 0xffff)
    return record.flags < 0 ? 'tcp-flags is not a number' : undefined
  }

  /** The packet's own addresses where the log has them: the interface's are those of a node or a gateway. */
  #endpoints(plan: AwsPlan, bytes: Uint8Array): string | undefined {
    const { ends } = this.#record
    const atInterface =
      this.#address(plan.srcaddr, bytes, ENDS.interfaceSender) &&
      this.#address(plan.dstaddr, bytes, ENDS.interfaceReceiver)
    if (this.#has(plan['pkt-srcaddr'], bytes) && this.#has(plan['pkt-dstaddr'], bytes)) {
      const read =
        this.#address(plan['pkt-srcaddr'], bytes, ENDS.sender) &&
        this.#address(plan['pkt-dstaddr'], bytes, ENDS.receiver)
      if (!read) return 'pkt-srcaddr and pkt-dstaddr are not addresses'
      if (!atInterface) ends.copyWithin(ENDS.interfaceSender, ENDS.sender, 32)
      return undefined
    }
    if (!atInterface) return 'srcaddr and dstaddr are not addresses'
    for (let i = 0; i < 32; i++) ends[ENDS.sender + i] = ends[ENDS.interfaceSender + i]!
    return undefined
  }

  /** NODATA (nothing passed) and SKIPDATA (the log lost records): no flow, but a statement about an interval. */
  #noData(bytes: Uint8Array, nothing: boolean): undefined {
    const record = this.#record
    this.#chunks.cover({
      vantage: this.#writer.vantage(record, bytes),
      kind: this.#report.kind,
      from: record.start,
      to: Math.max(record.start, record.end),
      metric: nothing ? 'nodata' : 'skipdata',
      value: 1,
    })
    this.#report.skip()
    return undefined
  }

  /** The interface that saw the traffic; for a Transit Gateway, the attachment. */
  #vantage(plan: AwsPlan, bytes: Uint8Array): void {
    const isInterface = plan['interface-id'] >= 0
    const token = isInterface ? plan['interface-id'] : plan['tgw-attachment-id']
    const set = token >= 0 && !this.#unset(bytes, token)
    this.#record.vantageStart = set ? this.#starts[token]! : 0
    this.#record.vantageStop = set ? this.#stops[token]! : 0
    this.#record.isInterface = isInterface
  }
}
