// Google Cloud VPC flow logs: Cloud Logging entries, one direction of a conversation each. Sampled at the source, so
// that nothing seen is no proof of nothing sent. Denied connections are not in these logs.

import type { Network } from '../address.ts'
import { contextHash } from '../flow-id.ts'
import { printable } from '../wire-text.ts'
import { countOfJson, type ElementParser, member, textOf } from './element-decoder.ts'
import type { LogReport } from './log-report.ts'
import { ENDS, newOneWay, type OneWay, OneWayWriter } from './one-way.ts'
import { isoMicros, readAddress } from './scan.ts'

export class GcpParser implements ElementParser {
  readonly #report: LogReport
  readonly #writer: OneWayWriter
  readonly #record: OneWay = newOneWay()

  constructor(report: LogReport, sensor: string, localNets: readonly Network[]) {
    this.#report = report
    const context = (vantage: string) => contextHash(`gcp ${vantage}`)
    this.#writer = new OneWayWriter(report.chunks, report.kind, sensor, localNets, context)
    this.#record.payload = true
    this.#record.isInterface = false
  }

  element(value: unknown, bytes: Uint8Array, line: number): void {
    const payload = member(value, 'jsonPayload')
    const connection = member(payload, 'connection')
    // Other logs of the same project may be exported into the same file.
    if (connection === undefined) return this.#report.skip()
    const bad = this.#read(payload, connection)
    if (bad !== undefined) {
      this.#report.reject('bad_field', bad, bytes, 0, bytes.length, line)
      return
    }
    const record = this.#record
    const vantage = Buffer.from(vantageOf(payload))
    record.vantageStop = vantage.length
    this.#writer.write(record, vantage)
    this.#report.accept(record.start, Math.max(record.start, record.end))
  }

  /** Fills the record; the words for what is wrong, if anything is. */
  #read(payload: unknown, connection: unknown): string | undefined {
    const record = this.#record
    const addresses =
      this.#address(member(connection, 'src_ip'), ENDS.sender) &&
      this.#address(member(connection, 'dest_ip'), ENDS.receiver)
    if (!addresses) return 'src_ip and dest_ip are not addresses'
    record.ends.copyWithin(ENDS.interfaceSender, ENDS.sender, 32)
    record.srcPort = portOf(member(connection, 'src_port'))
    record.dstPort = portOf(member(connection, 'dest_port'))
    if (record.srcPort < 0 || record.dstPort < 0) return 'src_port and dest_port are not ports'
    record.protocol = countOfJson(member(connection, 'protocol'))
    if (!(record.protocol >= 0 && record.protocol <= 255)) return 'protocol is not 0 to 255'
    record.packets = countOfJson(member(payload, 'packets_sent'))
    record.bytes = countOfJson(member(payload, 'bytes_sent'))
    if (record.packets < 0 || record.bytes < 0) return 'packets_sent and bytes_sent are not counts'
    record.start = timeOfText(member(payload, 'start_time'))
    if (Number.isNaN(record.start)) return 'start_time is no RFC 3339 time'
    const end = timeOfText(member(payload, 'end_time'))
    record.end = Number.isNaN(end) ? record.start : end
    return undefined
  }

  #address(value: unknown, at: number): boolean {
    const text = Buffer.from(textOf(value))
    return readAddress(text, 0, text.length, this.#record.ends, at)
  }
}

/** 0 if unset, -1 if it is no port. */
function portOf(value: unknown): number {
  const port = countOfJson(value)
  if (Number.isNaN(port)) return 0
  return port <= 0xffff ? port : -1
}

/** RFC 3339 as microseconds; NaN if it is none. */
function timeOfText(value: unknown): number {
  const text = Buffer.from(textOf(value))
  return isoMicros(text, 0, text.length)
}

/** The machine that reports: its end of the conversation, with its project. '' for a gateway. */
function vantageOf(payload: unknown): string {
  const reporter = member(payload, 'reporter')
  const side = reporter === 'SRC' ? 'src_instance' : reporter === 'DEST' ? 'dest_instance' : ''
  const name = textOf(member(payload, side, 'vm_name'))
  return name === '' ? '' : printable(`${textOf(member(payload, side, 'project_id'))}/${name}`)
}
