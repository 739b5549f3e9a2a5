// Which bytes of a TCP stream were never captured: a hole that the receiver has acknowledged. Follows Zeek's
// reassembler, without keeping a byte: only where the stream has been seen up to, and what lies beyond a hole.

import * as F from './flow-fields.ts'
import type { TcpMachine } from './tcp.ts'

/** Pieces beyond a hole that are remembered per direction. */
const PIECES_MAX = 64
/** Bytes beyond a hole, and bytes sent, that need no acknowledgement to be believed (Zeek's defaults). */
const ABOVE_HOLE_MAX = 16_384
const INITIAL_WINDOW_MAX = 16_384

export class TcpGaps {
  readonly #tcp: TcpMachine
  /** Pieces beyond a hole, by flow and direction: from, to, from, to ... in order. */
  readonly #pieces = new Map<number, number[]>()

  constructor(tcp: TcpMachine) {
    this.#tcp = tcp
  }

  #key(e: number): number {
    return this.#tcp.flow * 2 + (e === this.#tcp.at + F.ORIG ? 0 : 1)
  }

  /** The endpoint sent `length` bytes at a relative position. */
  sent(e: number, position: number, length: number): void {
    const tcp = this.#tcp
    const { words, doubles } = tcp
    if ((words[e + F.SEEN]! & F.NO_TRACKING) !== 0) return
    const c = tcp.counts(e)
    const acked = this.#acked(e)
    const to = position + length
    let from = position
    if (from < acked) {
      if (to <= acked) return
      from = acked
    }
    const reached = this.#reached(c)
    if (to > doubles[c + F.UPPER]!) doubles[c + F.UPPER] = to
    if (from > reached) {
      this.#remember(e, from, to)
    } else if (to > reached) {
      doubles[c + F.REACHED] = to
      if ((words[e + F.SEEN]! & F.HAS_HOLES) !== 0) this.#absorb(e, c)
    }
    if (!this.#nothingAcked(e)) return
    if (doubles[c + F.UPPER]! - this.#reached(c) > ABOVE_HOLE_MAX) this.#giveUp(e)
    else if (doubles[c + F.UPPER]! > INITIAL_WINDOW_MAX)
      doubles[c + F.TRIMMED] = Math.max(doubles[c + F.TRIMMED]!, this.#reached(c))
  }

  /** The peer acknowledged what `e` sent, up to a relative position. */
  acknowledged(e: number, p: number, position: number): void {
    const tcp = this.#tcp
    const { words, doubles } = tcp
    const c = tcp.counts(e)
    let upTo = position
    if (words[e + F.FIN_COUNT]! > 0 && upTo >= doubles[c + F.FIN_SEQ]!)
      upTo = doubles[c + F.FIN_SEQ]! - 1
    if (upTo <= Math.max(1, doubles[c + F.TRIMMED]!)) return
    if (upTo > this.#reached(c) && (words[e + F.SEEN]! & F.NO_TRACKING) === 0)
      this.#undelivered(e, p, c, upTo)
    doubles[c + F.TRIMMED] = upTo
    this.checkEnd(e, p)
  }

  #undelivered(e: number, p: number, c: number, upTo: number): void {
    const { words, doubles, at } = this.#tcp
    // A partial connection's first bytes were not missed: its numbering is made up.
    if (upTo <= 2 && (words[at + F.FLAGS]! & F.PARTIAL) !== 0) return
    let reached = this.#reached(c)
    const pieces =
      (words[e + F.SEEN]! & F.HAS_HOLES) !== 0 ? this.#pieces.get(this.#key(e)) : undefined
    if (pieces !== undefined) {
      let used = 0
      while (used < pieces.length && pieces[used]! < upTo) {
        if (pieces[used]! > reached) this.#gap(e, p, pieces[used]! - reached)
        reached = Math.max(reached, pieces[used + 1]!)
        used += 2
      }
      pieces.splice(0, used)
      if (pieces.length === 0) this.#forget(e)
    }
    if (upTo > reached) {
      this.#gap(e, p, upTo - reached)
      reached = upTo
    }
    doubles[c + F.REACHED] = reached
    if ((words[e + F.SEEN]! & F.HAS_HOLES) !== 0) this.#absorb(e, c)
  }

  /** Gaps are only told of connections whose numbers can be trusted. */
  #gap(e: number, p: number, length: number): void {
    const tcp = this.#tcp
    if (!this.#isClean(e) || !this.#isClean(p)) return
    tcp.scaledLetter(e, F.GAPS, e === tcp.at + F.ORIG ? 0x47 : 0x67)
    tcp.doubles[tcp.dat + F.MISSED]! += length
  }

  #isClean(e: number): boolean {
    const { words } = this.#tcp
    const state = words[e + F.STATE]
    return (
      state === F.ESTABLISHED ||
      (state === F.CLOSED && words[e + F.PREVIOUS_STATE] === F.ESTABLISHED)
    )
  }

  /** True if not all that the endpoint sent was seen yet, or the peer has unacknowledged bytes. */
  pending(e: number, p: number): boolean {
    const tcp = this.#tcp
    const { words, doubles } = tcp
    if ((words[e + F.SEEN]! & F.NO_TRACKING) !== 0) return false
    const last = tcp.relative(
      e,
      words[e + F.LAST_SEQ]!,
      words[e + F.LAST_SEQ]!,
      words[e + F.SEQ_WRAPS]!,
    )
    const reached = this.#reached(tcp.counts(e))
    if (last < reached) return false
    if (reached !== last - 1 && reached !== last) return true
    if (words[e + F.STATE] === F.RESET) return false
    const pc = tcp.counts(p)
    return doubles[pc + F.UPPER]! > Math.max(1, doubles[pc + F.TRIMMED]!)
  }

  /** Ends a deferred close when everything has been seen. */
  checkEnd(e: number, p: number): void {
    const tcp = this.#tcp
    const { words, at } = tcp
    if ((words[e + F.SEEN]! & F.DID_EOF) !== 0) return
    const state = words[e + F.STATE]!
    if (words[e + F.FIN_COUNT] === 0 && state !== F.CLOSED && state !== F.RESET) return
    if (this.pending(e, p)) return
    words[e + F.SEEN]! |= F.DID_EOF
    if ((words[at + F.FLAGS]! & F.CLOSE_DEFERRED) !== 0) tcp.close(e, p)
  }

  /** The flow leaves the table. */
  release(flow: number): void {
    this.#pieces.delete(flow * 2)
    this.#pieces.delete(flow * 2 + 1)
  }

  flip(): void {
    const { flow } = this.#tcp
    const orig = this.#pieces.get(flow * 2)
    const resp = this.#pieces.get(flow * 2 + 1)
    this.release(flow)
    if (orig !== undefined) this.#pieces.set(flow * 2 + 1, orig)
    if (resp !== undefined) this.#pieces.set(flow * 2, resp)
  }

  #reached(c: number): number {
    return Math.max(1, this.#tcp.doubles[c + F.REACHED]!)
  }

  #acked(e: number): number {
    const { words } = this.#tcp
    const ack = words[e + F.ACK_SEQ]!
    return this.#tcp.relative(e, ack, ack, words[e + F.ACK_WRAPS]!)
  }

  #nothingAcked(e: number): boolean {
    const { words } = this.#tcp
    const offset = (words[e + F.ACK_SEQ]! - words[e + F.START_SEQ]!) | 0
    return offset === 0 || offset === 1
  }

  #remember(e: number, from: number, to: number): void {
    const { words } = this.#tcp
    const key = this.#key(e)
    let pieces = this.#pieces.get(key)
    if (pieces === undefined) {
      pieces = []
      this.#pieces.set(key, pieces)
      words[e + F.SEEN]! |= F.HAS_HOLES
    }
    let start = from
    let stop = to
    let place = 0
    while (place < pieces.length && pieces[place + 1]! < start) place += 2
    let after = place
    while (after < pieces.length && pieces[after]! <= stop) {
      start = Math.min(start, pieces[after]!)
      stop = Math.max(stop, pieces[after + 1]!)
      after += 2
    }
    pieces.splice(place, after - place, start, stop)
    if (pieces.length > 2 * PIECES_MAX) this.#giveUp(e)
  }

  #absorb(e: number, c: number): void {
    const { doubles } = this.#tcp
    const pieces = this.#pieces.get(this.#key(e))
    if (pieces === undefined) return
    let used = 0
    while (used < pieces.length && pieces[used]! <= doubles[c + F.REACHED]!) {
      doubles[c + F.REACHED] = Math.max(doubles[c + F.REACHED]!, pieces[used + 1]!)
      used += 2
    }
    if (used > 0) pieces.splice(0, used)
    if (pieces.length === 0) this.#forget(e)
  }

  #forget(e: number): void {
    this.#pieces.delete(this.#key(e))
    this.#tcp.words[e + F.SEEN]! &= ~F.HAS_HOLES
  }

  #giveUp(e: number): void {
    this.#forget(e)
    this.#tcp.words[e + F.SEEN]! |= F.NO_TRACKING
  }
}
