// What a capture process is told when it starts, and what it says until it ends.

import {
  BACKENDS,
  type Backend,
  LIVE_ERRORS,
  type LiveErrorKind,
  type PacketWish,
} from './live-event.ts'

/** The first words to a capture process. */
export interface CaptureOrder extends PacketWish {
  interface: string
  /** To be tried in this order. */
  backends: readonly Backend[]
  /** Where the programs are, if not where systems put them. */
  programs: Partial<Record<Backend, string>>
  sensor: string
  origin: string
  verifyChecksums: boolean
  /** Microseconds. */
  activeTimeout: number
  /** Bytes that the parent has not taken; with more, no packet is read. */
  queueBytes: number
  /** A file is open at `WRITE_FD`, for so many bytes of packets. */
  writeBytes?: number
  /** All interfaces that are captured, and which of them this is; only where there are several. */
  vantages?: { names: readonly string[]; index: number }
  /** The user to become once the interface is open, if it was not done before. */
  become?: Ids
  /** Nobody captured since then (microseconds), and so many open flows were lost. */
  gap?: { from: number; flowsLost: number }
}

export interface Ids {
  uid: number
  gid: number
}

/** The descriptor of a file for packets. */
export const WRITE_FD = 4

/** The other words to it: write what is open, say everything, and be ended. */
export const STOP = 'stop'

/** `lost`: it may be there again later. */
export type FailureKind = LiveErrorKind | 'lost'

/** Totals since the process began to capture. */
export interface CaptureCounts {
  /** Packets that passed the filter, by the kernel's count. */
  received: number
  dropped: number
  interfaceDropped: number
}

export type CaptureWord =
  | { type: 'ready'; backend: Backend; detail: string }
  | (CaptureCounts & {
      type: 'stats'
      packets: number
      flowsOpen: number
      /** Bytes of chunks that the parent has not taken. */
      queueBytes: number
      /** Everything until then was taken from the kernel. Microseconds since 1970. */
      until: number
    })
  /** What operators should know. */
  | { type: 'note'; detail: string }
  | { type: 'failed'; kind: FailureKind; detail: string }
  /** Nothing comes after it. */
  | { type: 'over' }

const DETAIL_MAX = 2000

/** What a capture process said, or undefined if it is nothing that one says. */
export function checkWord(value: unknown): CaptureWord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const given = value as Readonly<Record<string, unknown>>
  const detail = typeof given.detail === 'string' ? given.detail.slice(0, DETAIL_MAX) : ''
  switch (given.type) {
    case 'over':
      return { type: 'over' }
    case 'ready': {
      const backend = BACKENDS.find((one) => one === given.backend)
      return backend === undefined ? undefined : { type: 'ready', backend, detail }
    }
    case 'note':
      return { type: 'note', detail }
    case 'failed': {
      const kind = [...LIVE_ERRORS, 'lost' as const].find((one) => one === given.kind)
      return kind === undefined ? undefined : { type: 'failed', kind, detail }
    }
    case 'stats':
      return checkStats(given)
    default:
      return undefined
  }
}

function checkStats(given: Readonly<Record<string, unknown>>): CaptureWord | undefined {
  const { received, dropped, interfaceDropped, packets, flowsOpen, queueBytes, until } = given
  const counts = [received, dropped, interfaceDropped, packets, flowsOpen, queueBytes, until]
  if (!counts.every((one) => typeof one === 'number' && one >= 0 && one <= Number.MAX_SAFE_INTEGER))
    return undefined
  const [a, b, c, d, e, f, g] = counts as [number, number, number, number, number, number, number]
  return {
    type: 'stats',
    received: a,
    dropped: b,
    interfaceDropped: c,
    packets: d,
    flowsOpen: e,
    queueBytes: f,
    until: g,
  }
}
