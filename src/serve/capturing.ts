// Live capture in a process that has more to do: an interface that cannot be captured on is said to be so and tried
// again, and everything else goes on.

import { setTimeout as sleep } from 'node:timers/promises'
import { LiveError, type LiveSettings } from '../live/live.ts'
import { closeLiveOrigins, readLive } from '../ship/read-live.ts'
import type { Shipper } from '../ship/shipper.ts'
import type { Observed } from '../telemetry.ts'
import type { Running } from './running.ts'
import { startLive } from './sensing.ts'

/** An interface that may not be captured on is tried again after this. */
const AGAIN_MILLIS = 10_000
/** What no time mends. */
const FINAL: readonly string[] = ['filter', 'write']

export interface CapturingParts {
  shipper: Shipper
  running: Pick<Running, 'log' | 'signal' | 'observe'>
  againMillis?: number
}

/**
 * Captures on each interface until the signal is aborted, whatever becomes of the others.
 * @throws LiveError of a filter that is none, or a directory that cannot be written: no time mends it · what the spool throws
 */
export async function captureAll(settings: LiveSettings, parts: CapturingParts): Promise<void> {
  const among = [...new Set(settings.interfaces)]
  const { log, observe } = parts.running
  const begun = among.map((name) => observe(notCaptured(name, `${name}: it begins`)))
  await closeLiveOrigins(parts.shipper, log)
  const capturing = among.map((name) => captureOn(name, { ...settings, among }, parts))
  for (const forget of begun) forget()
  await Promise.all(capturing)
}

async function captureOn(
  name: string,
  settings: LiveSettings,
  parts: CapturingParts,
): Promise<void> {
  const { shipper, running, againMillis = AGAIN_MILLIS } = parts
  const { log, signal, observe } = running
  let said = ''
  while (!signal.aborted) {
    // Over with this try: the signal of all lives long, and would keep each of them.
    const over = new AbortController()
    const end = AbortSignal.any([signal, over.signal])
    const live = startLive({ ...settings, interfaces: [name] }, log, end)
    const forget = observe(live)
    let reason = ''
    try {
      return await readLive(live.events(), shipper)
    } catch (error) {
      if (!(error instanceof LiveError) || FINAL.includes(error.kind)) throw error
      reason = error.message
    } finally {
      over.abort()
      forget()
    }
    // Once, until something else is the matter.
    if (reason !== said) log('error', 'an interface is not captured; it is tried again', { reason })
    said = reason
    const show = observe(notCaptured(name, reason))
    await sleep(againMillis, undefined, { signal }).catch(() => {})
    show()
  }
}

function notCaptured(name: string, reason: string): Observed {
  const help = '1 while packets are captured'
  return {
    samples: () => [
      { name: 'capture_up', help, kind: 'gauge', labels: { interface: name }, value: 0 },
    ],
    readiness: () => ({ ready: false, reason: `not captured: ${reason}` }),
  }
}
