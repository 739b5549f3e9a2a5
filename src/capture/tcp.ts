// The TCP state machine of one flow, with Zeek's states, history letters, byte counts from sequence numbers and
// rules for when a connection has closed. Semantics read from Zeek's src/packet_analysis/protocol/tcp and
// src/analyzer/protocol/tcp; conn_state from its scripts/base/protocols/conn.

import * as F from './flow-fields.ts'
import type { Page } from './table.ts'
import { TcpGaps } from './tcp-gaps.ts'

export const FIN = 1
export const SYN = 2
export const RST = 4
export const ACK = 16

/** A sequence number further off than this, in a SYN or RST or an ACK of 0, is not believed. */
const TOO_FAR = 1_048_576
export const TWO_32 = 0x1_0000_0000

/** Zeek's tcp_attempt_delay, tcp_close_delay, tcp_partial_close_delay, in microseconds. */
export const ATTEMPT_DELAY = 5e6
const CLOSE_DELAY = 5e6
const PARTIAL_CLOSE_DELAY = 3e6

export class TcpMachine {
  // The flow in hand.
  flow = 0
  words: Int32Array = new Int32Array(0)
  bytes: Uint8Array = new Uint8Array(0)
  doubles: Float64Array = new Float64Array(0)
  at = 0
  dat = 0

  // The segment in hand.
  flags = 0
  seq = 0
  ack = 0
  window = 0
  /** Payload by the headers, and what was captured of it. */
  length = 0
  captured = 0
  time = 0
  clock = 0

  /** Where the payload of the last segment begins in its stream; first byte 1; NaN if it cannot be told. */
  position = 0
  /** True if the last segment turned the roles around. */
  flipped = false

  readonly gaps = new TcpGaps(this)

  bind(flow: number, page: Page, at: number, dat: number): void {
    this.flow = flow
    this.words = page.words
    this.bytes = page.bytes
    this.doubles = page.doubles
    this.at = at
    this.dat = dat
  }

  /** Takes the segment in hand, sent by the originator or the responder. */
  take(fromOrig: boolean): void {
    const { words, at, flags } = this
    this.flipped = false
    this.#notePartial(fromOrig)
    let e = at + (fromOrig ? F.ORIG : F.RESP)
    let p = at + (fromOrig ? F.RESP : F.ORIG)
    const controls = (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0)
    const spanned = ((flags & RST) !== 0 ? 0 : this.length) + controls
    const past = (this.seq + spanned) | 0
    this.#openEndpoint(e, past)
    const relative = this.relative(e, this.seq, words[e + F.LAST_SEQ]!, words[e + F.SEQ_WRAPS]!)
    const underflow = relative < 0
    this.#history(e, fromOrig, relative)
    if (
      this.window === 0 &&
      (flags & RST) === 0 &&
      words[p + F.STATE] !== F.CLOSED &&
      words[e + F.STATE] !== F.RESET
    )
      this.scaledLetter(e, F.ZERO_WINDOWS, fromOrig ? 0x57 : 0x77)
    if ((words[at + F.ORIG + F.SEEN]! & words[at + F.RESP + F.SEEN]! & F.DID_CLOSE) === 0)
      this.doubles[this.dat + F.LAST] = this.time
    if ((flags & FIN) !== 0) {
      words[e + F.FIN_COUNT]!++
      this.doubles[this.counts(e) + F.FIN_SEQ] = relative + spanned
    }
    const acknowledged = (flags & ACK) !== 0 ? this.#takeAck(p) : 0
    this.#advanceSeq(e, past, fromOrig)
    const closes = this.#transition(e, p, fromOrig)
    if (this.flipped) {
      const other = e
      e = p
      p = other
    }
    if ((flags & ACK) !== 0) this.gaps.acknowledged(p, e, acknowledged)
    words[at + F.FLAGS]! |= e === at + F.ORIG ? F.ORIG_SEEN : F.RESP_SEEN
    this.position = underflow ? Number.NaN : relative + ((flags & SYN) !== 0 ? 1 : 0)
    if (this.length > 0 && this.captured >= this.length && (flags & RST) === 0 && !underflow)
      this.gaps.sent(e, this.position, this.length)
    this.gaps.checkEnd(e, p)
    if (closes) this.close(e, p)
  }

  /** Where the doubles of an endpoint are. */
  counts(e: number): number {
    return this.dat + (e === this.at + F.ORIG ? F.ORIG_COUNTS : F.RESP_COUNTS)
  }

