// `bailiwick respond` as a process, with a real broker, a real receiver and a real API that revokes: findings in, signed
// requests out, once each whatever dies; and no secret in anything that it prints or answers.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { ALERT_STREAM, DEAD_STREAM } from '../../src/bus/bus.ts'
import { DeadLetters } from '../../src/bus/dead-letters.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { encodeFindings, type FindingEvent } from '../../src/respond/finding.ts'
import type { Readiness } from '../../src/telemetry.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { finding, uuid } from '../respond/made-findings.ts'
import { Receiver, SECRET } from '../respond/receiver.ts'
import { Revoked } from '../respond/revoked.ts'
import { Server } from '../serve/server.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

interface Shown {
  revocations: { id: string; state: string; detail: string | null }[]
}

describe.skipIf(!(await kafkaAvailable()))('bailiwick respond', () => {
  let scratch = ''
  let cluster: Cluster
  let kafka: { brokers: string[]; clientId: string }
  let sink: KafkaSink
  let receiver: Receiver
  let api: Revoked
  let server: Server

  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-respond-cli-'))
    cluster = await startCluster()
    kafka = { brokers: cluster.bootstrap, clientId: 'test' }
    const topics = [ALERT_STREAM, DEAD_STREAM].map((topic) => ({
      ...{ topic, partitions: 2, replicas: 1, retentionMillis: 3_600_000 },
    }))
    await ensureTopics(kafka, topics)
    sink = new KafkaSink({ ...kafka, topic: ALERT_STREAM }, () => {})
    receiver = await Receiver.start()
    api = await Revoked.start(SECRET)
    mkdirSync(path.join(scratch, 'secrets'))
    writeFileSync(path.join(scratch, 'secrets', 'soc'), SECRET)
    chmodSync(path.join(scratch, 'secrets', 'soc'), 0o644)
    writeFileSync(path.join(scratch, 'bailiwick.yaml'), settings())
  })
  afterEach(() => void server?.child.kill('SIGKILL'))
  afterAll(async () => {
    await sink?.close()
    await receiver?.stop()
    await api?.stop()
    if (cluster !== undefined) await stopCluster(cluster.dir)
    rmSync(scratch, { recursive: true, force: true })
  })

  const settings = () => `kafka: {brokers: ["${cluster.bootstrap.join('","')}"]}
store: store
respond:
  webhooks: [{name: soc, url: "${receiver.url}", secret_file: secrets/soc}]
  allow_targets: [127.0.0.0/8]
  revocation:
    mode: approve
    endpoints: [{name: iam, url: "${api.url}"}]
`
  const respond = (data = 'data') => {
    const env = { BAILIWICK_REVOCATION_SECRET_IAM: SECRET }
    server = new Server(scratch, ['--data', data, '--store', `${data}.store`], env, 'respond')
    return server
  }
  const send = async (bytes: Uint8Array, key = uuid('chunk', 0)) => {
    await sink.send({ key, bytes })
  }
  const findings = (...events: FindingEvent[]) => send(encodeFindings(events))

  test('tells, asks, calls; what cannot be read is dead, and what is sent twice happens once', async () => {
    const now = { decidedAt: Date.now() * 1000 }
    const first = finding(1, 0, now)
    await findings(first)
    await send(Buffer.from('{"v":1,"findings":[{"agent":"no finding"}]}'))
    await findings(finding(2, 0, { ...now, agent: 'spiffe://acme.example/agents/other' }))

    const one = respond()
    await receiver.untilAlerts(2)
    expect(new Set(receiver.alerts)).toEqual(new Set([uuid('alert', 1), uuid('alert', 2)]))
    expect(receiver.wrong).toEqual([])

    const letters = await DeadLetters.open(kafka)
    const dead = await letters.list({ limit: 10, reason: undefined, onlyOpen: false })
    expect(dead.letters.map(({ letter }) => letter)).toMatchObject([
      { reason: 'garbage', stream: ALERT_STREAM, detail: expect.stringContaining('findings.0') },
    ])
    const bytes = await letters.bytesOf(dead.letters[0]!)
    expect(Buffer.from(bytes!).toString()).toContain('no finding')
    await letters.close()
    expect(await one.metric('bailiwick_alert_messages_unreadable_total')).toBe(1)

    // A person decides, from what would be sent exactly.
    const { revocations } = await one.until<Shown>(
      '/api/v1/revocations',
      (shown) => shown.revocations.length === 2,
    )
    const ours = revocations[0]!
    const dry = await one.ask<{ url: string; body: string }>(
      `/api/v1/revocations/${ours.id}/dry-run`,
    )
    expect(dry.url).toBe(api.url)
    expect(api.calls).toEqual([])
    await one.tell(`/api/v1/revocations/${ours.id}/approve`)
    await api.until(1)
    expect(api.calls[0]).toMatchObject({ id: `rev_${ours.id}`, body: dry.body })
    await one.until<Shown>('/api/v1/revocations', (shown) =>
      shown.revocations.some(({ id, state }) => id === ours.id && state === 'called'),
    )

    // The next process goes on where this one was killed, and takes the same findings again without doing anything.
    await one.end('SIGKILL')
    const effects = receiver.effects.size
    await findings(first)
    const two = respond()
    await two.line(/^answers over HTTP$/)
    await findings(finding(3, 0, { ...now, agent: '', grade: 'unknown' }))
    await receiver.untilAlerts(3)
    expect([receiver.effects.size, api.calls.length]).toEqual([effects + 1, 1])
    const questions = ['webhooks', 'alerts', 'revocations', 'deliveries/dead', 'openapi.json']
    const answers = await Promise.all(questions.map((one) => two.ask(`/api/v1/${one}`)))
    const metrics = await (await fetch(`${await two.address()}/metrics`)).text()
    expect(await two.end()).toEqual([0, null])

    await expectNoSecret([one.text, two.text, JSON.stringify([dry, answers]), metrics])
    expect(one.text).toContain('chmod 600')
  })

  async function expectNoSecret(texts: readonly string[]): Promise<void> {
    const key = SECRET.slice('whsec_'.length)
    for (const text of texts) {
      expect(text.length).toBeGreaterThan(0)
      for (const secret of [SECRET, key, 's3cr3t-path']) expect(text).not.toContain(secret)
    }
  }

  test('two of one group, over two directories: neither is ready, and each says why', async () => {
    const [one, two] = [respond('one'), respond('two')]
    const why = 'holds 1 of 2 partitions of bailiwick.alerts.v1: another process of the group'
    try {
      for (const each of [one, two]) {
        await each.until<Readiness>('/ready', ({ reason }) => reason.includes(why))
        // Once, for whoever reads the log.
        while (!each.text.includes(why)) await sleep(50)
      }
      expect(await two.end()).toEqual([0, null])
      await one.until<Readiness>('/ready', ({ ready }) => ready)
    } finally {
      one.child.kill('SIGKILL')
    }
  })

  test('does not begin with a template that cannot be filled in, and says where', async () => {
    const file = path.join(scratch, 'wrong.yaml')
    writeFileSync(
      file,
      settings().replace(`url: "${api.url}"`, `url: "${api.url}", body: {a: "\${who}"}`),
    )
    const env = { BAILIWICK_REVOCATION_SECRET_IAM: SECRET }
    server = new Server(scratch, ['--data', 'other', '--config', file], env, 'respond')
    expect(await server.ended).toEqual([2, null])
    expect(server.text).toMatch(/wrong\.yaml:8:\d+: .*\$\{who\} is not known/)
  })
})
