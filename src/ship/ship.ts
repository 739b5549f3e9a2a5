// The sensor's loop: what decoders emit goes to the spool, and from there to the stream. Reading and sending do not
// wait for each other, except that reading waits while the spool is full.

import { BusError, type Sink } from '../bus/bus.ts'
import { type ChunkHeader, decodeChunk, releaseChunk } from '../chunk.ts'
import { failpoint } from '../failpoint.ts'
import type { SensorEvent } from '../sensor.ts'
import type { Log } from '../telemetry.ts'
import { Forwarder } from './forwarder.ts'
import type { Spool } from './spool.ts'

export interface ShipParts {
  events: AsyncIterable<SensorEvent>
  spool: Spool
  sink: Sink
  log: Log
  /** Aborted when the process shall end. What is in the spool stays there for the next one. */
  signal: AbortSignal
  /** Told of each input that is over. */
  inputOver: (event: SensorEvent & { type: 'input' }) => void
}

export interface Shipped {
  /** Chunks, and flow records in them, that were spooled by this run. */
  chunks: number
  flowRecords: number
  /** True if everything that was in the spool is acknowledged by the stream. */
  drained: boolean
}

/** Chunks on their way to the disk. More wait for the same fsync. */
const APPENDS_MAX = 8

/**
 * Reads everything, and waits until the spool is drained or the signal is aborted.
 * @throws BusError `refused`, `no_stream`: then everything that was read is in the spool, or there was no room for it
 *   · BusFault · what reading threw
 */
export async function shipInputs(parts: ShipParts): Promise<Shipped> {
  const { spool, sink, log, signal } = parts
  const shipped: Shipped = { chunks: 0, flowRecords: 0, drained: false }
  const forwarder = new Forwarder({
    source: spool.source(),
    sink,
    dead: spool.dead,
    log,
    whenRefused: 'end',
  })
  const state = { failure: undefined as unknown }
  const stopped = new AbortController()
  const forwarding = forwarder.run().catch((error: unknown) => {
    state.failure = error
    stopped.abort()
  })
  signal.addEventListener('abort', () => forwarder.stop(), { once: true })
  if (signal.aborted) forwarder.stop()
  try {
    const next = await spoolAll(parts, shipped)
    await Promise.race([forwarder.untilCommitted(next), forwarding])
    shipped.drained = forwarder.committed >= next
  } finally {
    forwarder.stop()
    await sink.close()
    await forwarding
  }
  if (state.failure !== undefined) throw state.failure
  return shipped
}

/** Spools what is read; the place in the journal after the last of it. */
async function spoolAll(parts: ShipParts, shipped: Shipped): Promise<bigint> {
  const { spool, signal } = parts
  const under: Promise<bigint>[] = []
  let next = 0n
  for await (const event of parts.events) {
    if (signal.aborted) break
    if (event.type === 'input') {
      parts.inputOver(event)
      continue
    }
    await failpoint('F1_read_journal')
    if (under.length >= APPENDS_MAX) next = await under.shift()!
    const appending = spool.append(event.chunk)
    appending.catch(() => {})
    under.push(appending)
    shipped.chunks++
    shipped.flowRecords += flowRecordsOf(decodeChunk(event.chunk).header)
    void appending.then(() => releaseChunk(event.chunk)).catch(() => {})
  }
  while (under.length > 0) next = await under.shift()!
  return next
}

export function flowRecordsOf({ parts }: ChunkHeader): number {
  return parts.find(({ table }) => table === 'flow_records')?.rows ?? 0
}

/** Is this an error of the stream that a person must mend? */
export function isRefusal(error: unknown): error is BusError {
  return error instanceof BusError && (error.kind === 'refused' || error.kind === 'no_stream')
}
