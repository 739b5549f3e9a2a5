// Commands that need Kafka, as processes against a real broker with TLS and users: what they do when they are let
// in, and what they say, and with which exit code, when they are not.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM, IDENTITY_STREAM } from '../../src/bus/bus.ts'
import { topicWishes } from '../../src/cli/topics.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'

const MAIN = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'main.js')
const available = await kafkaAvailable()

describe.skipIf(!available)('with a broker', () => {
  let cluster: Cluster
  let scratch = ''
  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-kafka-cli-'))
    cluster = await startCluster({ tls: true })
  }, 90_000)
  afterAll(async () => {
    if (cluster !== undefined) await stopCluster(cluster.dir)
    rmSync(scratch, { recursive: true, force: true })
  })

  /** What lets a user in, as variables; '' takes one away. */
  const as = (user: string, more: Record<string, string> = {}): Record<string, string> => ({
    BAILIWICK_KAFKA_BROKERS: cluster.bootstrap[0]!,
    BAILIWICK_KAFKA_TLS_CA_FILE: cluster.tls!.ca,
    BAILIWICK_KAFKA_SASL_USERNAME: user,
    BAILIWICK_KAFKA_PASSWORD: cluster.tls!.users[user]!,
    ...more,
  })

  async function bailiwick(args: string[], env: Record<string, string>) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env.PATH, ...env },
      cwd: scratch,
    })
    let [out, err] = ['', '']
    child.stdout.on('data', (piece) => {
      out += piece
    })
    child.stderr.on('data', (piece) => {
      err += piece
    })
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { code, out, err }
  }

  it('topics: creates what is missing, once, and says what differs without changing it', async () => {
    const admin = as('admin')
    const dry = await bailiwick(['topics', '--dry-run'], admin)
    expect(dry).toMatchObject({ code: 1, err: expect.stringContaining('4 topics missing') })
    const rows = (text: string) => text.match(/^bailiwick\..*$/gm)?.map((row) => row.split(/ +/))
    const made = await bailiwick(['topics', '--retention', '3'], admin)
    expect([made.code, made.err]).toEqual([0, ''])
    expect(rows(made.out)).toEqual([
      [CHUNK_STREAM, '8', 'created'],
      [IDENTITY_STREAM, '1', 'created'],
      [ALERT_STREAM, '8', 'created'],
      [DEAD_STREAM, '1', 'created'],
    ])
    const again = await bailiwick(['topics', '--retention', '3', '--json'], admin)
    const report = JSON.parse(again.out)
    expect(report).toMatchObject({ schema: 'bailiwick.topics/v1', brokers: 1, dry_run: false })
    expect(report.topics.map((one: { state: string }) => one.state)).toEqual(Array(4).fill('there'))
    const other = await bailiwick(['topics', '--partitions', '4', '--json'], admin)
    expect(other.code).toBe(0)
    expect(JSON.parse(other.out).topics[0]).toEqual({
      topic: CHUNK_STREAM,
      state: 'differs',
      partitions: 8,
      replicas: 1,
      differs: ['8 partitions instead of 4', 'retention.ms is 259200000 instead of 604800000'],
    })
    expect((await bailiwick(['topics', '--partitions', '4', '--dry-run'], admin)).code).toBe(1)
  })

  const REFUSALS: readonly [what: string, env: () => Record<string, string>, words: RegExp][] = [
    [
      'a wrong password',
      () => as('admin', { BAILIWICK_KAFKA_PASSWORD: 'not-this-one' }),
      /authentication failed: .*invalid credentials.* \(check the user, the password and the SASL mechanism\)$/,
    ],
    [
      'an unknown authority',
      () => as('admin', { BAILIWICK_KAFKA_TLS_CA_FILE: '', BAILIWICK_KAFKA_TLS: 'true' }),
      /self-signed certificate in certificate chain \(give the authority that signed the broker's certificate: kafka\.tls\.ca_file\)$/,
    ],
    [
      'another mechanism',
      () => as('admin', { BAILIWICK_KAFKA_SASL_MECHANISM: 'scram-sha-256' }),
      /does not support the requested SASL mechanism \(the broker has other ones: set kafka\.sasl\.mechanism\)$/,
    ],
  ]

  it.each(REFUSALS)('topics: %s is said, exit 4', async (_, env, words) => {
    const { code, out, err } = await bailiwick(['topics'], env())
    expect([code, out]).toEqual([4, ''])
    expect(err.trimEnd()).toMatch(words)
    expect(err).toContain(cluster.bootstrap[0]!)
    expect(err).not.toMatch(/not-this-one|admin-secret/)
  })

  it.each([
    ['nobody there', '127.0.0.1:1', 'connect ECONNREFUSED 127.0.0.1:1 (is it running'],
    ['no such host', 'nowhere.invalid:9092', 'ENOTFOUND nowhere.invalid (is it running'],
  ])('topics: %s is said, exit 4', async (_, broker, words) => {
    const { code, err } = await bailiwick(['topics', '--kafka', broker], as('admin'))
    expect(code).toBe(4)
    expect(err).toContain(words)
  })

  it('topics: a user without rights is told which', async () => {
    const { code, err } = await bailiwick(['topics'], as('sensor'))
    expect(code).toBe(4)
    expect(err).toContain('(the user may not: grant it the right to this topic)')
  })

  it('wrong settings end with 2 before anything is reached', async () => {
    const file = path.join(scratch, 'wrong.yaml')
    writeFileSync(file, 'kafka:\n  brokers: [localhost]\n')
    const { code, err } = await bailiwick(['topics', '--config', file], {})
    expect([code, err]).toEqual([
      2,
      `bailiwick: ${file}:2:12: \`kafka.brokers\`: expected host:port of a Kafka broker, several with commas between (a name or an IPv4 address: the client knows no IPv6 literals), found ["localhost"]\n`,
    ])
  })
})

it('three brokers keep three replicas, fewer one; dead letters outlive chunks', () => {
  const wanted = { partitions: 32, replicas: undefined, retentionDays: 14 }
  const day = 86_400_000
  expect(topicWishes(wanted, 2)[0]).toEqual({
    topic: CHUNK_STREAM,
    partitions: 32,
    replicas: 1,
    retentionMillis: 14 * day,
  })
  expect(topicWishes(wanted, 3).map(({ replicas }) => replicas)).toEqual([3, 3, 3, 3])
  expect(topicWishes({ ...wanted, replicas: 2 }, 3)[0]!.replicas).toBe(2)
  const dead = topicWishes(wanted, 3).find(({ topic }) => topic === DEAD_STREAM)
  expect(dead!.retentionMillis).toBe(365 * day)
  const identity = topicWishes(wanted, 3).find(({ topic }) => topic === IDENTITY_STREAM)
  expect(identity!.cleanup).toBe('compact')
})
