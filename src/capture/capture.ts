// The decoder of packet captures: bytes of a pcap or pcapng file in, flow records, coverage and rejects out.
// Bench: npm run bench:capture.

import type { ChunkWriter } from '../chunk.ts'
import { type Decoder, type DecodeStats, newStats, noteError } from '../decoder.ts'
import { wireText } from '../wire-text.ts'
import type { CaptureReader, PacketSink } from './capture-file.ts'
import { FlowTracker } from './flow-tracker.ts'
import { Fragments } from './fragments.ts'
import { enterIp } from './ip.ts'
import { enterLink, enterNextPart } from './link.ts'
import { Packet, type Skipped } from './packet.ts'
import { PcapReader } from './pcap.ts'
import { PcapngReader } from './pcapng.ts'
import { enterIpTunnel, enterUdpTunnel } from './tunnel.ts'
import { TunnelParents } from './tunnel-parents.ts'

export { sniffCapture } from './capture-file.ts'

export interface CaptureSettings {
  /** Sensor id that the records carry. */
  sensor: string
  /** Leave packets with wrong checksums out, as Zeek does. Captures made on a sending host have wrong ones. */
  verifyChecksums: boolean
  /** Four secret words for the hash of the flow table. No result depends on them. */
  hashSeed: Int32Array
  /** Most flows in the table at a time; about 430 bytes each. */
  flowsMax?: number
  /** For a capture that goes on: flows are told of when they are decided, and then this often (microseconds). */
  live?: { activeTimeout: number }
  /** Where this is one of several interfaces: all their names, and which this one is. As in a file of all of them. */
  vantages?: { names: readonly string[]; index: number }
}

export const FLOWS_MAX = 262_144
/** Tunnels within tunnels. */
const DEPTH_MAX = 4
/** Coverage rows speak of intervals of packet time this long, aligned to UTC. Microseconds. */
const INTERVAL = 600e6
/** The same where somebody watches. */
const LIVE_INTERVAL = 60e6
/** A packet this much older than those before it means that the clock was set back. */
const BACK_JUMP = 300e6
/** Largest number of rejects that are kept of one input; more are only counted. */
const REJECTS_MAX = 10_000

const NONE: readonly string[] = []

/** A decoder of a capture of this format, which `sniffCapture` tells. */
export function captureDecoder(
  format: 'pcap' | 'pcapng',
  settings: CaptureSettings,
  chunks: ChunkWriter,
): Decoder {
  return new CaptureDecoder(format, settings, chunks)
}

class CaptureDecoder implements Decoder, PacketSink {
  readonly stats: DecodeStats
  readonly #chunks: ChunkWriter
  readonly #reader: CaptureReader
  readonly #flows: FlowTracker
  readonly #fragments = new Fragments()
  readonly #parents: TunnelParents
  readonly #packet = new Packet()
  readonly #verify: boolean
  readonly #intervalLength: number
  readonly #vantages: CaptureSettings['vantages']
  readonly #metrics = new Map<string, number>()
  #packets = 0
  #bytes = 0
  #cut = 0
  #interval = Number.NaN
  #from = 0
  #to = 0
  #clock = 0
  /** What is added to packet time so that the clock does not follow a jump back. */
  #shift = 0
  #rejects = 0
  /** Tunnels that the packet in hand came through so far, and the memory it was captured in. */
  #inside: readonly string[] = NONE
  #frame = new Uint8Array(0) as Uint8Array
  readonly #unknownLinks = new Set<number>()

