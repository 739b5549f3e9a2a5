// The words of live capture: its settings, what comes of it, and why it cannot begin.

import type { Network } from '../address.ts'

/** Ways to get packets, in the order in which they are tried. */
export const BACKENDS = ['pcap', 'dumpcap', 'tcpdump'] as const
export type Backend = (typeof BACKENDS)[number]

/** Which packets, and how they come. */
export interface PacketWish {
  /** A filter as pcap-filter(7) describes; '' for everything. */
  filter: string
  /** Most bytes of a packet that are kept. */
  snaplen: number
  /** How long the kernel may collect packets before it hands them over. */
  bufferMillis: number
  /** Bytes of packets that the kernel keeps until they are read. */
  ringBytes: number
  promiscuous: boolean
}

export interface LiveSettings extends PacketWish {
  /** Names of interfaces; the order matters where there are several: it is part of their flow ids. */
  interfaces: readonly string[]
  /** All that are captured on together, where others capture on the rest of them; `interfaces` unless said. */
  among?: readonly string[]
  backend: 'auto' | Backend
  /** User that captures where this process is root: a name, or uid:gid; nobody if it is not said. */
  user?: string
  /** A flow that goes on is reported again after so long. */
  activeTimeoutSeconds: number
  /** Bytes of chunks that may wait to be taken, 16 MiB unless it is said; above it no packet is read. */
  queueBytes?: number
  /** Where packets are kept, in a file for each capture process; at most so many bytes of an interface. */
  write?: { directory: string; bytes: number }
  sensor: string
  localNets: readonly Network[]
  verifyChecksums: boolean
  /** Where the addon, dumpcap and tcpdump are, if not where systems put them. */
  programs?: Partial<Record<Backend, string>>
}

/**
 * `lost`: what was captured before is gone for now (the interface, the program, the process). `retrying`: it is tried
 * again after a pause.
 */
export type LiveState = 'opening' | 'capturing' | 'lost' | 'retrying' | 'stopped'

export type LiveEvent =
  | { type: 'chunk'; interface: string; origin: string; chunk: Uint8Array<ArrayBuffer> }
  | { type: 'state'; interface: string; state: LiveState; backend: string; detail: string }
  /** What operators should know, and what needs nobody's help. */
  | { type: 'note'; interface: string; detail: string }
  | {
      /** Once a second. Counts of packets are totals since this process began to capture there. */
      type: 'stats'
      interface: string
      /** Packets that passed the filter, dropped because we were behind, dropped by the interface or its driver. */
      received: number
      dropped: number
      interfaceDropped: number
      /** Packets decoded. */
      packets: number
      flowsOpen: number
      /** Bytes of chunks that nobody has taken yet. */
      queueBytes: number
    }

/** Why capture cannot begin; only a person mends it. */
export const LIVE_ERRORS = ['filter', 'no_interface', 'permission', 'no_backend', 'write'] as const
export type LiveErrorKind = (typeof LIVE_ERRORS)[number]

/** Capture cannot begin on an interface. The message says why, with the cure. */
export class LiveError extends Error {
  readonly kind: LiveErrorKind
  readonly reason: string
  readonly cure: string
  constructor(kind: LiveErrorKind, reason: string, cure: string) {
    super(`${reason}: ${cure}`)
    this.name = 'LiveError'
    this.kind = kind
    this.reason = reason
    this.cure = cure
  }
}
