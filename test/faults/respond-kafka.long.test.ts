// `bailiwick respond` killed with -9 while it takes findings from Kafka: before its position is committed, between a
// webhook and the note of it, between a revocation and its record, and anywhere. What was not committed comes again, and
// changes nothing: every alert is told, by one message under one id.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ALERT_STREAM, DEAD_STREAM } from '../../src/bus/bus.ts'
import { groupState } from '../../src/bus/kafka-group.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { encodeFindings } from '../../src/respond/finding.ts'
import {
  type Cluster,
  kafkaAvailable,
  startBroker,
  startCluster,
  stopBroker,
  stopCluster,
} from '../bus/broker.ts'
import { SECRET } from '../respond/receiver.ts'
import { Server } from '../serve/server.ts'
import { uniformNumbers } from './many-flows.ts'
import { NotingReceiver } from './noting-receiver.ts'
import { runProgram } from './program.ts'
import { alertOf, numberedFinding } from './respond-findings.ts'
import { auditRecords, judgeResponse, type Responded } from './respond-judge.ts'
import { keepRespondRow } from './respond-table.ts'

vi.setConfig({ testTimeout: 1_500_000, hookTimeout: 120_000 })

const GROUP = 'trial'
/** Findings of one message of the stream: ten alerts, two of whom may be revoked. */
const MESSAGE = 30
/** How lives end, in turn: at a failpoint, with what was taken not committed, or at any moment. */
const DEATHS = [
  'F8_alert_outbox=kill@1',
  'F9_outbox_send=kill@1',
  'F10_send_ack=kill@1',
  'anywhere',
  'uncommitted',
  'F9_outbox_send=kill@3',
]
const ROUNDS = 5

