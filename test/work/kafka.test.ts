// The worker as its users run it: processes, a broker, a server. What comes out must be what `replay` makes of the
// same files, row by row.

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM } from '../../src/bus/bus.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { KafkaSource } from '../../src/bus/kafka-source.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { decodeFindings } from '../../src/respond/finding.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { contentOf, type Front, startFront } from '../store/front.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const PROGRAM = path.join(ROOT, 'dist', 'src', 'cli', 'main.js')
const STORIES = ['document-exfiltration', 'two-agents', 'ipv6', 'day-of-work']
const PARTITIONS = 4
const available = await kafkaAvailable()

interface Ended {
  code: number
  told: string
}

function bailiwick(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const limits = { cwd: ROOT, timeout: 100_000, maxBuffer: 64 << 20 }
    execFile(process.execPath, [PROGRAM, ...args], limits, (error, _, told) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), told }),
    )
  })
}

describe.skipIf(!available)('worker processes on a broker and a server', () => {
  let directory = ''
  let cluster: Cluster
  let front: Front
  let brokers = ''
  const inputs = STORIES.map((story) => path.join('fixtures', story, 'input'))
  const judged = ['flow_records', 'coverage', 'rejects', 'judgements', 'findings']

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-work-kafka-'))
    cluster = await startCluster()
    brokers = cluster.bootstrap.join(',')
    const topics = [CHUNK_STREAM, DEAD_STREAM, ALERT_STREAM].map((topic) => ({
      topic,
      partitions: PARTITIONS,
      replicas: 1,
      retentionMillis: 3_600_000,
    }))
    await ensureTopics({ brokers: cluster.bootstrap, clientId: 'test' }, topics)
  }, 120_000)
  afterAll(async () => {
    await front?.kill('SIGKILL')
    await stopCluster(cluster.dir)
    await rm(directory, { recursive: true, force: true })
  })

  const worker = (...more: string[]) =>
    bailiwick(
      ...['worker', '--agents', 'fixtures', '--kafka', brokers, '--store', front.store],
      ...['--threads', '1', '--until-idle', '3', ...more],
    )

  /** What whoever acts on findings reads, each once. */
  async function findingsOnTheStream(): Promise<{ flow: string; side: string }[]> {
    const source = await KafkaSource.open(
      {
        ...{ brokers: cluster.bootstrap, clientId: 'test', topic: ALERT_STREAM },
        ...{ groupId: 'test', inFlightBytes: 8 << 20 },
      },
      () => {},
    )
    const found = new Map<string, { flow: string; side: string }>()
    let read = 0
    for await (const claim of source.claims()) {
      for (;;) {
        const delivery = await claim.next(5000)
        if (delivery === undefined) break
        for (const { flowId, side } of decodeFindings(delivery.bytes))
          found.set(`${flowId} ${side}`, { flow: flowId, side })
      }
      if (++read === PARTITIONS) break
    }
    await source.close()
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
  }

  test('two of them store what a replay stores; garbage among it is a dead letter', async () => {
    front = await startFront({ path: path.join(directory, 'replayed') })
    const replayed = await bailiwick(
      ...['replay', ...inputs, '--agents', 'fixtures', '--store', front.store],
    )
    expect(replayed).toMatchObject({ code: 0 })
    const expected = await contentOf(front)
    await front.kill('SIGKILL')

    front = await startFront({ path: path.join(directory, 'worked') })
    expect(await bailiwick('migrate', '--store', front.store)).toMatchObject({ code: 0 })
    const sink = new KafkaSink(
      { brokers: cluster.bootstrap, clientId: 'test', topic: CHUNK_STREAM },
      () => {},
    )
    await sink.send({ key: 'nobody/1', bytes: Buffer.from('no chunk') })
    await sink.close()
    const spool = path.join(directory, 'spool')
    const sent = await bailiwick('sensor', ...inputs, '--spool', spool, '--kafka', brokers)
    expect(sent).toMatchObject({ code: 0 })

    const workers = await Promise.all([worker(), worker()])
    expect(
      workers.map(({ code }) => code),
      workers.map(({ told }) => told).join(),
    ).toEqual([0, 0])
    const content = await contentOf(front)
    for (const table of judged) expect(content[table], table).toEqual(expected[table])
    expect(await findingsOnTheStream()).toEqual(
      await front.rows(
        'SELECT toString(flow_id) AS flow, toString(side) AS side FROM findings ORDER BY flow, side',
      ),
    )
    expect(await front.rows('SELECT reason, stream, partition, key FROM dead_letters')).toEqual([
      { reason: 'garbage', stream: CHUNK_STREAM, partition: expect.anything(), key: 'nobody/1' },
    ])
  }, 240_000)

  test('a third finds nothing to do, and says so', async () => {
    const { code, told } = await worker()
    expect(code, told).toBe(0)
    expect(told).toContain('nothing more came')
  }, 60_000)

  test('without its topic, or with an older schema, it says the cure and ends', async () => {
    const elsewhere = path.join(directory, 'empty')
    const other = await startFront({ path: elsewhere, database: 'flows' })
    const args = ['worker', '--agents', 'fixtures', '--kafka', brokers, '--store', other.store]
    const unmigrated = await bailiwick(...args)
    await other.kill('SIGKILL')
    expect(unmigrated.code).toBe(4)
    expect(unmigrated.told).toContain('bailiwick migrate')
  }, 60_000)
})
