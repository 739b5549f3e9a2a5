// The part of `bailiwick doctor` that asks the process that has the data directory, or the API that is named, whether it
// gets on: what stands still there (capture, disk, store, Kafka, agent files) is said here, too.

import { z } from 'zod'
import type { Settings } from '../settings.ts'
import { findAddress } from './api-client.ts'
import { type Check, fail, failed, ok, warn } from './check.ts'

const ANSWER_MILLIS = 5000

const Ready = z.object({ ready: z.boolean(), reason: z.string(), warning: z.string().optional() })

/** Nothing where no process lives and none is named. Never throws: what fails is the answer. */
export async function checkServer(settings: Settings, signal: AbortSignal): Promise<Check[]> {
  const name = 'server'
  try {
    const address = findAddress(settings)
    if (address === undefined) return []
    // It needs no token.
    const answer = await fetch(new URL('/ready', address), {
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MILLIS)]),
    }).catch(() => undefined)
    if (answer === undefined)
      return [fail(name, `${address} does not answer`, 'see its log, and whether it lives')]
    const { ready, reason, warning } = Ready.parse(await answer.json())
    if (!ready) return [fail(name, `${address} does not get on: ${reason}`, 'its log says more')]
    if (warning === undefined) return [ok(name, `${address} gets on`)]
    return [warn(name, `${address} gets on, but ${warning}`, 'its log says more')]
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError)
      return [fail(name, 'what answers is no bailiwick', 'look at --api and --data')]
    return [failed(name, error)]
  }
}
