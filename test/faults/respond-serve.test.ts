// `bailiwick serve` killed between an alert and its webhook, at F8 and F9 and anywhere: the webhook comes once it is back,
// under the same id, and every alert that the store has in the end was told.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Receiver, SECRET } from '../respond/receiver.ts'
import { Server } from '../serve/server.ts'
import { writeCrawler, writeManyFlows } from './many-flows.ts'
import { runProgram } from './program.ts'

let scratch = ''
let receiver: Receiver
let server: Server | undefined
beforeEach(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-respond-serve-'))
  receiver = await Receiver.start()
})
afterEach(async () => {
  server?.child.kill('SIGKILL')
  await receiver.stop()
  rmSync(scratch, { recursive: true, force: true })
})

/** Deaths of each life: at a place, or after so many milliseconds. */
const DEATHS = ['F8_alert_outbox=kill@1', 'F9_outbox_send=kill@1', 'F9_outbox_send=kill@3', 700]

test('kill -9 of serve between alert and webhook', { timeout: 240_000 }, async () => {
  const file = (name: string) => path.join(scratch, name)
  await writeManyFlows(file('many.pcap'), 30_000)
  await writeCrawler(file('crawler.yaml'))
  writeFileSync(file('secret'), `${SECRET}\n`, { mode: 0o600 })
  writeFileSync(
    file('config.yaml'),
    `respond:
  webhooks:
    - { name: soc, url: "${receiver.url}", secret_file: ${file('secret')} }
  allow_targets: [127.0.0.0/8]
  revocation:
    mode: approve
    endpoints:
      - { name: platform, url: "${receiver.url}", secret_file: ${file('secret')} }
    attempt_rules: [default-deny]
`,
  )
  const data = file('data')
  const args = ['--agents', file('crawler.yaml'), '--input', file('many.pcap'), '--data', data]
  const start = (env: Record<string, string> = {}) => {
    server = new Server(scratch, [...args, '--config', file('config.yaml')], env)
    return server
  }
  for (const death of DEATHS) {
    const one = start(typeof death === 'string' ? { BAILIWICK_FAILPOINTS: death } : {})
    if (typeof death === 'number') {
      await one.address()
      await sleep(death)
      one.child.kill('SIGKILL')
    }
    expect(await one.ended, JSON.stringify(one.lines.at(-1))).toEqual([null, 'SIGKILL'])
    const audit = path.join(data, 'audit')
    if (existsSync(path.join(audit, 'audit.log'))) await runProgram(['audit', 'verify', audit])
  }
  const last = start()
  await last.line(/^everything that was named is read$/)
  while ((await last.metric('bailiwick_spool_messages')) > 0) await sleep(50)
  const { alerts } = await last.ask<{ alerts: { id: string }[] }>('/api/v1/alerts?limit=500')
  const raised = new Set(alerts.map(({ id }) => id))
  expect(raised.size).toBeGreaterThan(100)
  await expect.poll(() => new Set(receiver.alerts), { timeout: 60_000 }).toEqual(raised)
  // Told again at most what was told and could not be noted, and then by the same message.
  const messages = new Map<string, Set<string>>()
  for (const { id, message } of receiver.received)
    for (const alert of [...message.data.alerts, ...message.data.more])
      messages.set(alert.id, (messages.get(alert.id) ?? new Set()).add(id))
  expect([...messages.values()].every((ids) => ids.size === 1)).toBe(true)
  expect(receiver.wrong).toEqual([])
  expect(receiver.received.length).toBeGreaterThan(receiver.effects.size)
  expect(await last.end()).toEqual([0, null])
  const log = JSON.stringify([last.lines, last.words])
  for (const secret of [SECRET, 's3cr3t-path']) expect(log).not.toContain(secret)
  expect(readFileSync(path.join(data, 'audit', 'audit.log'), 'utf8')).not.toContain(SECRET)
})
