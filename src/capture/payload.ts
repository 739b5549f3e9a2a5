// What payloads say of the flow in hand: its service, its name, and DNS answers for later flows.

import * as ANOMALY from './anomalies.ts'
import { FIRST_BYTES_MAX, FirstBytes } from './first-bytes.ts'
import {
  type Inspection,
  inspectDatagram,
  inspectResponder,
  inspectStream,
} from './first-payload.ts'
import type { FlowBook } from './flow-book.ts'
import * as F from './flow-fields.ts'
import { ends, readEnds } from './names.ts'
import type { Packet } from './packet.ts'
import { QuicInitials } from './quic.ts'
import { udpService } from './service.ts'
import type { TcpMachine } from './tcp.ts'

/** Bytes that all streams together may hold while their beginnings are incomplete. */
const BUDGET = 64 << 20

export class Payloads {
  readonly #flows: FlowBook
  /** Services seen together, comma-joined, by code. 0 = none. */
  readonly #services = ['']
  readonly #serviceCodes = new Map<string, number>([['', 0]])
  /** For each code: the code with a further service. */
  readonly #sums = [new Map<string, number>()]
  #held = 0

  constructor(flows: FlowBook) {
    this.#flows = flows
  }

  serviceOf(code: number): string {
    return this.#services[code] ?? ''
  }

  /** Adds services to those of the flow: `ssl`, or several joined by a comma. */
  addService(names: string): void {
    if (names === '') return
    const { page, at } = this.#flows
    const before = page.words[at + F.SERVICE]!
    const known = this.#sums[before]!.get(names)
    page.words[at + F.SERVICE] = known ?? this.#sum(before, names)
  }

