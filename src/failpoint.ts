// Places where a process can be made to die, stop or fail, for tests of what happens then. Unarmed they cost one
// comparison. Each has a number, under which the tests of faults count what they did.

import { setTimeout as sleep } from 'node:timers/promises'

/** Where they are: between the two things that the name says. */
export const FAILPOINTS = [
  'F1_read_journal',
  'F2_journal_produce',
  'F3_produce_ack',
  'F4_fetch_intent',
  'F5_intent_insert',
  'F6_mid_insert',
  'F7_insert_commit',
  'F8_alert_outbox',
  'F9_outbox_send',
  'F10_send_ack',
  'F11_dead_letter',
  'F12_drain',
] as const
export type Failpoint = (typeof FAILPOINTS)[number]

/** kill: SIGKILL to itself. stop: SIGSTOP. sleep: for `millis`. throw: an error. */
type Action = 'kill' | 'stop' | 'sleep' | 'throw'
const ACTIONS: readonly Action[] = ['kill', 'stop', 'sleep', 'throw']

interface Armed {
  action: Action
  /** Which passage it is for, from 1. */
  at: number
  millis: number
}

let armed: Map<Failpoint, Armed> | undefined
const passed = new Map<Failpoint, number>()

/**
 * Arms failpoints from `F5_intent_insert=kill@3,F6_mid_insert=sleep@1:2000`: the action, which passage it is for, and
 * milliseconds for a sleep. Only the command line calls this, and says so.
 * @throws RangeError if the text cannot be read
 */
export function armFailpoints(text: string): void {
  armed = new Map()
  for (const one of text.split(',')) {
    const match = /^(\w+)=(\w+)@(\d+)(?::(\d+))?$/.exec(one.trim())
    const point = FAILPOINTS.find((name) => name === match?.[1])
    const action = ACTIONS.find((name) => name === match?.[2])
    if (match === null || point === undefined || action === undefined)
      throw new RangeError(`no failpoint: ${one}`)
    armed.set(point, { action, at: Number(match[3]), millis: Number(match[4] ?? 0) })
  }
}

/** Passes a failpoint. Await it where work is asynchronous. */
export function failpoint(name: Failpoint): Promise<void> | undefined {
  if (armed === undefined) return undefined
  return pass(name)
}

async function pass(name: Failpoint): Promise<void> {
  const count = (passed.get(name) ?? 0) + 1
  passed.set(name, count)
  const here = armed?.get(name)
  if (here === undefined || here.at !== count) return
  if (here.action === 'throw') throw new Error(`failpoint ${name}`)
  if (here.action === 'sleep') return sleep(here.millis)
  process.kill(process.pid, here.action === 'kill' ? 'SIGKILL' : 'SIGSTOP')
  // A signal to oneself is taken a moment later: nothing may happen until then.
  await sleep(1000)
}
