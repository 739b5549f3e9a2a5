// The sensor's loop: what decoders emit goes to the spool, and from there to the stream. Reading and sending do not
// wait for each other, except that reading waits while the spool is full.

import { BusError, type Sink } from '../bus/bus.ts'
import type { Log } from '../telemetry.ts'
import { Forwarder } from './forwarder.ts'
import { Shipper } from './shipper.ts'
import type { Spool } from './spool.ts'
import { ShipStatus } from './status.ts'

export interface ShipParts {
  sensor: string
  spool: Spool
  sink: Sink
  log: Log
  /** Aborted when the process shall end. What is in the spool stays there for the next one. */
  signal: AbortSignal
  /** Reads inputs and sends what comes of them, until they are over or the signal is aborted. */
  read: (shipper: Shipper, signal: AbortSignal) => Promise<void>
  /** What to do when the stream refuses us (`Forwarder`): a run that somebody watches ends. */
  whenRefused: 'end' | 'wait'
  /** Told once, of what shows how it gets on. */
  observe?: (status: ShipStatus) => void
}

export interface Shipped {
  /** Chunks, and flow records in them, that this run put into the spool. */
  chunks: number
  flowRecords: number
  /** Chunks that were there, or had been, before. */
  known: number
  /** True if everything that was in the spool is acknowledged by the stream. */
  drained: boolean
}

/**
 * Reads everything, and waits until the spool is drained or the signal is aborted.
 * @throws BusError `refused`, `no_stream`: then everything that was read is in the spool, or there was no room for it
 *   · BusFault · what reading threw
 */
export async function ship(parts: ShipParts): Promise<Shipped> {
  const { spool, sink, log, signal } = parts
  const shipper = new Shipper(parts.sensor, spool)
  const forwarder = new Forwarder({
    source: spool.source(),
    sink,
    dead: spool.dead,
    log,
    whenRefused: parts.whenRefused,
    beforeCommit: (next) => spool.ledger.durable(next),
  })
  parts.observe?.(new ShipStatus(spool, shipper, forwarder, sink))
  const failed = new AbortController()
  const forwarding = forwarder.run().catch((error: unknown) => failed.abort(error))
  try {
    await unlessStuck(reading(parts, shipper), spool, failed.signal, signal)
    // Until here it goes on also for a process that shall end: what is read needs room in the spool. Then what is
    // left is sent, for as long as one may wait; the rest is for the next process.
    const late = untilLate(signal)
    if (!failed.signal.aborted)
      await Promise.race([forwarder.untilCommitted(spool.end), forwarding, late.promise])
    late.clear()
  } finally {
    shipper.stop()
    forwarder.stop()
    await sink.close()
    await forwarding
    await forwarder.settled()
  }
  if (failed.signal.aborted) throw failed.signal.reason
  return { ...shipper.counters, drained: forwarder.committed >= spool.end }
}

async function reading(parts: ShipParts, shipper: Shipper): Promise<void> {
  await parts.read(shipper, parts.signal)
  await shipper.end()
}

/** Sending may go on for so long after the signal. */
const DRAIN_MILLIS = 3000

function untilLate(signal: AbortSignal): { promise: Promise<void>; clear: () => void } {
  let timer: NodeJS.Timeout | undefined
  let start = () => {}
  const promise = new Promise<void>((resolve) => {
    start = () => {
      timer = setTimeout(resolve, DRAIN_MILLIS)
    }
    signal.addEventListener('abort', start, { once: true })
    if (signal.aborted) start()
  })
  const clear = () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', start)
  }
  return { promise, clear }
}

/** How often reading is looked at, and how long it may take to end when the process shall end. */
const LOOK_MILLIS = 200
const END_MILLIS = 10_000

/** The end of reading; but nobody waits for room in a spool that nobody empties, or for long after the signal. */
async function unlessStuck(
  read: Promise<void>,
  spool: Spool,
  failed: AbortSignal,
  signal: AbortSignal,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let end = Number.POSITIVE_INFINITY
  const stuck = new Promise<void>((resolve) => {
    timer = setInterval(() => {
      if (signal.aborted) end = Math.min(end, performance.now() + END_MILLIS)
      if ((failed.aborted && spool.waitsFor !== undefined) || performance.now() > end) resolve()
    }, LOOK_MILLIS)
  })
  try {
    await Promise.race([read, stuck])
  } finally {
    clearInterval(timer)
    // If it was left behind, it fails when the spool is closed.
    read.catch(() => {})
  }
}

/** Is this an error of the stream that a person must mend? */
export function isRefusal(error: unknown): error is BusError {
  return error instanceof BusError && (error.kind === 'refused' || error.kind === 'no_stream')
}
