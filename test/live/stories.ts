// Stories of live capture that every backend has to live through: an interface that goes and comes back, and a reader
// that takes nothing for a while.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Backend, LiveEvent } from '../../src/live/live.ts'
import type { Network } from './network.ts'
import { captureProcesses, statusOf } from './processes.ts'
import type { Servers } from './servers.ts'
import { capture, chunksOf, coverageOf, flowsOf, statesOf, until } from './watching.ts'

export const talk = (servers: Servers, network: Network, name: string) =>
  network.traffic({ ...servers.ports, count: 3, name, longMillis: 0 })

const isLost = (state: string) => state === 'lost'
const timesCaptured = (seen: readonly LiveEvent[], name?: string) =>
  statesOf(seen, name).filter((state) => state === 'capturing').length

/** Flows by HTTP with names that begin so. */
export function whole(chunks: readonly Uint8Array[], name: string): number {
  const flows = [...flowsOf(chunks).values()]
  return flows.filter(
    (flow) => new RegExp(`^${name}-\\d`).test(String(flow.server_name)) && flow.conn_state === 'SF',
  ).length
}

/** By the kernel's count, every packet was decoded or is counted as lost. */
export function expectNothingElseLost(chunks: readonly Uint8Array[]): void {
  const coverage = coverageOf(chunks)
  const of = (metric: string) => coverage.get(metric) ?? 0
  expect(of('capture_received') - of('capture_dropped')).toBe(of('packets'))
  expect(of('packets')).toBeGreaterThan(0)
}

/** The interface is removed and comes back, is switched off and on: capture goes on, the gaps are rows. */
export async function comesBack(
  backend: Backend,
  network: Network,
  servers: Servers,
): Promise<void> {
  const events = await capture(
    { interfaces: [network.interface], backend },
    async ({ live, seen }) => {
      await talk(servers, network, 'first')
      await sleep(400)
      network.disconnect()
      await until(() => statesOf(seen).includes('retrying'), 'that the interface is missed')
      expect(live.readiness().ready).toBe(false)
      network.connect()
      await until(() => timesCaptured(seen) === 2, 'capture after the interface came back')
      await talk(servers, network, 'second')
      await sleep(400)
      network.switch('down')
      await until(() => statesOf(seen).at(-1) === 'retrying', 'that it is switched off')
      network.switch('up')
      await until(() => timesCaptured(seen) === 3, 'capture after it was switched on')
      expect(live.readiness().ready).toBe(true)
      await talk(servers, network, 'third')
      await sleep(400)
    },
  )
  const chunks = chunksOf(events)
  for (const name of ['first', 'second', 'third']) expect(whole(chunks, name), name).toBe(3)
  const coverage = coverageOf(chunks)
  expect(coverage.get('capture_gap_seconds')).toBeGreaterThanOrEqual(2)
  expect(coverage.has('capture_flows_lost')).toBe(false)
  expect(coverage.has('capture_dropped')).toBe(false)
  const why = events.flatMap((one) =>
    one.type === 'state' && one.state === 'lost' ? [one.detail] : [],
  )
  expect(why[0]).toMatch(/has gone|disappeared|no longer attached/i)
  expect(statesOf(events).at(-1)).toBe('stopped')
}

/** The interface was off for a moment: nothing is lost, though nobody calls the addon any more. */
export async function offForAMoment(
  backend: Backend,
  network: Network,
  servers: Servers,
): Promise<void> {
  const names = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth']
  const events = await capture({ interfaces: [network.interface], backend }, async ({ seen }) => {
    for (const name of names) {
      await talk(servers, network, name)
      if (name === 'first') {
        network.switch('down')
        network.switch('up')
      }
    }
    // Where the moment was noticed it is as long an end as any.
    const capturing = () => timesCaptured(seen) === statesOf(seen).filter(isLost).length + 1
    await until(capturing, 'capture')
    await talk(servers, network, 'last')
    await sleep(500)
  })
  const chunks = chunksOf(events)
  expect(whole(chunks, 'last')).toBe(3)
  if (statesOf(events).some(isLost)) return
  for (const name of names) expect(whole(chunks, name), name).toBe(3)
  expectNothingElseLost(chunks)
}

/** Whoever takes nothing for a while costs packets, which are counted, and no memory. */
export async function nobodyTakes(
  backend: Backend,
  network: Network,
  servers: Servers,
): Promise<void> {
  let flood: Promise<void> | undefined
  let most = 0
  let queued = 0
  const events = await capture(
    {
      interfaces: [network.interface],
      backend,
      ringBytes: 1 << 20,
      queueBytes: 256 << 10,
      bufferMillis: 1,
    },
    async () => {
      flood = network.run(
        process.execPath,
        new URL('flood.mjs', import.meta.url).pathname,
        network.address,
        '60000',
        '40000',
      )
      await flood
      await sleep(1500)
      await talk(servers, network, 'after')
      await sleep(500)
    },
    async (event) => {
      if (event.type === 'stats') queued = Math.max(queued, event.queueBytes)
      if (flood === undefined || event.type !== 'chunk' || most > 0) return
      // Nothing is taken until everything was sent.
      await flood
      for (const { pid } of captureProcesses())
        most = Math.max(most, Number.parseInt(statusOf(pid).get('VmHWM') ?? '0', 10) / 1024)
    },
  )
  const chunks = chunksOf(events)
  const coverage = coverageOf(chunks)
  expect(coverage.get('capture_dropped')).toBeGreaterThan(1000)
  expectNothingElseLost(chunks)
  expect(most).toBeGreaterThan(10)
  expect(most).toBeLessThan(400)
  expect(queued).toBeLessThan((256 << 10) + (2 << 20))
  // It goes on as if nothing had been.
  expect(whole(chunks, 'after')).toBe(3)
  expect(statesOf(events)).toEqual(['opening', 'capturing', 'stopped'])
}
