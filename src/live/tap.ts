// What a backend is to the capture process: it opens an interface and hands over what a capture file would hold, from
// its header on, so that one reader serves all of them.

import type { Backend, PacketWish } from './live-event.ts'
import type { CaptureCounts, FailureKind } from './order.ts'

export interface TapWish extends PacketWish {
  interface: string
}

export interface TapSink {
  /** Bytes of a capture in the format pcap; they are only lent. */
  bytes(piece: Uint8Array): void
  /** It ended by itself: nothing more comes. Told once. */
  ended(words: string): void
}

export interface Tap {
  readonly backend: Backend
  /** How, for people. */
  readonly detail: string
  /** Whoever captured nothing for so long has everything that was captured before. Milliseconds. */
  readonly slackMillis: number
  /** Totals since it was opened. */
  counts(): CaptureCounts
  /** To be called now and then: takes what is there, and looks whether the interface is. */
  look(): void
  /** Takes no more: the kernel drops, and counts. */
  pause(): void
  resume(): void
  /** Hands over what is there, and ends. */
  close(): Promise<void>
}

/** An interface cannot be opened in this way. */
export class TapError extends Error {
  readonly kind: FailureKind
  constructor(kind: FailureKind, message: string) {
    super(message)
    this.name = 'TapError'
    this.kind = kind
  }
}

/** What the words of libpcap mean; undefined if they may mean anything. */
export function kindOf(words: string): FailureKind | undefined {
  const kinds: [RegExp, FailureKind][] = [
    [/permission|not permitted|EPERM|EACCES|privilege/i, 'permission'],
    [/no such device|no device named|no such interface/i, 'no_interface'],
    [/not up|is down|network is down/i, 'lost'],
    [/filter|syntax error|rejects all packets|unknown host|illegal|expression/i, 'filter'],
  ]
  return kinds.find(([pattern]) => pattern.test(words))?.[1]
}