  #sum(before: number, names: string): number {
    let joined = this.serviceOf(before)
    for (const name of names.split(','))
      if (!joined.split(',').includes(name)) joined = joined === '' ? name : `${joined},${name}`
    let code = this.#serviceCodes.get(joined)
    if (code === undefined) {
      code = this.#services.push(joined) - 1
      this.#sums.push(new Map())
      this.#serviceCodes.set(joined, code)
    }
    this.#sums[before]!.set(names, code)
    return code
  }

  /** A TCP segment with payload, which begins at `start`. */
  segment(packet: Packet, start: number, tcp: TcpMachine): void {
    const flows = this.#flows
    const { words } = flows.page
    const flags = words[flows.at + F.FLAGS]!
    const end = start + Math.min(tcp.length, tcp.captured)
    if (!flows.fromOrig) {
      if ((flags & F.RESP_INSPECTED) === 0 && end > start) {
        words[flows.at + F.FLAGS]! |= F.RESP_INSPECTED
        this.addService(inspectResponder(packet.bytes, start, end))
      }
      if (flows.respPort === 53 && end - start > 14) this.#dnsAnswer(packet, start + 2, end)
      return
    }
    if ((flags & F.INSPECTED) !== 0) {
      if (words[flows.at + F.SERVICE] !== 0) this.#again(packet, start, end)
      return
    }
    this.#first(packet, start, end, tcp)
  }

  /** The originator's first bytes, or what they lack. */
  #first(packet: Packet, start: number, end: number, tcp: TcpMachine): void {
    const flows = this.#flows
    const { words } = flows.page
    const cut = tcp.captured < tcp.length
    const buffer = flows.extraIfAny?.first
    const offset = tcp.position - 1
    if (buffer === undefined) {
      if (offset === 0 || Number.isNaN(offset)) {
        const found = inspectStream(packet.bytes, start, end, cut)
        if (found.status !== 'more') {
          this.#found(found, packet.time)
          return
        }
      } else if (offset >= FIRST_BYTES_MAX || offset < 0) {
        words[flows.at + F.ANOMALIES]! |= ANOMALY.FIRST_BYTES_MISSING
        this.#found(inspectStream(packet.bytes, start, end, true), packet.time)
        return
      }
      if (this.#held > BUDGET) {
        words[flows.at + F.ANOMALIES]! |= ANOMALY.FIRST_BYTES_LIMIT
        this.#found(inspectStream(packet.bytes, start, end, true), packet.time)
        return
      }
    }
    const first = buffer ?? new FirstBytes()
    if (buffer === undefined) {
      flows.extra().first = first
      this.#held += FIRST_BYTES_MAX
    }
    first.add(Math.max(0, offset || 0), packet.bytes, start, end)
    if (first.ready === 0 && !first.full) return
    const final = first.full || cut
    const found = inspectStream(first.bytes, 0, first.ready, final)
    if (found.status === 'more') return
    if (final && found.status === 'none' && first.full)
      words[flows.at + F.ANOMALIES]! |= ANOMALY.FIRST_BYTES_LIMIT
    this.#found(found, packet.time)
  }

  /** A later segment: another name than the frozen one is worth telling (a proxy's next request, STARTTLS). */
  #again(packet: Packet, start: number, end: number): void {
    const flows = this.#flows
    const first = packet.bytes[start]!
    // A TLS handshake record, or a letter that a request line may begin with.
    if (end - start < 16 || !(first === 0x16 || (first >= 0x41 && first <= 0x5a))) return
    const service = flows.service
    if (first === 0x16 ? service.includes('ssl') : !service.includes('http')) return
    const found = inspectStream(packet.bytes, start, end, true)
    if (found.status === 'none' || found.status === 'more') return
    this.addService(found.service)
    const { page, at, dat } = flows
    flows.names.learn(page, at, dat, found, packet.time, flows.extra)
  }

  #found(found: Inspection, when: number): void {
    const flows = this.#flows
    const { page, at, dat } = flows
    page.words[at + F.FLAGS]! |= F.INSPECTED
    const extra = flows.extraIfAny
    if (extra?.first !== undefined) {
      extra.first = undefined
      this.#held -= FIRST_BYTES_MAX
    }
    if (found.status === 'more') {
      flows.decide('no_name', when)
      return
    }
    this.addService(found.service)
    flows.names.learn(page, at, dat, found, when, flows.extra)
  }

  /** A UDP datagram with `length` bytes of payload by the headers. */
  datagram(packet: Packet, length: number): void {
    const flows = this.#flows
    const { page, at, fromOrig } = flows
    const { words } = page
    const start = packet.payload + 8
    const end = Math.min(start + length, packet.payload + packet.payloadCaptured)
    const flags = words[at + F.FLAGS]!
    const seen = fromOrig ? F.INSPECTED : F.RESP_INSPECTED
    if ((flags & seen) === 0) {
      if (end > start) {
        const service = udpService(packet.bytes, start, end, flows.origPort, flows.respPort)
        this.addService(service)
        if (fromOrig) this.#firstDatagram(packet, start, end, service)
        else words[at + F.FLAGS]! |= seen
      } else if (fromOrig) flows.decide('no_name', packet.time)
    }
    if (!fromOrig && flows.respPort === 53) this.#dnsAnswer(packet, start, end)
    // An answer whose question was not seen makes its sender the originator.
    else if (fromOrig && flows.origPort === 53) this.#dnsAnswer(packet, start, end)
  }

  #firstDatagram(packet: Packet, start: number, end: number, service: string): void {
    const flows = this.#flows
    const { page, at, dat } = flows
    const known = flows.extraIfAny?.quic
    if (known === undefined && service !== 'quic') {
      page.words[at + F.FLAGS]! |= F.INSPECTED
      const found = service === 'dtls' ? inspectDatagram(packet.bytes, start, end) : undefined
      if (found === undefined || found.status === 'more') flows.decide('no_name', packet.time)
      else flows.names.learn(page, at, dat, found, packet.time, flows.extra)
      return
    }
    const quic = known ?? new QuicInitials()
    if (known === undefined) flows.extra().quic = quic
    const found = quic.push(packet.bytes, start, end)
    if (found.status === 'more') return
    this.#endQuic(found, packet.time)
  }

  #endQuic(found: Inspection, when: number): void {
    const flows = this.#flows
    const { page, at, dat } = flows
    page.words[at + F.FLAGS]! |= F.INSPECTED
    const extra = flows.extraIfAny
    if (extra !== undefined) extra.quic = undefined
    if (found.status === 'more') flows.decide('no_name', when)
    else flows.names.learn(page, at, dat, found, when, flows.extra)
  }

  #dnsAnswer(packet: Packet, start: number, end: number): void {
    const flows = this.#flows
    readEnds(flows.page.words, flows.at)
    const client = flows.fromOrig ? 16 : 0
    flows.names.learnDns(packet.bytes, start, end, ends, client, packet.time)
  }

  /** The flow in hand is over: what its first bytes say so far has to do. */
  finish(): void {
    const flows = this.#flows
    const extra = flows.extraIfAny
    if (extra === undefined) return
    const when = flows.page.doubles[flows.dat + F.LAST_SEEN]!
    if (extra.first !== undefined) {
      const { first } = extra
      if (first.gapped) flows.page.words[flows.at + F.ANOMALIES]! |= ANOMALY.FIRST_BYTES_MISSING
      this.#found(inspectStream(first.bytes, 0, first.ready, true), when)
    } else if (extra.quic !== undefined) this.#endQuic(extra.quic.finish(), when)
  }
}
