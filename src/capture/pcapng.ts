// Reads pcapng files: sections of either byte order, interfaces with their own clock, enhanced, simple and
// obsolete packet blocks; other blocks are passed over. A damaged block is reported and the next whole block is
// looked for. Format: draft-ietf-opsawg-pcapng.

import { wireText } from '../wire-text.ts'
import { CAPTURED_MAX, type CaptureReader, type PacketSink } from './capture-file.ts'
import { Framer } from './framing.ts'
import { microsecondClock, type TickClock } from './tick-clock.ts'

const SECTION = 0x0a0d0d0a
const INTERFACE = 1
const OBSOLETE_PACKET = 2
const SIMPLE_PACKET = 3
const STATISTICS = 5
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
/** Largest block that is read as a whole. Larger ones of a kind that is not needed are passed over. */
const BLOCK_MAX = 1 << 20
/** Bytes of a damaged block that are shown. */
const SAMPLE_MAX = 64
/** Most interfaces of one section. */
const INTERFACES_MAX = 4096

interface CaptureInterface {
  linkType: number
  snapLength: number
  clock: TickClock
  index: number
}

export class PcapngReader extends Framer implements CaptureReader {
  broken = false
  readonly #sink: PacketSink
  #little = true
  #inSection = false
  /** True while the next whole block is looked for. */
  #lost = false
  #interfaces: CaptureInterface[] = []
  #interfaceCount = 0

  constructor(sink: PacketSink) {
    super()
    this.#sink = sink
  }

  end(): void {
    if (this.stopped) return
    if (!this.#inSection) this.#report('pcapng_header_cut', 'ends inside the section header')
    else if (this.missing > 0)
      this.#report('block_cut', `ends ${this.missing} bytes before the end of a block`)
    else if (this.left > 0 && !this.#lost)
      this.#report(
        'block_cut',
        `ends inside a block: ${this.left} of ${this.needed} bytes are there`,
      )
  }

  protected override parse(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    let at = start
    for (;;) {
      if (end - at < 12) {
        this.needed = 12
        return at
      }
      const type = view.getUint32(at, this.#little)
      if (type === SECTION ? !this.#findOrder(view, at) : !this.#inSection) {
        this.#lose('not_pcapng', 'no section header where one must be', at - start, bytes, at)
        if (this.stopped) return at
        at += 4
        continue
      }
      const length = view.getUint32(at + 4, this.#little)
      if (this.#lost && !plausible(type, length)) {
        at += 4
        continue
      }
      if (length < 12 || length % 4 !== 0 || (length > BLOCK_MAX && isRead(type))) {
        this.#lose(
          'block_length',
          `block of type ${type} with length ${length}`,
          at - start,
          bytes,
          at,
        )
        if (this.stopped) return at
        at += 4
        continue
      }
      if (length > BLOCK_MAX) {
        this.skip = length
        return at
      }
      if (end - at < length) {
        this.needed = length
        return at
      }
      if (view.getUint32(at + length - 4, this.#little) !== length) {
        if (!this.#lost)
          this.#lose(
            'block_trailer',
            `block of type ${type} whose two lengths differ`,
            at - start,
            bytes,
            at,
            length,
          )
        if (this.stopped) return at
        at += 4
        continue
      }
      this.#lost = false
      this.#block(bytes, view, type, at, length, at - start)
      if (this.stopped) return at
      at += length
    }
  }

  /** The byte order of the section whose header is at `at`; false if it has none. */
  #findOrder(view: DataView, at: number): boolean {
    const little = view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC
    if (!little && view.getUint32(at + 8, false) !== BYTE_ORDER_MAGIC) return false
    this.#little = little
    return true
  }

  #block(
    bytes: Uint8Array,
    view: DataView,
    type: number,
    at: number,
    length: number,
    ahead: number,
  ): void {
    const fits =
      type === SECTION
        ? this.#section(view, at, length)
        : type === INTERFACE
          ? this.#interface(bytes, view, at, length)
          : type === ENHANCED_PACKET || type === OBSOLETE_PACKET
            ? this.#packet(bytes, view, type, at, length)
            : type === SIMPLE_PACKET
              ? this.#simplePacket(bytes, view, at, length)
              : type === STATISTICS
                ? this.#statistics(view, at, length)
                : ''
    if (fits !== '')
      this.#report(
        `block_${fits}`,
        `block of type ${type}: ${fits.replaceAll('_', ' ')}`,
        ahead,
        bytes,
        at,
        length,
      )
  }

  #section(view: DataView, at: number, length: number): string {
    if (length < 28) return 'too_short'
    const major = view.getUint16(at + 12, this.#little)
    const minor = view.getUint16(at + 14, this.#little)
    this.#inSection = true
    this.#interfaces = []
    if (major === 1) return ''
    this.broken = true
    this.#sink.problem(
      'pcapng_version',
      this.position,
      `pcapng version ${major}.${minor} is not known (1.x is)`,
      new Uint8Array(0),
    )
    this.stop()
    return ''
  }

