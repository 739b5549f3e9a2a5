// What a TCP connection comes to, read from its record: conn_state, history, payload bytes, whether a SYN begins
// another one. Zeek's definitions.

import * as F from './flow-fields.ts'
import type { Page } from './table.ts'
import { ACK, SYN, type TcpMachine, TWO_32 } from './tcp.ts'

/**
 * Payload bytes of an endpoint from its sequence numbers: gaps count, retransmissions do not.
 * @param e where the words of the endpoint begin; `p` those of its peer
 */
export function payloadSize(words: Int32Array, e: number, p: number): number {
  const start = words[e + F.START_SEQ]! >>> 0
  const ack = words[e + F.ACK_SEQ]!
  const ackOffset = (ack - words[e + F.START_SEQ]!) | 0
  if (
    words[e + F.PREVIOUS_STATE] === F.SYN_SENT &&
    words[e + F.STATE] === F.RESET &&
    words[p + F.STATE] === F.INACTIVE &&
    ackOffset !== 0 &&
    ackOffset !== 1
  )
    return 0
  const last = words[e + F.SEQ_WRAPS]! * TWO_32 + (words[e + F.LAST_SEQ]! >>> 0)
  const acked = words[e + F.ACK_WRAPS]! * TWO_32 + (ack >>> 0)
  let size = Math.max(last, acked) - start
  if (size > 0) size--
  if (words[e + F.FIN_COUNT]! > 0 && size > 0) size--
  return Math.max(0, size)
}

/** S0, SF, REJ ... of the flow whose words begin at `at`. */
export function tcpState(page: Page, at: number): string {
  const { words } = page
  const os = words[at + F.ORIG + F.STATE]!
  const rs = words[at + F.RESP + F.STATE]!
  const origQuiet = os === F.INACTIVE || os === F.PARTIAL_STATE
  const respQuiet = rs === F.INACTIVE || rs === F.PARTIAL_STATE
  if (rs === F.RESET) {
    const noBytes = () =>
      payloadSize(words, at + F.ORIG, at + F.RESP) === 0 &&
      payloadSize(words, at + F.RESP, at + F.ORIG) === 0
    if (os === F.SYN_SENT || os === F.SYN_ACK_SENT || (os === F.RESET && noBytes())) return 'REJ'
    return origQuiet ? 'RSTRH' : 'RSTR'
  }
  if (os === F.RESET) {
    if (!respQuiet) return 'RSTO'
    return /^\^?S[^HAFGIQ]*R/.test(historyText(page, at)) ? 'RSTOS0' : 'OTH'
  }
  if (os === F.CLOSED && rs === F.CLOSED) return 'SF'
  if (os === F.CLOSED) return respQuiet ? 'SH' : 'S2'
  if (rs === F.CLOSED) return origQuiet ? 'SHR' : 'S3'
  if (os === F.SYN_SENT && rs === F.INACTIVE) return 'S0'
  if (os === F.ESTABLISHED && rs === F.ESTABLISHED) return 'S1'
  return 'OTH'
}

/** Histories that were written lately, by their bytes: most flows have one of a few dozen. */
const RECENT = 256
const WORDS_OF = (F.HISTORY_MAX + 1) / 4
const recentWords = new Int32Array(RECENT * WORDS_OF)
const recentTexts: string[] = Array.from({ length: RECENT }, () => '')

/** The history letters of any flow. */
export function historyText(page: Page, at: number): string {
  const { words } = page
  const from = at + F.HISTORY
  // Letters beyond the length are zero, so the words are the history.
  let mix = 0
  for (let i = 0; i < WORDS_OF; i++) mix = Math.imul(mix ^ words[from + i]!, 0x9e3779b1)
  const slot = (mix >>> 16) & (RECENT - 1)
  let same = true
  for (let i = 0; i < WORDS_OF; i++)
    same = same && recentWords[slot * WORDS_OF + i] === words[from + i]
  if (same) return recentTexts[slot]!
  const letters = page.bytes.subarray(from * 4 + 1, from * 4 + 1 + page.bytes[from * 4]!)
  const text = String.fromCharCode(...letters)
  for (let i = 0; i < WORDS_OF; i++) recentWords[slot * WORDS_OF + i] = words[from + i]!
  recentTexts[slot] = text
  return text
}

/** True if the segment in hand begins another connection than the flow in hand: same ports, a new SYN. */
export function isReuse(tcp: TcpMachine): boolean {
  const { words, at } = tcp
  if ((tcp.flags & SYN) === 0) return false
  const orig = at + F.ORIG
  const resp = at + F.RESP
  let opener = orig
  if ((tcp.flags & ACK) !== 0) {
    if (words[orig + F.STATE] !== F.INACTIVE) return false
    opener = resp
  }
  const closed = ((words[orig + F.SEEN]! | words[resp + F.SEEN]!) & F.DID_CLOSE) !== 0
  if (closed) return true
  if (tcp.seq === words[opener + F.START_SEQ]) return false
  return !(
    (tcp.flags & ACK) === 0 &&
    words[orig + F.STATE] === F.SYN_ACK_SENT &&
    words[resp + F.STATE] === F.INACTIVE &&
    tcp.seq === words[resp + F.START_SEQ]
  )
}
