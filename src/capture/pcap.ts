// Reads pcap files: both byte orders, microseconds and nanoseconds, and the "modified" format of some old Linux
// libpcap (magic a1b2cd34, 24-byte record headers). Format: pcap-savefile(5) of libpcap.

import { CAPTURED_MAX, type CaptureReader, type PacketSink } from './capture-file.ts'
import { Framer } from './framing.ts'

const HEADER = 24
const MICROSECONDS = 0xa1b2c3d4
const NANOSECONDS = 0xa1b23c4d
const MODIFIED = 0xa1b2cd34

export class PcapReader extends Framer implements CaptureReader {
  broken = false
  readonly #sink: PacketSink
  #little = true
  #nanoseconds = false
  #recordHeader = 0
  #linkType = 0
  #snapLength = CAPTURED_MAX
  /** Versions before 2.3 had the two lengths of a record swapped, 2.3 sometimes. */
  #swapped: 'never' | 'always' | 'maybe' = 'never'

  constructor(sink: PacketSink) {
    super()
    this.#sink = sink
  }

  end(): void {
    if (this.stopped) return
    if (this.#recordHeader === 0) {
      this.#fail('pcap_header_cut', `ends inside the file header, after ${this.left} bytes`)
    } else if (this.left > 0) {
      this.#fail(
        'packet_cut',
        `ends inside a packet record: ${this.left} of ${this.needed} bytes are there`,
      )
    }
  }

  protected override parse(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    let at = start
    if (this.#recordHeader === 0) {
      if (end - at < HEADER) {
        this.needed = HEADER
        return at
      }
      if (!this.#header(bytes, view, at)) return at
      at += HEADER
    }
    const little = this.#little
    const header = this.#recordHeader
    for (;;) {
      if (end - at < header) {
        this.needed = header
        return at
      }
      let captured = view.getUint32(at + 8, little)
      let wire = view.getUint32(at + 12, little)
      if (this.#swapped === 'always' || (this.#swapped === 'maybe' && captured > wire)) {
        const other = captured
        captured = wire
        wire = other
      }
      if (captured > CAPTURED_MAX) {
        this.#fail(
          'packet_length',
          `packet record says ${captured} captured bytes, more than ${CAPTURED_MAX}: the file is damaged from here`,
          at - start,
          bytes.subarray(at, at + header),
        )
        return at
      }
      if (end - at < header + captured) {
        this.needed = header + captured
        return at
      }
      if (captured > this.#snapLength) this.#sink.note('packets_over_snaplen', 1)
      const fraction = view.getUint32(at + 4, little)
      const time =
        view.getUint32(at, little) * 1e6 +
        (this.#nanoseconds ? Math.floor(fraction / 1000) : fraction)
      this.#sink.packet(bytes, view, at + header, captured, wire, time, this.#linkType, 0)
      at += header + captured
    }
  }

  #header(bytes: Uint8Array, view: DataView, at: number): boolean {
    let magic = view.getUint32(at, true)
    this.#little = magic === MICROSECONDS || magic === NANOSECONDS || magic === MODIFIED
    if (!this.#little) magic = view.getUint32(at, false)
    if (magic !== MICROSECONDS && magic !== NANOSECONDS && magic !== MODIFIED) {
      this.#fail('not_pcap', 'not a pcap file', 0, bytes.subarray(at, at + HEADER))
      return false
    }
    const little = this.#little
    const major = view.getUint16(at + 4, little)
    const minor = view.getUint16(at + 6, little)
    if (major !== 2) {
      this.#fail(
        'pcap_version',
        `pcap version ${major}.${minor} is not known (2.x is)`,
        0,
        bytes.subarray(at, at + HEADER),
      )
      return false
    }
    this.#nanoseconds = magic === NANOSECONDS
    this.#swapped = minor < 3 ? 'always' : minor === 3 ? 'maybe' : 'never'
    const snapLength = view.getUint32(at + 16, little)
    this.#snapLength = snapLength === 0 ? CAPTURED_MAX : snapLength
    // The upper bits tell of a frame check sequence.
    this.#linkType = view.getUint32(at + 20, little) & 0xffff
    this.#recordHeader = magic === MODIFIED ? 24 : 16
    this.#sink.captureInterface(0, '')
    return true
  }

  #fail(kind: string, words: string, ahead = 0, sample: Uint8Array = new Uint8Array(0)): void {
    this.broken = true
    this.#sink.problem(kind, this.position + ahead, words, sample)
    this.stop()
  }
}
