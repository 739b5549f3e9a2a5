// A storm: ten thousand flows that leave their scope a minute, each an alert of its own, to one endpoint; and a lone alert
// now and then for another. None is lost, memory is bounded, messages are about many, and the lone one does not wait.
// STORM_MINUTES: how long, 3 if not said.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import type { FindingEvent } from '../../src/respond/finding.ts'
import { finding, uuid } from '../respond/made-findings.ts'
import type { Noted } from './noting-receiver.ts'
import { RespondArena } from './respond-arena.ts'

const PER_SECOND = Math.ceil(10_000 / 60)
const MINUTES = Number(process.env.STORM_MINUTES ?? 3)
const MEBI = 2 ** 20

let arena: RespondArena
afterEach(() => arena.close())

/** Of the storm; each is of another destination. */
const stormy = (number: number): FindingEvent =>
  finding(number, number, { ts: Date.now() * 1000, decidedAt: Date.now() * 1000, score: 50 })
const lone = (number: number): FindingEvent => ({
  ...stormy(number),
  kind: 'unregistered',
  agent: '',
})

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN

test('10,000 a minute', { timeout: 120_000 + MINUTES * 90_000 }, async () => {
  arena = await RespondArena.start({ revocation: { mode: 'observe' } })
  await arena.open()
  const alone = new Map<string, number>()
  let peak = 0
  const rss: number[] = []
  for (let second = 0; second < MINUTES * 60; second++) {
    const next = performance.now() + 1000
    arena.give(PER_SECOND, stormy)
    if (second % 2 === 1) {
      await sleep(300)
      alone.set(uuid('alert', arena.given), Date.now())
      arena.give(1, lone)
    }
    if (second % 5 === 0) {
      const status = await arena.status()
      peak = Math.max(peak, status.rss)
      rss.push(status.rss)
    }
    await sleep(Math.max(0, next - performance.now()))
  }
  await arena.settled()
  const noted = arena.received()
  const of = (url: string): Noted[] => noted.filter((one) => one.url === url)
  const told = new Set(of('/soc').flatMap(({ alerts }) => alerts))
  const latencies = of('/lone')
    .flatMap(({ alerts, at }) => alerts.map((id) => at - alone.get(id)!))
    .sort((a, b) => a - b)
  const messages = new Set(of('/soc').map(({ id }) => id)).size
  process.stderr.write(
    `\nstorm: ${arena.given} findings in ${MINUTES} min, ${told.size} alerts told in ${messages} messages ` +
      `(${(told.size / messages).toFixed(1)} each); RSS after 1 min ${(rss[11]! / MEBI).toFixed(0)}, at most ` +
      `${(peak / MEBI).toFixed(0)} MiB; a lone alert at another endpoint p50 ${quantile(latencies, 0.5)}, ` +
      `p99 ${quantile(latencies, 0.99)} ms over ${latencies.length}\n`,
  )
  expect(noted.filter((one) => one.wrong !== undefined)).toEqual([])
  expect([told.size, latencies.length]).toEqual([arena.given, alone.size])
  expect(messages).toBeLessThan(told.size / 3)
  expect(peak).toBeLessThan(400 * MEBI)
})
