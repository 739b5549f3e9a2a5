// Live capture as the rest of the house sees it: packets of interfaces in, chunks out, and what became of every
// interface. Each interface has a process of its own that reads packets and keeps the flow table.

import type { Network } from '../address.ts'
import type { Log, Observed, Readiness, Sample } from '../telemetry.ts'

/** Ways to get packets, in the order in which they are tried. */
export const BACKENDS = ['pcap', 'dumpcap', 'tcpdump'] as const
export type Backend = (typeof BACKENDS)[number]

export interface LiveSettings {
  /** Names of interfaces; the order matters where there are several: it is part of their flow ids. */
  interfaces: readonly string[]
  /** A filter as pcap-filter(7) describes; '' for everything. */
  filter: string
  /** Most bytes of a packet that are kept. */
  snaplen: number
  /** How long the kernel may collect packets before it hands them over. */
  bufferMillis: number
  promiscuous: boolean
  backend: 'auto' | Backend
  /** User that captures where this process is root; nobody if it is not said. */
  user?: string
  /** A flow that goes on is reported again after so long. */
  activeTimeoutSeconds: number
  sensor: string
  localNets: readonly Network[]
  verifyChecksums: boolean
}

export type LiveState = 'opening' | 'capturing' | 'lost' | 'retrying' | 'stopped'

export type LiveEvent =
  | { type: 'chunk'; interface: string; origin: string; chunk: Uint8Array<ArrayBuffer> }
  | { type: 'state'; interface: string; state: LiveState; backend: string; detail: string }
  | {
      /** Once a second. Counts of packets are totals since the process began to capture there. */
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
export type LiveErrorKind = 'filter' | 'no_interface' | 'permission' | 'no_backend'

/** Capture cannot begin on an interface. The message says why, with the cure. */
export class LiveError extends Error {
  readonly kind: LiveErrorKind
  constructor(kind: LiveErrorKind, message: string) {
    super(message)
    this.name = 'LiveError'
    this.kind = kind
  }
}

/** Captures on interfaces until it is stopped. */
export declare class LiveCapture implements Observed {
  /** Starts a process for each interface. @param log takes what operators should know */
  static start(settings: LiveSettings, log: Log): LiveCapture
  /**
   * What comes, to be taken by one reader; where it is slow, capture waits and the kernel drops and counts. Ends after
   * `stop`, when the last chunks are taken.
   * @throws LiveError if capture cannot begin on an interface. An interface that was there before is waited for.
   */
  events(): AsyncIterable<LiveEvent>
  /** Stops capturing: flows that are open are written, and the last chunks come. */
  stop(): Promise<void>
  samples(): Sample[]
  readiness(): Readiness
}
