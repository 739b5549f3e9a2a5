// Commands that need Kafka, against a real broker with TLS and users: what they do when they are let in, and what
// they say, and with which exit code, when they are not.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM, IDENTITY_STREAM } from '../../src/bus/bus.ts'
import { kafkaClient } from '../../src/bus/kafka-client.ts'
import { run } from '../../src/cli/program.ts'
import { topicWishes } from '../../src/cli/topics.ts'
import { readEnvironment } from '../../src/config.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { Memory } from './heard.ts'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
const ROOT = path.join(import.meta.dirname, '..', '..')
const MAIN = path.join(ROOT, 'dist', 'src', 'cli', 'main.js')
const CAPTURE = path.join(ROOT, 'fixtures', 'day-of-work', 'input')
const AGENTS = path.join(ROOT, 'fixtures', 'day-of-work', 'agents')
const OPERATIONS: Readonly<Record<string, number>> = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Describe: AclOperationTypes.DESCRIBE,
}
// Each starts processes, which takes its time where others use the processors.
vi.setConfig({ testTimeout: 120_000 })

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

  /** Runs a command in this process. */
  async function here(args: string[], env: Record<string, string>) {
    const [stdout, stderr] = [new Memory(), new Memory()]
    const signal = new AbortController().signal
    const code = await run(args, { stdout, stderr, environment: readEnvironment(env), signal })
    return { code, out: stdout.text, err: stderr.text }
  }

  /** Runs a command as a process to its end. @param until a log line after which it is told to end */
  async function bailiwick(args: string[], env: Record<string, string>, until?: RegExp) {
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
      if (until?.test(err) !== true) return
      until = undefined
      child.kill('SIGTERM')
    })
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { code, out, err }
  }

  let spools = 0
  const sensor = () => ['sensor', CAPTURE, '--spool', path.join(scratch, `spool-${spools++}`)]
  const worker = () => ['worker', '--agents', AGENTS, '--store', path.join(scratch, 'store')]
  /** The last line of a log. */
  const last = (err: string) => JSON.parse(err.trimEnd().split('\n').at(-1) ?? '{}')

  describe('that has no topics yet', () => {
    it.each([
      ['sensor', sensor, CHUNK_STREAM],
      ['worker', worker, DEAD_STREAM],
    ])('%s: says so, exit 4', async (_, args, topic) => {
      const { code, err } = await bailiwick(args(), as('admin'))
      expect(code).toBe(4)
      expect(last(err)).toMatchObject({ level: 'error', exit: 4 })
      expect(last(err).msg).toContain(
        `there is no topic ${topic} at ${cluster.bootstrap[0]} (or it may not be seen): bailiwick topics creates it`,
      )
    })

    it('doctor: fails, with the cure', async () => {
      const { code, out, err } = await here(['doctor', '--json'], as('admin'))
      expect(code).toBe(4)
      const { checks } = JSON.parse(out)
      const kafka = checks.filter((one: { name: string }) => one.name.startsWith('kafka'))
      expect(kafka).toMatchObject([
        {
          name: 'kafka',
          state: 'ok',
          found: expect.stringMatching(/^one broker, TLS, user admin/),
        },
        { name: 'kafka topics', state: 'fail', cure: 'bailiwick topics creates them' },
        { name: 'kafka workers', state: 'warn' },
      ])
      expect(err).toContain(`hidden from this user: ${CHUNK_STREAM}, ${IDENTITY_STREAM}`)
    })
  })

  it('topics: creates what is missing, once, and says what differs without changing it', async () => {
    const admin = as('admin')
    const dry = await here(['topics', '--dry-run'], admin)
    expect(dry).toMatchObject({ code: 1, err: expect.stringContaining('4 topics missing') })
    const rows = (text: string) => text.match(/^bailiwick\..*$/gm)?.map((row) => row.split(/ +/))
    const made = await here(['topics', '--retention', '3'], admin)
    expect([made.code, made.err]).toEqual([0, ''])
    expect(rows(made.out)).toEqual([
      [CHUNK_STREAM, '8', 'created'],
      [IDENTITY_STREAM, '1', 'created'],
      [ALERT_STREAM, '8', 'created'],
      [DEAD_STREAM, '1', 'created'],
    ])
    const again = await here(['topics', '--retention', '3', '--json'], admin)
    const report = JSON.parse(again.out)
    expect(report).toMatchObject({ schema: 'bailiwick.topics/v1', brokers: 1, dry_run: false })
    expect(report.topics.map((one: { state: string }) => one.state)).toEqual(Array(4).fill('there'))
    const other = await here(['topics', '--partitions', '4', '--json'], admin)
    expect(other.code).toBe(0)
    expect(JSON.parse(other.out).topics[0]).toEqual({
      topic: CHUNK_STREAM,
      state: 'differs',
      partitions: 8,
      replicas: 1,
      differs: ['8 partitions instead of 4', 'retention.ms is 259200000 instead of 604800000'],
    })
    expect((await here(['topics', '--partitions', '4', '--dry-run'], admin)).code).toBe(1)
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

  it.each(REFUSALS.slice(0, 1))(
    'sensor: %s is said, exit 4, and what was read waits in the spool',
    async (_, env, words) => {
      const args = sensor()
      const { code, err } = await bailiwick(args, env())
      expect(code).toBe(4)
      expect(last(err)).toMatchObject({ level: 'error', exit: 4 })
      expect(last(err).msg.replace(/; what was read waits in the spool$/, '')).toMatch(words)
      expect(err).not.toMatch(/not-this-one|admin-secret/)
      // Let in, it sends what waits.
      const mended = await bailiwick(args, as('admin'))
      expect([mended.code, last(mended.err).msg]).toEqual([0, 'ended'])
    },
  )

  it.each(REFUSALS.slice(1, 2))('worker: %s is said, exit 4', async (_, env, words) => {
    const { code, err } = await bailiwick(worker(), env())
    expect(code).toBe(4)
    expect(last(err)).toMatchObject({ level: 'error', exit: 4 })
    expect(last(err).msg).toMatch(words)
    expect(err).not.toMatch(/not-this-one|admin-secret/)
  })

  it.each([
    ['sensor', sensor],
    ['worker', worker],
  ])(
    '%s: waits for a broker that is not there, says so, and ends well when told to',
    async (_, args) => {
      const nowhere = as('admin', { BAILIWICK_KAFKA_BROKERS: '127.0.0.1:1' })
      const { code, err } = await bailiwick(args(), nowhere, /ECONNREFUSED 127\.0\.0\.1:1/)
      expect([code, last(err).msg]).toEqual([0, 'ended'])
    },
  )

  it('doctor: says what the way to Kafka is, and what stands in it', async () => {
    const good = await here(['doctor', '--json'], as('admin'))
    expect(good.code).toBe(0)
    const names = JSON.parse(good.out).checks.map((one: { name: string }) => one.name)
    expect(names).toEqual(expect.arrayContaining(['kafka', 'topic chunks.v1', 'kafka workers']))
    const bad = await here(['doctor'], as('admin', { BAILIWICK_KAFKA_PASSWORD: 'other' }))
    expect(bad.code).toBe(4)
    expect(bad.out).toMatch(/fail +kafka .*check the user, the password/)
  })

  it.each(REFUSALS)('topics: %s is said, exit 4', async (_, env, words) => {
    const { code, out, err } = await here(['topics'], env())
    expect([code, out]).toEqual([4, ''])
    expect(err.trimEnd()).toMatch(words)
    expect(err).toContain(cluster.bootstrap[0]!)
    expect(err).not.toMatch(/not-this-one|admin-secret/)
  })

  it.each([
    ['nobody there', '127.0.0.1:1', 'connect ECONNREFUSED 127.0.0.1:1 (is it running'],
    ['no such host', 'nowhere.invalid:9092', 'ENOTFOUND nowhere.invalid (is it running'],
  ])('topics: %s is said, exit 4', async (_, broker, words) => {
    const { code, err } = await here(['topics', '--kafka', broker], as('admin'))
    expect(code).toBe(4)
    expect(err).toContain(words)
  })

  it('topics: a user without rights is told which', async () => {
    const { code, err } = await here(['topics'], as('sensor'))
    expect(code).toBe(4)
    expect(err).toContain('(the user may not: grant it the right to this topic)')
  })

  it('the rights that docs/settings.md names are enough for sensor and worker, and all that they are given', async () => {
    const page = readFileSync(path.join(ROOT, 'docs', 'settings.md'), 'utf8')
    const admin = kafkaClient(
      {
        brokers: cluster.bootstrap,
        clientId: 'test',
        tls: { ca: readFileSync(cluster.tls!.ca, 'utf8') },
        sasl: { mechanism: 'plain', username: 'admin', password: cluster.tls!.users.admin! },
      },
      1,
    ).admin()
    await admin.connect()
    for (const user of ['sensor', 'worker']) {
      // | `worker` | Describe, Read on `a`; Describe, Write on `b` | Read on `worker.group` |
      const row = page.split('\n').find((line) => line.startsWith(`| \`${user}\` |`))
      const rights = [...row!.matchAll(/([A-Z][A-Za-z, ]+) on `([^`]+)`/g)].flatMap(
        ([, operations, name]) => operations!.split(', ').map((one) => [one, name!] as const),
      )
      expect(rights.length).toBeGreaterThan(1)
      const acl = rights.map(([operation, name]) => ({
        resourceType: name === 'worker.group' ? AclResourceTypes.GROUP : AclResourceTypes.TOPIC,
        resourceName: name === 'worker.group' ? 'bailiwick-workers' : name,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: `User:${user}`,
        host: '*',
        operation: OPERATIONS[operation]!,
        permissionType: AclPermissionTypes.ALLOW,
      }))
      await admin.createAcls({ acl })
    }
    await admin.disconnect()
    const behind = async () => {
      const { out } = await here(['doctor', '--json'], as('admin'))
      const { checks } = JSON.parse(out) as { checks: { name: string; found: string }[] }
      return checks.find(({ name }) => name === 'kafka workers')?.found.replace(/^.*: /, '')
    }
    const sent = await bailiwick(sensor(), as('sensor'))
    expect([sent.code, last(sent.err).msg]).toEqual([0, 'ended'])
    expect(await behind()).not.toBe('0')
    const stored = await bailiwick([...worker(), '--until-idle', '1'], as('worker'))
    expect([stored.code, last(stored.err).msg]).toEqual([0, 'ended'])
    expect(await behind()).toBe('0')
  })

  it('wrong settings end with 2 before anything is reached', async () => {
    const file = path.join(scratch, 'wrong.yaml')
    writeFileSync(file, 'kafka:\n  brokers: [localhost]\n')
    const { code, err } = await here(['topics', '--config', file], {})
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