describe.skipIf(!(await kafkaAvailable()))('respond', () => {
  const random = uniformNumbers(Number(process.env.FAULTS_SEED ?? Date.now() & 0xffff))
  const trial: Responded = {
    auditFile: '',
    kills: 0,
    given: 0,
    received: () => receiver.received(),
  }
  let scratch = ''
  let cluster: Cluster
  let sink: KafkaSink
  let receiver: NotingReceiver
  let server: Server
  /** Messages of the stream as they were sent. */
  const sent: Uint8Array[] = []
  /** Deaths that left something uncommitted. */
  let uncommitted = 0

  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-respond-kafka-'))
    trial.auditFile = path.join(scratch, 'data', 'audit', 'audit.log')
    cluster = await startCluster()
    receiver = await NotingReceiver.start(scratch)
    const topics = [ALERT_STREAM, DEAD_STREAM].map((topic) => ({
      ...{ topic, partitions: 2, replicas: 1, retentionMillis: 3_600_000 },
    }))
    await ensureTopics(kafka(), topics)
    sink = new KafkaSink({ ...kafka(), topic: ALERT_STREAM }, () => {})
    writeFileSync(path.join(scratch, 'secret'), SECRET, { mode: 0o600 })
    writeFileSync(path.join(scratch, 'bailiwick.yaml'), settings())
  })
  afterAll(async () => {
    server?.child.kill('SIGKILL')
    await sink?.close()
    await receiver?.close()
    if (cluster !== undefined) await stopCluster(cluster.dir)
    rmSync(scratch, { recursive: true, force: true })
  })

  const kafka = () => ({ brokers: cluster.bootstrap, clientId: 'trial' })
  const settings = () => `kafka: {brokers: ["${cluster.bootstrap.join('","')}"]}
store: store
respond:
  group: ${GROUP}
  webhooks:
    - {name: soc, url: "${receiver.base}/soc", secret_file: secret}
    - {name: bad, url: "${receiver.base}/bad", secret_file: secret, min_score: 80}
  allow_targets: [127.0.0.0/8]
  revocation:
    mode: auto
    endpoints: [{name: platform, url: "${receiver.base}/revoke", secret_file: secret}]
    protected: ["spiffe://kills/protected/*"]
    per_hour: 1000
`

  /** A worker that stores a slice; now and then one that died told of it before. */
  async function give(): Promise<void> {
    const events = Array.from({ length: MESSAGE }, (_, i) => numberedFinding(trial.given + i))
    trial.given += MESSAGE
    sent.push(encodeFindings(events))
    const again = random() < 0.3 ? [sent[Math.floor(random() * sent.length)]!] : []
    for (const bytes of [...again, sent.at(-1)!])
      await sink.send({ key: String(Math.floor(random() * 64)), bytes })
  }

  const respond = (failpoints?: string) => {
    const env: Record<string, string> = {
      // The dead one's partitions are free so much sooner.
      BAILIWICK_KAFKA_SESSION_TIMEOUT_MS: '6000',
      ...(failpoints === undefined ? {} : { BAILIWICK_FAILPOINTS: failpoints }),
    }
    server = new Server(scratch, ['--data', 'data'], env, 'respond')
    return server
  }

  const told = (url: string) =>
    new Set(receiver.received().flatMap((one) => (one.url === url ? one.alerts : [])))
  const behind = async () => Number((await groupState(kafka(), GROUP, ALERT_STREAM)).behind)

  async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const began = performance.now()
    let why: unknown
    const held = async () => await holds()
    while (!(await held().catch((error) => void (why = error)))) {
      if (server.child.exitCode !== null) throw new Error(`${what}: it ended: ${server.text}`)
      if (performance.now() - began > 90_000)
        throw new Error(`${what}: not in 90 s: ${why ?? ''} ${server.text.slice(-5000)}`)
      await sleep(200)
    }
  }

  /** Dies when all was told of what it took, and the broker never heard that it took it. */
  async function diesUncommitted(): Promise<void> {
    const newest = alertOf(trial.given - 1)
    const one = respond('F8_alert_outbox=sleep@1:8000')
    // What it took is on its disk, and it rests before it says so.
    await until('it has taken', async () =>
      JSON.stringify(await one.ask('/api/v1/alerts?limit=500')).includes(newest),
    )
    await stopBroker(cluster.dir, 1)
    await until('it has told', () => told('/soc').has(newest))
    one.child.kill('SIGKILL')
    await one.ended
    await startBroker(cluster, 1)
    expect(await behind()).toBeGreaterThan(0)
  }

  async function die(death: string): Promise<void> {
    await give()
    if (death === 'uncommitted') await diesUncommitted()
    else {
      const one = respond(death === 'anywhere' ? undefined : death)
      if (death === 'anywhere') {
        await sleep(random() * 12_000)
        one.child.kill('SIGKILL')
      }
      const dead = one.ended.then(() => true)
      // Later passages need further findings.
      while (!(await Promise.race([dead, sleep(3000, false)]))) await give()
      expect(await one.ended, one.text.slice(-2000)).toEqual([null, 'SIGKILL'])
    }
    trial.kills++
    if ((await behind()) > 0) uncommitted++
    auditRecords(trial)
  }

  test('killed between Kafka and what follows a finding', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const death of DEATHS) await die(death)
      await runProgram(['audit', 'verify', path.dirname(trial.auditFile)])
    }
    const last = respond()
    const began = performance.now()
    const numbers = Array.from({ length: trial.given }, (_, number) => number)
    await until('all is told, and committed', async () => {
      const { size } = told('/soc')
      return size === new Set(numbers.map(alertOf)).size && (await behind()) === 0
    })
    await until('nothing is left to be called', async () => {
      const { revocations } = await last.ask<{ revocations: { state: string }[] }>(
        '/api/v1/revocations',
      )
      const queued = await last.metric('bailiwick_webhook_queued')
      return queued === 0 && revocations.every(({ state }) => !/^(approved|calling)$/.test(state))
    })
    const recoverySeconds = (performance.now() - began) / 1000
    const all = receiver.received()
    const again = all.length - new Set(all.map(({ url, id }) => `${url} ${id}`)).size
    const row = judgeResponse(trial, {
      ...{ fault: '`respond` killed with -9 between Kafka and its webhooks', recoverySeconds },
      events: `${uncommitted} deaths before the commit; ${again} requests repeated`,
    })
    keepRespondRow(row)
    expect(row.faults).toEqual([])
    expect(row.kills).toBe(ROUNDS * DEATHS.length)
    // Or nothing is shown.
    expect(uncommitted).toBeGreaterThanOrEqual(2 * ROUNDS)
    expect(again).toBeGreaterThanOrEqual(ROUNDS)
    expect(row.revoked).toBeGreaterThan(0)
    expect(await last.end()).toEqual([0, null])
  })
})