  #interface(bytes: Uint8Array, view: DataView, at: number, length: number): string {
    if (length < 20) return 'too_short'
    if (this.#interfaces.length >= INTERFACES_MAX) return 'too_many_interfaces'
    const little = this.#little
    let name = ''
    let resolution = 6
    let offset = 0
    eachOption(view, at + 16, at + length - 4, little, (code, from, size) => {
      if (code === 2) name = wireText(bytes, from, from + size, 64)
      else if (code === 9 && size >= 1) resolution = view.getUint8(from)
      else if (code === 14 && size >= 8)
        offset =
          view.getInt32(from + (little ? 4 : 0), little) * 0x1_0000_0000 +
          view.getUint32(from + (little ? 0 : 4), little)
    })
    const index = this.#interfaceCount++
    this.#interfaces.push({
      linkType: view.getUint16(at + 8, little),
      snapLength: view.getUint32(at + 12, little),
      clock: microsecondClock(resolution, offset),
      index,
    })
    this.#sink.captureInterface(index, name)
    return ''
  }

  #packet(bytes: Uint8Array, view: DataView, type: number, at: number, length: number): string {
    if (length < 32) return 'too_short'
    const little = this.#little
    const id =
      type === ENHANCED_PACKET ? view.getUint32(at + 8, little) : view.getUint16(at + 8, little)
    const captured = view.getUint32(at + 20, little)
    if (captured > length - 32 || captured > CAPTURED_MAX) return 'packet_length'
    const face = this.#interfaces[id]
    if (face === undefined) return 'of_unknown_interface'
    const time = face.clock(view.getUint32(at + 12, little), view.getUint32(at + 16, little))
    const wire = view.getUint32(at + 24, little)
    if (face.snapLength !== 0 && captured > face.snapLength)
      this.#sink.note('packets_over_snaplen', 1)
    this.#sink.packet(bytes, view, at + 28, captured, wire, time, face.linkType, face.index)
    return ''
  }

  #simplePacket(bytes: Uint8Array, view: DataView, at: number, length: number): string {
    if (length < 16) return 'too_short'
    const face = this.#interfaces[0]
    if (face === undefined) return 'of_unknown_interface'
    const wire = view.getUint32(at + 8, this.#little)
    let captured = Math.min(wire, length - 16)
    if (face.snapLength !== 0) captured = Math.min(captured, face.snapLength)
    if (captured > CAPTURED_MAX) return 'packet_length'
    this.#sink.packet(bytes, view, at + 12, captured, wire, Number.NaN, face.linkType, face.index)
    return ''
  }

  /** Interface statistics: what the capturing side itself knows to have lost. */
  #statistics(view: DataView, at: number, length: number): string {
    if (length < 24) return 'too_short'
    const little = this.#little
    eachOption(view, at + 20, at + length - 4, little, (code, from, size) => {
      if ((code === 5 || code === 7) && size === 8) {
        const high = view.getUint32(from + (little ? 4 : 0), little)
        const low = view.getUint32(from + (little ? 0 : 4), little)
        const drops = high * 0x1_0000_0000 + low
        if (drops > 0 && drops <= Number.MAX_SAFE_INTEGER)
          this.#sink.note(code === 5 ? 'interface_drops' : 'kernel_drops', drops)
      }
    })
    return ''
  }

  /** `size`: how much of the block is there whatever the pieces. */
  #lose(
    kind: string,
    words: string,
    ahead: number,
    bytes: Uint8Array,
    at: number,
    size = 12,
  ): void {
    if (!this.#lost) this.#report(kind, words, ahead, bytes, at, size)
    this.#lost = true
    if (!this.#inSection) this.stop()
  }

  #report(
    kind: string,
    words: string,
    ahead = 0,
    bytes: Uint8Array = new Uint8Array(0),
    at = 0,
    size = 0,
  ): void {
    this.broken = true
    const sample = bytes.subarray(at, at + Math.min(size, SAMPLE_MAX))
    this.#sink.problem(kind, this.position + ahead, words, sample)
  }
}

function isRead(type: number): boolean {
  return (type >= INTERFACE && type <= ENHANCED_PACKET) || type === SECTION
}

/** While lost, only blocks of a known kind and a believable length are tried. */
function plausible(type: number, length: number): boolean {
  return isRead(type) && length >= 12 && length <= BLOCK_MAX && length % 4 === 0
}

/** Calls back for each option of `[from, to)`: code, start of its value, length of its value. */
function eachOption(
  view: DataView,
  from: number,
  to: number,
  little: boolean,
  visit: (code: number, from: number, size: number) => void,
): void {
  let at = from
  while (at + 4 <= to) {
    const code = view.getUint16(at, little)
    const size = view.getUint16(at + 2, little)
    if (code === 0 || at + 4 + size > to) return
    visit(code, at + 4, size)
    at += 4 + ((size + 3) & ~3)
  }
}
