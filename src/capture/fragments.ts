// Puts IP fragments together. As Zeek, a reassembled packet counts once, with the length it had before it was
// fragmented. Bounded: trackers, bytes and time; overlapping pieces are an anomaly, the first one wins.

import type { Packet, Skipped } from './packet.ts'

export const TRACKERS_MAX = 4096
/** Bytes held by all trackers together. */
const BYTES_MAX = 32 << 20
/** Pieces of one packet: 65,535 bytes in the smallest pieces that routers make. */
const PIECES_MAX = 1024
const PATIENCE = 30e6

interface Tracker {
  since: number
  /** Header of the first piece, once it is there. */
  header: Uint8Array | undefined
  /** In order of their offsets, without overlap. */
  pieces: { from: number; to: number; bytes: Uint8Array }[]
  held: number
  /** Length of the whole payload, once the last piece is there; else -1. */
  length: number
  overlap: boolean
  packets: number
}

export interface Reassembly {
  /** Fragments waiting for the rest of their packet. */
  readonly waiting: number
  /** Fragments given up, because the rest did not come in time or there was no room. */
  givenUp: number
  overlaps: number
}

export class Fragments implements Reassembly {
  waiting = 0
  givenUp = 0
  overlaps = 0
  #held = 0
  readonly #trackers = new Map<string, Tracker>()

  /**
   * Takes a fragment. '' = it completed a packet, and `packet` now is that packet, in memory of its own,
   * to be entered again with `enterIp`.
   * Anything else says why not.
   */
  take(packet: Packet): Skipped {
    this.#expire(packet.time)
    if (packet.payloadCaptured < packet.payloadLength) return 'fragment_cut'
    if (packet.moreFragments && packet.payloadLength % 8 !== 0) return 'fragment_length'
    if (packet.fragmentOffset + packet.payloadLength > 0xffff) return 'fragment_length'
    const key = keyOf(packet)
    let tracker = this.#trackers.get(key)
    if (tracker === undefined) {
      tracker = {
        since: packet.time,
        header: undefined,
        pieces: [],
        held: 0,
        length: -1,
        overlap: false,
        packets: 0,
      }
      this.#makeRoom()
      this.#trackers.set(key, tracker)
    }
    tracker.packets++
    this.waiting++
    this.#insert(tracker, packet)
    if (tracker.pieces.length > PIECES_MAX) {
      this.#giveUp(key, tracker)
      return 'fragment_limit'
    }
    if (!isWhole(tracker)) return 'fragment'
    this.#forget(key, tracker)
    assemble(packet, tracker)
    return ''
  }

  /** The input is over. */
  end(): void {
    for (const [key, tracker] of this.#trackers) this.#giveUp(key, tracker)
  }

  #insert(tracker: Tracker, packet: Packet): void {
    const from = packet.fragmentOffset
    const to = from + packet.payloadLength
    if (!packet.moreFragments && tracker.length < 0) tracker.length = to
    if (from === 0 && tracker.header === undefined) tracker.header = headerOf(packet)
    const { pieces } = tracker
    let place = pieces.length
    while (place > 0 && pieces[place - 1]!.from > from) place--
    const before = pieces[place - 1]
    const after = pieces[place]
    const clear =
      (before === undefined || before.to <= from) && (after === undefined || after.from >= to)
    if (!clear) {
      if (!tracker.overlap) this.overlaps++
      tracker.overlap = true
      // A repeated piece adds nothing; a partly new one is cut to what is new, before the next piece.
      const start = Math.max(from, before?.to ?? 0)
      const stop = Math.min(to, after?.from ?? to)
      if (start < stop) this.#put(tracker, packet, place, start, stop)
      return
    }
    if (to > from) this.#put(tracker, packet, place, from, to)
  }

  #put(tracker: Tracker, packet: Packet, place: number, from: number, to: number): void {
    const start = packet.payload + from - packet.fragmentOffset
    const bytes = packet.bytes.slice(start, start + to - from)
    tracker.pieces.splice(place, 0, { from, to, bytes })
    tracker.held += bytes.length
    this.#held += bytes.length
  }

  #expire(now: number): void {
    // Trackers are in order of their beginning, so this stops at the first that may stay.
    for (const [key, tracker] of this.#trackers) {
      if (now - tracker.since <= PATIENCE && this.#held <= BYTES_MAX) return
      this.#giveUp(key, tracker)
    }
  }

  #makeRoom(): void {
    if (this.#trackers.size < TRACKERS_MAX) return
    for (const [key, tracker] of this.#trackers) {
      this.#giveUp(key, tracker)
      return
    }
  }

  #giveUp(key: string, tracker: Tracker): void {
    this.givenUp += tracker.packets
    this.#forget(key, tracker)
  }

  #forget(key: string, tracker: Tracker): void {
    this.#trackers.delete(key)
    this.#held -= tracker.held
    this.waiting -= tracker.packets
  }
}

function keyOf(packet: Packet): string {
  const size = packet.version === 4 ? 4 : 16
  const { bytes } = packet
  let key = `${packet.fragmentId}/${packet.version === 4 ? packet.protocol : ''}/`
  for (let i = 0; i < size; i++)
    key += String.fromCharCode(bytes[packet.source + i]!, bytes[packet.destination + i]!)
  return key
}

/** The IP header of the first piece as if it had never been cut: without IPv6's fragment header. */
function headerOf(packet: Packet): Uint8Array {
  if (packet.version === 4) return packet.bytes.slice(packet.ip, packet.payload)
  const header = packet.bytes.slice(packet.ip, packet.fragmentHeader)
  header[packet.fragmentNamed - packet.ip] = packet.bytes[packet.fragmentHeader]!
  return header
}

function isWhole(tracker: Tracker): boolean {
  if (tracker.length < 0 || tracker.header === undefined) return false
  let reached = 0
  for (const piece of tracker.pieces) {
    if (piece.from > reached) return false
    reached = Math.max(reached, piece.to)
  }
  return reached >= tracker.length
}

/** Makes `packet` the whole packet, in memory of its own. Its header is for `enterIp` to read again. */
function assemble(packet: Packet, tracker: Tracker): void {
  const header = tracker.header!
  const bytes = new Uint8Array(header.length + tracker.length)
  const view = new DataView(bytes.buffer)
  bytes.set(header)
  for (const piece of tracker.pieces) {
    // A piece beyond the last one is a lie of the sender.
    const room = tracker.length - piece.from
    if (room > 0) bytes.set(piece.bytes.subarray(0, room), header.length + piece.from)
  }
  if (packet.version === 4) {
    view.setUint16(2, Math.min(bytes.length, 0xffff))
    view.setUint16(6, 0)
  } else {
    view.setUint16(4, Math.min(bytes.length - 40, 0xffff))
  }
  packet.bytes = bytes
  packet.view = view
  packet.at = 0
  packet.end = bytes.length
  packet.wireEnd = bytes.length
}