  #notePartial(fromOrig: boolean): void {
    const { words, at, flags } = this
    const f = words[at + F.FLAGS]!
    let partial = (f & F.PARTIAL) !== 0
    if (fromOrig) {
      if ((f & F.ORIG_SEEN) === 0) partial = (flags & SYN) === 0 || (flags & ACK) !== 0
    } else if ((f & F.RESP_SEEN) === 0 && !partial) partial = (flags & SYN) === 0
    words[at + F.FLAGS] = partial ? f | F.PARTIAL : f & ~F.PARTIAL
  }

  #openEndpoint(e: number, past: number): void {
    const { words, flags, seq } = this
    const syn = (flags & SYN) !== 0
    const state = words[e + F.STATE]!
    if (state === F.INACTIVE) {
      // Without a SYN the numbering starts as if there had been one.
      const start = syn ? seq : (seq - 1) | 0
      words[e + F.START_SEQ] = start
      words[e + F.ACK_SEQ] = start
      words[e + F.LAST_SEQ] = syn ? past : seq
      words[e + F.SEQ_WRAPS] = 0
      words[e + F.ACK_WRAPS] = 0
      return
    }
    if (!syn) return
    const again =
      state === F.SYN_SENT || state === F.SYN_ACK_SENT
        ? seq !== words[e + F.START_SEQ]
        : state === F.ESTABLISHED || state === F.PARTIAL_STATE
          ? true
          : state === F.RESET && words[e + F.PREVIOUS_STATE] === F.INACTIVE
    if (!again) return
    words[e + F.START_SEQ] = seq
    words[e + F.ACK_SEQ] = seq
    words[e + F.LAST_SEQ] = past
    words[e + F.SEQ_WRAPS] = 0
    words[e + F.ACK_WRAPS] = 0
  }

  /** `value` relative to the first sequence number of an endpoint; negative if it lies before. */
  relative(e: number, value: number, last: number, wrapsSoFar: number): number {
    const { words } = this
    const start = words[e + F.START_SEQ]!
    const delta = (value - last) | 0
    let wraps = wrapsSoFar
    if (delta < 0) {
      if (wraps > 0 && value >>> 0 > last >>> 0) wraps--
    } else if (delta > 0 && value >>> 0 < last >>> 0) wraps++
    if (wraps === 0) {
      const near = (value - start) | 0
      // More than 2 GB into the stream, known because what came before is there too.
      return near < 0 && (last - start) >>> 0 > 0x7000_0000 ? (value - start) >>> 0 : near
    }
    return wraps * TWO_32 + (value >>> 0) - (start >>> 0)
  }

  #history(e: number, fromOrig: boolean, relative: number): void {
    const { flags } = this
    const bits = flags & (SYN | FIN | RST)
    const lower = fromOrig ? 0 : 0x20
    if (bits === 0) {
      if (this.length > 0) this.#once(e, F.SAW_DATA, 0x44 + lower)
      else if ((flags & ACK) !== 0) this.#once(e, F.SAW_ACK, 0x41 + lower)
      return
    }
    if ((bits & (bits - 1)) !== 0) {
      if ((flags & FIN) !== 0 && (flags & RST) !== 0) this.#once(e, F.SAW_FIN_RST, 0x49 + lower)
      else this.#once(e, F.SAW_MULTI, 0x51 + lower)
      return
    }
    if (bits === SYN)
      this.#repeatable(
        e,
        F.SAW_SYN,
        F.HIST_SYN,
        ((flags & ACK) !== 0 ? 0x48 : 0x53) + lower,
        relative,
      )
    else if (bits === FIN)
      this.#repeatable(e, F.SAW_FIN, F.HIST_FIN, 0x46 + lower, relative + this.length)
    else this.#repeatable(e, F.SAW_RST, F.HIST_RST, 0x52 + lower, relative)
  }

  /** Letters that come again when the sequence number is another one. */
  #repeatable(e: number, seen: number, field: number, letter: number, where: number): void {
    const { words } = this
    const position = where | 0
    if (!this.#once(e, seen, letter) && position !== words[e + field]) this.letter(letter)
    words[e + field] = position
  }

  /** Adds a letter the first time; false if it was there before. */
  #once(e: number, seen: number, letter: number): boolean {
    const { words } = this
    if ((words[e + F.SEEN]! & seen) !== 0) return false
    words[e + F.SEEN]! |= seen
    this.letter(letter)
    return true
  }

  letter(code: number): void {
    const at = (this.at + F.HISTORY) * 4
    const length = this.bytes[at]!
    if (length >= F.HISTORY_MAX) return
    this.bytes[at] = length + 1
    this.bytes[at + 1 + length] = code
  }

  /** Letters c, g, t, w: at the 1st, 10th, 100th ... time. */
  scaledLetter(e: number, field: number, code: number): void {
    const count = ++this.words[e + field]!
    let power = 1
    while (power < count) power *= 10
    if (power === count) this.letter(code)
  }

  #takeAck(p: number): number {
    const { words, ack } = this
    if (words[p + F.STATE] === F.INACTIVE) {
      const start = (ack - 1) | 0
      words[p + F.START_SEQ] = start
      words[p + F.ACK_SEQ] = start
      words[p + F.LAST_SEQ] = start
      words[p + F.SEQ_WRAPS] = 0
      words[p + F.ACK_WRAPS] = 0
      return 1
    }
    const before = words[p + F.ACK_SEQ]!
    const relative = this.relative(p, ack, before, words[p + F.ACK_WRAPS]!)
    if (relative < 0) return 0
    if ((this.flags & RST) !== 0) return relative
    const delta = (ack - before) | 0
    if (delta > 0 && !(ack === 0 && delta > TOO_FAR)) {
      if (ack >>> 0 < before >>> 0) words[p + F.ACK_WRAPS]!++
      words[p + F.ACK_SEQ] = ack
    }
    return relative
  }

  #advanceSeq(e: number, past: number, fromOrig: boolean): void {
    const { words, flags } = this
    const last = words[e + F.LAST_SEQ]!
    const delta = (past - last) | 0
    if ((flags & (SYN | RST)) !== 0 && (delta > TOO_FAR || delta < -TOO_FAR)) return
    const onlySyn = last === ((words[e + F.START_SEQ]! + 1) | 0)
    if (!((flags & FIN) !== 0 && onlySyn)) {
      if (words[e + F.STATE] === F.RESET) return
      if (delta <= 0) {
        if (this.length > 0) this.scaledLetter(e, F.RETRANSMITS, fromOrig ? 0x54 : 0x74)
        return
      }
    }
    if (past >>> 0 < last >>> 0) words[e + F.SEQ_WRAPS]!++
    words[e + F.LAST_SEQ] = past
  }

  #setState(e: number, p: number, state: number): void {
    const { words } = this
    const before = words[e + F.STATE]!
    if (state === before) return
    if (state > F.SYN_ACK_SENT && before <= F.SYN_ACK_SENT && words[p + F.STATE]! <= F.SYN_ACK_SENT)
      words[this.at + F.FLAGS]! |= F.LONG_TIMEOUT
    words[e + F.PREVIOUS_STATE] = before
    words[e + F.STATE] = state
  }

  /** Moves the sender's state; true if it closed its side. */
  #transition(e: number, p: number, fromOrig: boolean): boolean {
    const { words, flags } = this
    const state = words[e + F.STATE]!
    switch (state) {
      case F.INACTIVE:
        return this.#fromInactive(e, p, fromOrig)
      case F.SYN_SENT:
      case F.SYN_ACK_SENT:
        if ((flags & FIN) !== 0) this.#setState(e, p, F.CLOSED)
        if ((flags & RST) !== 0) this.#setState(e, p, F.RESET)
        return (flags & (FIN | RST)) !== 0
      case F.ESTABLISHED:
      case F.PARTIAL_STATE:
        if (
          (flags & (SYN | ACK)) === SYN &&
          state === F.PARTIAL_STATE &&
          words[p + F.STATE] === F.INACTIVE
        )
          this.#setState(e, p, F.SYN_SENT)
        if ((flags & FIN) !== 0 && (flags & RST) === 0) {
          this.#setState(e, p, F.CLOSED)
          // FIN then RST from the peer was a normal end after all.
          if (words[p + F.STATE] === F.RESET && words[p + F.PREVIOUS_STATE] === F.CLOSED)
            this.#setState(p, e, F.CLOSED)
        }
        if ((flags & RST) !== 0) this.#setState(e, p, F.RESET)
        return (flags & (FIN | RST)) !== 0
      case F.CLOSED:
        if ((flags & RST) === 0 || words[p + F.STATE] === F.CLOSED) return false
        this.#setState(e, p, F.RESET)
        return (words[e + F.SEEN]! & F.DID_CLOSE) === 0
      default:
        return false
    }
  }

  #fromInactive(first: number, second: number, fromOrig: boolean): boolean {
    const { words, flags } = this
    let e = first
    let p = second
    if ((flags & SYN) !== 0) {
      if (fromOrig) {
        this.#setState(e, p, (flags & ACK) !== 0 ? F.SYN_ACK_SENT : F.SYN_SENT)
        this.setTimer(F.ATTEMPT_TIMER, this.clock + ATTEMPT_DELAY)
      } else {
        if (
          (flags & ACK) === 0 &&
          words[p + F.STATE] === F.SYN_ACK_SENT &&
          this.seq === words[e + F.START_SEQ] &&
          // Who is who was frozen with the evidence.
          words[this.at + F.DECIDED] === 0
        ) {
          // SYN and SYN+ACK were captured in the wrong order.
          words[this.at + F.FLAGS]! &= ~F.PARTIAL
          this.flip()
          this.flipped = true
          e = second
          p = first
          this.#setState(p, e, F.ESTABLISHED)
          words[this.at + F.FLAGS]! |= F.ORIG_SEEN
        }
        if (words[p + F.STATE] === F.SYN_SENT) this.#setState(p, e, F.ESTABLISHED)
        this.#setState(e, p, F.ESTABLISHED)
      }
    }
    if ((flags & FIN) !== 0) this.#setState(e, p, F.CLOSED)
    if ((flags & RST) !== 0) this.#setState(e, p, F.RESET)
    if (words[e + F.STATE] === F.INACTIVE) {
      const early =
        !fromOrig && this.length === 0 && words[this.at + F.ORIG + F.STATE] === F.SYN_SENT
      if (!early) {
        if ((flags & ACK) !== 0 && words[p + F.STATE] === F.ESTABLISHED) {
          // The SYN was missed, its answer and the acknowledgement were not.
          this.#setState(e, p, F.ESTABLISHED)
          words[this.at + F.FLAGS]! &= ~F.PARTIAL
        } else this.#setState(e, p, F.PARTIAL_STATE)
      }
    }
    return (flags & (FIN | RST)) !== 0
  }

  setTimer(kind: number, when: number): void {
    this.words[this.at + F.FLAGS] = (this.words[this.at + F.FLAGS]! & ~F.ANY_TIMER) | kind
    this.doubles[this.dat + F.TIMER] = when
  }

  /** One side has closed: decides whether with it the connection has. */
  close(e: number, p: number): void {
    const { words, at } = this
    if (this.gaps.pending(e, p)) {
      words[at + F.FLAGS]! |= F.CLOSE_DEFERRED
      return
    }
    words[at + F.FLAGS]! &= ~F.CLOSE_DEFERRED
    if ((words[e + F.SEEN]! & F.DID_CLOSE) !== 0) return
    words[e + F.SEEN]! |= F.DID_CLOSE
    if (
      words[e + F.STATE] === F.RESET ||
      (words[p + F.SEEN]! & F.DID_CLOSE) !== 0 ||
      words[p + F.STATE] === F.INACTIVE
    )
      this.setTimer(F.CLOSE_TIMER, this.clock + CLOSE_DELAY)
    else if (words[e + F.PREVIOUS_STATE] === F.INACTIVE)
      this.setTimer(F.PARTIAL_TIMER, this.clock + PARTIAL_CLOSE_DELAY)
  }

  /** Turns originator and responder around. */
  flip(): void {
    const { words, at } = this
    // Words and counters: they are the same memory.
    for (let i = 0; i < F.RESP - F.ORIG; i++) {
      const other = words[at + F.ORIG + i]!
      words[at + F.ORIG + i] = words[at + F.RESP + i]!
      words[at + F.RESP + i] = other
    }
    const flags = words[at + F.FLAGS]!
    const seen =
      ((flags & F.ORIG_SEEN) !== 0 ? F.RESP_SEEN : 0) |
      ((flags & F.RESP_SEEN) !== 0 ? F.ORIG_SEEN : 0)
    words[at + F.FLAGS] = ((flags & ~(F.ORIG_SEEN | F.RESP_SEEN)) | seen | F.FLIPPED) ^ F.ORIG_IS_B
    this.gaps.flip()
    this.letter(0x5e)
  }
}
