// What a live capture hands over goes into the spool. It cannot be read again: each process that captures has an origin
// of its own, and one that was killed is ended here by a last chunk that says so.

import { decodeChunk } from '../chunk.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { closeLiveOrigin } from './close-origin.ts'
import { newEntry } from './ledger-entry.ts'
import type { Shipper } from './shipper.ts'

/** What is taken of a live capture's events. */
export type LiveChunks = AsyncIterable<
  | { type: 'chunk'; interface: string; origin: string; chunk: Uint8Array<ArrayBuffer> }
  | { type: 'state' | 'stats' | 'note'; interface: string }
>

/** Ends what an earlier process captured and did not end. To be called before anything is captured. */
export async function closeLiveOrigins(shipper: Shipper, log: Log): Promise<void> {
  for (const entry of [...shipper.ledger.entries()])
    if (entry.kind === 'live' && !entry.over) {
      log('warn', 'the process before ended while it captured: flows that were open are lost', {
        interface: printable(entry.source),
      })
      await closeLiveOrigin(entry, 'sensor_restart', shipper)
    }
}

/**
 * Takes everything that comes, until the capture ends. While the spool is full it waits, and the kernel drops.
 * @throws what the capture, or the spool, throws
 */
export async function readLive(events: LiveChunks, shipper: Shipper): Promise<void> {
  const { ledger } = shipper
  for await (const event of events) {
    if (event.type !== 'chunk') continue
    const { origin, interface: name, chunk } = event
    if (ledger.get(origin) === undefined) {
      const base = origin.slice(0, origin.lastIndexOf('/'))
      // Everything of the process before must be counted.
      await shipper.flush()
      for (const before of ledger.ofBase(base))
        if (!before.over) await closeLiveOrigin(before, 'capture_restart', shipper)
      const { format } = decodeChunk(chunk).header
      await ledger.begin(newEntry({ origin, base, kind: 'live', format, source: name }))
    }
    await shipper.send(chunk, true)
  }
}