  constructor(format: 'pcap' | 'pcapng', settings: CaptureSettings, chunks: ChunkWriter) {
    this.stats = newStats(format)
    this.#chunks = chunks
    this.#verify = settings.verifyChecksums
    this.#vantages = settings.vantages
    this.#intervalLength = settings.live === undefined ? INTERVAL : LIVE_INTERVAL
    this.#flows = new FlowTracker(
      {
        sensor: settings.sensor,
        hashSeed: settings.hashSeed,
        flowsMax: settings.flowsMax ?? FLOWS_MAX,
        ...(settings.live && { activeTimeout: settings.live.activeTimeout }),
      },
      settings.verifyChecksums,
      chunks,
      (metric, by) => this.#count(metric, by),
    )
    this.#flows.records.interfaces.push(...(settings.vantages?.names ?? []))
    this.#parents = new TunnelParents(this.#flows)
    this.#reader = format === 'pcap' ? new PcapReader(this) : new PcapngReader(this)
  }

  get open(): number {
    return this.#flows.active
  }

  get decided(): number {
    return this.#flows.decided
  }

  push(bytes: Uint8Array): void {
    this.#reader.push(bytes)
  }

  tick(now: number): void {
    const clock = now + this.#shift
    if (clock > this.#clock) {
      this.#clock = clock
      this.#flows.advance(clock)
    }
    if (this.#packets > 0 && Math.floor(now / this.#intervalLength) > this.#interval) {
      this.#cover()
      this.#open(now)
    }
  }

  end(): void {
    this.#reader.end()
    this.#fragments.end()
    this.#flows.end()
    this.#cover()
    this.stats.broken = this.#reader.broken
  }

  packet(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    capturedLength: number,
    wireLength: number,
    time: number,
    linkType: number,
    interfaceIndex: number,
  ): void {
    const packet = this.#packet
    packet.bytes = bytes
    packet.view = view
    this.#frame = bytes
    packet.at = start
    packet.end = start + capturedLength
    // Less on the wire than was captured is a mistake of the writer.
    const wire = Math.max(wireLength, capturedLength)
    packet.wireEnd = start + wire
    packet.interfaceIndex = this.#vantages?.index ?? interfaceIndex
    packet.vlan = 0
    packet.innerVlan = 0
    packet.nextPart = 0
    packet.time = this.#tick(time)
    this.stats.packets++
    this.stats.bytes += wire
    this.#packets++
    this.#bytes += wire
    if (capturedLength < wireLength) this.#cut++
    let skipped = enterLink(packet, linkType)
    if (skipped === '') skipped = this.#ip(packet)
    else if (skipped === 'unknown_link') this.#unknownLink(linkType)
    if (skipped !== '') this.#count(skipped === 'not_ip' ? 'not_ip' : `parse_error.${skipped}`, 1)
  }

  /** The IP packet at `packet.at`, what is inside it, and the rest of an aggregate. '' if it is in a flow. */
  #ip(packet: Packet): Skipped {
    this.#inside = NONE
    const outcome = this.#enter(packet)
    while (packet.nextPart > 0 && packet.bytes === this.#frame) {
      // Every part is at least 14 bytes, so this ends.
      const skipped = enterNextPart(packet) || this.#enter(packet)
      if (skipped !== '') this.#count(`inner_parse_error.${skipped}`, 1)
    }
    return outcome
  }

  #enter(packet: Packet): Skipped {
    let outcome: Skipped = ''
    let parents = this.#inside
    for (let depth = 0; ; depth++) {
      let skipped = enterIp(packet, this.#verify)
      if (skipped === '' && (packet.moreFragments || packet.fragmentOffset > 0)) {
        skipped = this.#fragments.take(packet)
        if (skipped === '') {
          skipped = enterIp(packet, false)
          packet.reassembled = true
        } else if (skipped === 'fragment_cut' && packet.fragmentOffset === 0) skipped = ''
      }
      if (skipped !== '') return depth === 0 ? skipped : this.#inner(skipped, outcome)
      const tunnel = enterIpTunnel(packet)
      if (tunnel !== '') {
        parents = this.#parents.pair(packet, parents)
        outcome = 'tunnel'
      } else {
        skipped = this.#flows.take(packet, parents)
        if (skipped !== '') return depth === 0 ? skipped : this.#inner(skipped, outcome)
        outcome = ''
        if (packet.protocol !== 17) return ''
        const payload = packet.payload + 8
        const { view } = packet
        const inside = enterUdpTunnel(
          packet,
          payload,
          packet.payloadLength - 8,
          view.getUint16(packet.payload),
          this.#flows.respPort,
        )
        if (inside === '') return ''
        if (inside !== 'gre') this.#flows.addService(inside)
        parents = this.#parents.flow(parents)
      }
      this.#inside = parents
      if (depth >= DEPTH_MAX) return this.#inner('tunnel_too_deep', outcome)
    }
  }

  /** What is inside a tunnel could not be read: the packet stays counted where it was, or is told as lost. */
  #inner(skipped: Skipped, outcome: Skipped): Skipped {
    if (outcome !== '') return skipped
    this.#count(`inner_parse_error.${skipped}`, 1)
    return ''
  }

  problem(kind: string, at: number, words: string, sample: Uint8Array): void {
    noteError(this.stats, `${words} (byte ${at})`)
    this.#count(`parse_error.${kind}`, 1)
    if (this.#rejects++ >= REJECTS_MAX) return
    this.#chunks.reject({
      kind: 'pcap',
      at,
      unit: 'byte',
      reason: kind,
      detail: words,
      sample: wireText(sample, 0, sample.length, 128),
    })
  }

  captureInterface(index: number, name: string): void {
    if (this.#vantages === undefined) this.#flows.records.interfaces[index] = name
  }

  note(metric: string, count: number): void {
    this.#count(metric, count)
  }

  #unknownLink(linkType: number): void {
    this.#count(`unknown_link.${linkType}`, 1)
    if (this.#unknownLinks.has(linkType) || this.#unknownLinks.size >= 64) return
    this.#unknownLinks.add(linkType)
    this.#chunks.reject({
      kind: 'pcap',
      at: this.stats.packets,
      unit: 'packet',
      reason: 'unknown_link',
      detail: `packets of link type ${linkType} cannot be taken apart; from this one on they are only counted`,
      sample: '',
    })
  }

  /** Follows packet time; returns the time to record, which is the last known one if the packet has none. */
  #tick(time: number): number {
    if (Number.isNaN(time)) {
      this.#count('packets_without_time', 1)
      if (Number.isNaN(this.#interval)) this.#open(0)
      return this.#to
    }
    const clock = time + this.#shift
    if (clock > this.#clock) this.#clock = clock
    else if (clock < this.#clock - BACK_JUMP) {
      this.#shift += this.#clock - clock
      this.#count('clock_jump.back', 1)
    }
    this.#flows.advance(this.#clock)
    const interval = Math.floor(time / this.#intervalLength)
    if (interval !== this.#interval) {
      if (!(interval < this.#interval)) {
        this.#cover()
        this.#open(time)
      }
    }
    if (time < this.#from) this.#from = time
    if (time > this.#to) this.#to = time
    return time
  }

  #open(time: number): void {
    this.#interval = Math.floor(time / this.#intervalLength)
    this.#from = time
    this.#to = time
  }

  #count(metric: string, by: number): void {
    this.#metrics.set(metric, (this.#metrics.get(metric) ?? 0) + by)
  }

  /** Writes the coverage of the interval that is over. */
  #cover(): void {
    if (this.#fragments.givenUp > 0) this.#count('fragments_given_up', this.#fragments.givenUp)
    if (this.#fragments.overlaps > 0) this.#count('fragment_overlap', this.#fragments.overlaps)
    this.#fragments.givenUp = 0
    this.#fragments.overlaps = 0
    const row = (metric: string, value: number) => {
      if (value > 0)
        this.#chunks.cover({ kind: 'pcap', from: this.#from, to: this.#to, metric, value })
    }
    row('packets', this.#packets)
    row('bytes', this.#bytes)
    row('packets_cut', this.#cut)
    for (const [metric, value] of this.#metrics) row(metric, value)
    this.#metrics.clear()
    this.#packets = 0
    this.#bytes = 0
    this.#cut = 0
  }
}
