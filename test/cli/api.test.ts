// `bailiwick api` as processes beside a real broker and a store over HTTP: every one of them shows what workers found,
// as it happens, and none of them decides anything.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ALERT_STREAM } from '../../src/bus/bus.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { encodeFindings, type FindingEvent } from '../../src/respond/finding.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { alertId } from '../api/desk.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { finding, uuid } from '../respond/made-findings.ts'
import { type Front, startFront } from '../store/front.ts'
import { bailiwick, bailiwickUntil, storedAlert } from './asked.ts'
import { LoggedProcess } from './logged-process.ts'

vi.setConfig({ testTimeout: 120_000 })
const available = await kafkaAvailable()
const until = { timeout: 60_000, interval: 50 }
const NOW = Math.floor(Date.now() / 1000) * 1_000_000
const AGENTS = path.join(import.meta.dirname, '..', '..', 'fixtures', 'day-of-work', 'agents')

describe.skipIf(!available)('with a broker and a store', () => {
  let scratch = ''
  let cluster: Cluster
  let front: Front
  let store: Store
  let sink: KafkaSink
  const processes: LoggedProcess[] = []

  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-api-process-'))
    cluster = await startCluster()
    const settings = { brokers: cluster.bootstrap, clientId: 'test' }
    await ensureTopics(settings, [
      { topic: ALERT_STREAM, partitions: 4, replicas: 1, retentionMillis: 3_600_000 },
    ])
    sink = new KafkaSink({ ...settings, topic: ALERT_STREAM }, () => {})
    front = await startFront({ path: path.join(scratch, 'clickhouse') })
    store = await openStore(parseStoreTarget(front.store))
    await store.insertSlice(storedAlert(NOW))
    await tell(finding('early', 0, { ts: NOW, sentence: 'before anybody looked' }))
  }, 120_000)
  afterAll(async () => {
    for (const { child } of processes) child.kill('SIGKILL')
    await sink?.close()
    await store?.close()
    await front?.kill('SIGKILL')
    if (cluster !== undefined) await stopCluster(cluster.dir)
    rmSync(scratch, { recursive: true, force: true })
  })

  const tell = (...events: FindingEvent[]) =>
    sink.send({ key: events[0]!.chunkId, bytes: encodeFindings(events) })

  /** Starts one; its data directory is `name`. */
  async function start(
    name: string,
  ): Promise<{ data: string; address: string; process: LoggedProcess }> {
    const data = path.join(scratch, name)
    const process = new LoggedProcess(
      [
        ...['api', '--kafka', cluster.bootstrap.join(','), '--store', front.store],
        ...['--agents', AGENTS, '--data', data, '--listen', '127.0.0.1:0'],
      ],
      scratch,
    )
    processes.push(process)
    const { address } = await process.line(/^answers over HTTP$/)
    return { data, address: String(address), process }
  }
  const asked = (data: string, address: string, where: string, init: RequestInit = {}) =>
    fetch(`${address}${where}`, {
      ...init,
      headers: {
        authorization: `Bearer ${readFileSync(path.join(data, 'token'), 'utf8').trim()}`,
        'content-type': 'application/json',
      },
    })

  test('every one shows what is stored, what was told before, and what is told now', async () => {
    const both = await Promise.all([start('one'), start('two')])
    const followed = both.map(({ data }) =>
      bailiwickUntil(['alerts', '--follow', '--json', '--data', data]),
    )
    const early = [uuid('alert', 'early'), alertId('stored')]
    for (const { stdout } of followed)
      await expect.poll(() => early.filter((id) => !stdout.text.includes(id)), until).toEqual([])
    await tell(finding('late', 0, { ts: NOW + 1, score: 90, sentence: 'as it happens' }))
    for (const { stdout } of followed)
      await expect.poll(() => stdout.text, until).toContain('as it happens')
    for (const { end } of followed) await end()
    for (const { data } of both) {
      const { code, out } = await bailiwick(['alerts', '--json', '--data', data])
      expect(code).toBe(0)
      const shown = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).id)
      expect(shown.sort()).toEqual([...early, uuid('alert', 'late')].sort())
      const one = await bailiwick(['alerts', 'show', uuid('alert', 'late'), '--data', data])
      expect(one.out).toContain('203.0.113.7')
    }
  })

  test('says where decisions are taken, whose agents there are, and how it gets on', async () => {
    const { data, address } = await start('three')
    const said = async (where: string, init?: RequestInit) => {
      const answer = await asked(data, address, where, init)
      return [answer.status, (await answer.json()) as Record<string, unknown[]>] as const
    }
    expect(await said('/api/v1/revocations')).toEqual([
      200,
      { killed: false, here: false, revocations: [] },
    ])
    const kill = { method: 'POST', body: '{"on":true}' }
    expect(await said('/api/v1/revocations/kill', kill)).toEqual([
      404,
      { error: expect.stringContaining('`bailiwick respond`') },
    ])
    const [, { agents }] = await said('/api/v1/agents')
    expect(agents!.length).toBeGreaterThan(0)
    await expect
      .poll(async () => (await said('/ready'))[1], until)
      .toEqual({ ready: true, reason: '' })
    expect(await (await fetch(`${address}/health`)).json()).toEqual({
      status: 'alive',
      name: 'api',
    })
    expect(await (await fetch(`${address}/metrics`)).text()).toMatch(
      /^bailiwick_live_findings_total [12]$/m,
    )
    expect((await fetch(address)).headers.get('content-type')).toMatch(/^text\/html/)
  })

  test('passes over what it cannot read, and ends in good order', async () => {
    const { data, process } = await start('four')
    await sink.send({ key: 'x', bytes: Buffer.from('no findings at all') })
    const { reason } = await process.line(/cannot be read and is not shown/)
    expect(reason).toBe('a message of findings is no JSON')
    await tell(finding('after', 0, { ts: NOW + 2 }))
    await expect
      .poll(async () => (await bailiwick(['alerts', '--data', data])).out, until)
      .toContain(uuid('alert', 'after'))
    process.child.kill('SIGTERM')
    expect(await process.ended).toEqual([0, null])
    // Nobody is led to where nobody answers.
    const gone = await bailiwick(['revoke', 'ls', '--data', data])
    expect(gone).toMatchObject({ code: 4, err: expect.stringContaining('no process') })
  })
})
