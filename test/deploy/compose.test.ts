// docker-compose.yml without a container engine: held to the compose specification, to the house's rules, to the
// settings that there are, and its broker started with Kafka's own jars.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { freePorts } from '../../scripts/kafka.mjs'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { readSettings } from '../../src/settings.ts'
import { usersOf } from '../../src/store/maintenance.ts'
import { splitStatements } from '../../src/store/sql-files.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { Memory } from '../cli/heard.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const FILE = path.join(ROOT, 'docker-compose.yml')
const execute = promisify(execFile)

interface Service {
  image: string
  build?: string
  command?: string[]
  profiles?: string[]
  secrets?: string[]
  environment: Record<string, string>
  ports?: string[]
  networks: string[]
  cap_drop: string[]
  security_opt: string[]
  read_only?: boolean
  restart: string
  pids_limit: number
  healthcheck?: { test?: string[]; disable?: boolean }
  depends_on?: Record<string, { condition: string }>
  deploy: { resources: { limits: { cpus: string; memory: string } } }
}

interface Compose {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean }>
  secrets: Record<string, { file: string }>
}

const compose: Compose = parse(await readFile(FILE, 'utf8'), { merge: true })
const services = Object.entries(compose.services)
const ours = services.filter(([, { build }]) => build !== undefined)

/** Is there something that knows the specification? @throws if there must be and is not */
async function composeAvailable(): Promise<boolean> {
  try {
    await execute('docker-compose', ['version'])
    return true
  } catch (error) {
    if (process.env.BAILIWICK_REQUIRE_COMPOSE === '1') throw error
    process.stderr.write(
      '\n*** SKIPPED: docker-compose.yml against the specification. Debian: docker-compose\n\n',
    )
    return false
  }
}

test.skipIf(!(await composeAvailable()))('is valid by the compose specification', async () => {
  await execute('docker-compose', ['--file', FILE, 'config', '--quiet'], { cwd: ROOT })
  const all = services.flatMap(([, { profiles = [] }]) =>
    profiles.flatMap((one) => ['--profile', one]),
  )
  const { stdout } = await execute('docker-compose', [
    '--file',
    FILE,
    ...all,
    'config',
    '--services',
  ])
  expect(stdout.trim().split('\n').sort()).toEqual(services.map(([name]) => name).sort())
})

describe.each(services)('%s', (_, service) => {
  test('has limits, no rights, a pinned image, and ports on loopback alone', () => {
    const { deploy, cap_drop, security_opt, pids_limit, image, ports = [] } = service
    expect(deploy.resources.limits).toMatchObject({
      cpus: expect.any(String),
      memory: expect.stringMatching(/^\d+[MG]$/),
    })
    expect(pids_limit).toBeGreaterThan(0)
    expect(cap_drop).toEqual(['ALL'])
    expect(security_opt).toContain('no-new-privileges:true')
    expect(image).toMatch(/:(?!latest)[\w.-]+$/)
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/)
  })

  test('says how it is healthy, or is over once it is done', () => {
    const { healthcheck, restart } = service
    // What is built here has its check in the image.
    const isOnce = healthcheck?.disable === true
    if (!isOnce && service.build === undefined) expect(healthcheck?.test).toBeDefined()
    expect(restart).toBe(isOnce ? 'on-failure:5' : 'unless-stopped')
  })

  test('waits for what it needs', () => {
    for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
      const isOnce = compose.services[name]!.healthcheck?.disable === true
      expect(condition).toBe(isOnce ? 'service_completed_successfully' : 'service_healthy')
      const shared = compose.services[name]!.networks.filter((net) =>
        service.networks.includes(net),
      )
      if (!isOnce) expect(shared).not.toEqual([])
    }
  })
})

describe.each(ours)('%s, of this program', (_, service) => {
  test('is told by settings that there are; secrets come from files', () => {
    const env = settled(service.environment)
    expect(readSettings({ env, flags: {}, files: [] }).problems).toEqual([])
    expect(service.read_only).toBe(true)
    for (const [name, value] of Object.entries(env))
      if (/PASSWORD|SECRET/.test(name)) expect(value).toMatch(/^\/run\/secrets\//)
  })

  test('is called by options that there are', async () => {
    const stderr = new Memory()
    const environment = readEnvironment(settled(service.environment))
    const { signal } = new AbortController()
    // One mistake more: it is what is said, and nothing is begun.
    const args = [...service.command!, '--config', '/nowhere/config.yaml']
    const code = await run(args, { stdout: new Memory(), stderr, environment, signal })
    expect([code, stderr.text]).toEqual([2, expect.stringContaining('/nowhere/config.yaml')])
  })
})

/** With the defaults of `${NAME:-default}`. */
function settled(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replace(/\$\{\w+:-([^}]*)\}/g, '$1'),
    ]),
  )
}

test('only what must be reached from outside is', () => {
  const inside = Object.keys(compose.networks).filter((name) => compose.networks[name]?.internal)
  expect(inside.sort()).toEqual(['bus', 'store'])
  for (const [, { networks, ports }] of services)
    expect(networks.some((name) => !inside.includes(name))).toBe(ports !== undefined)
  // The sensor reads what anybody may have sent: it has no way to the store.
  expect(compose.services.sensor!.networks).not.toContain('store')
})

test('no secret is in the repository', async () => {
  const ignored = await readFile(path.join(ROOT, '.gitignore'), 'utf8')
  for (const { file } of Object.values(compose.secrets)) {
    expect(file).toMatch(/^\.\/secrets\//)
    expect(ignored).toContain('/secrets/')
  }
})

describe('users of the store', () => {
  test('each process is the one that may do what it does, and the administrator is none of them', () => {
    const user = (name: string) =>
      /\/\/(\w+)@/.exec(compose.services[name]!.environment.BAILIWICK_STORE ?? '')?.[1]
    expect(ours.map(([name]) => [name, user(name)])).toEqual([
      ['topics', undefined],
      ['migrate', 'bailiwick_migrator'],
      ['retention', 'bailiwick_migrator'],
      ['reconcile', 'bailiwick_reader'],
      ['sensor', undefined],
      ['worker', 'bailiwick_writer'],
      ['respond', 'bailiwick_reader'],
      ['api', 'bailiwick_reader'],
    ])
    for (const [name, { secrets }] of ours) {
      const of = user(name)?.replace('bailiwick_', 'clickhouse_')
      expect(secrets).toEqual(of === undefined ? undefined : [of])
    }
  })

  test('are made as `bailiwick migrate --users` prints them, with the passwords of the secrets', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'bailiwick-users-'))
    // In the place of ClickHouse's client: what it is told, and as whom.
    const client = path.join(dir, 'clickhouse-client')
    await writeFile(client, '#!/bin/sh\necho "-- $CLICKHOUSE_PASSWORD $*"\ncat\n', { mode: 0o755 })
    const names = ['admin', 'migrator', 'writer', 'reader']
    for (const name of names) await writeFile(path.join(dir, `clickhouse_${name}`), `of ${name}\n`)
    const env = {
      ...{ PATH: `${dir}:${process.env.PATH}`, SECRETS: dir },
      SQL: path.join(ROOT, 'sql', 'users'),
    }
    const script = path.join(ROOT, 'deploy', 'clickhouse-users.sh')
    const { stdout } = await execute('/bin/sh', [script], { env })
    const [first, ...rest] = stdout.split('\n')
    expect(first).toBe('-- of admin --multiquery')
    const hash = (name: string) => createHash('sha256').update(`of ${name}`).digest('hex')
    const [migrator, writer, reader] = names.slice(1).map(hash) as [string, string, string]
    const target = parseStoreTarget('http://admin@clickhouse:8123/bailiwick')
    const wanted = usersOf(target, { migrator, writer, reader })
    const said = splitStatements(rest.join('\n')).filter((sql) => !sql.startsWith('ALTER USER'))
    expect(said).toEqual(wanted)
    for (const [name, sha256] of Object.entries({ migrator, writer, reader }))
      expect(stdout).toContain(
        `ALTER USER bailiwick_${name} IDENTIFIED WITH sha256_hash BY '${sha256}';`,
      )
    await writeFile(path.join(dir, 'clickhouse_writer'), '\n')
    await expect(execute('/bin/sh', [script], { env })).rejects.toMatchObject({
      stderr: expect.stringContaining('clickhouse_writer: is empty'),
    })
    await rm(dir, { recursive: true })
  })
})

const canRun = await kafkaAvailable()
describe.skipIf(!canRun)('the broker', () => {
  let dir = ''
  afterAll(async () => {
    if (dir !== '') await stopCluster(dir)
    await rm(dir, { recursive: true, force: true })
  })

  test('starts as it is set there, and takes topics as they are made there', async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'bailiwick-compose-'))
    const ports = await freePorts(3)
    const given = compose.services.kafka!.environment
    const extra: Record<string, string> = {}
    for (const [name, value] of Object.entries(given))
      if (name.startsWith('KAFKA_') && name !== 'KAFKA_HEAP_OPTS')
        extra[name.slice('KAFKA_'.length).toLowerCase().replaceAll('_', '.')] = value
          .replaceAll('19092', String(ports[0]))
          .replaceAll('9092', String(ports[1]))
          .replaceAll('9093', String(ports[2]))
          .replaceAll('//kafka:', '//localhost:')
    const cluster = await startCluster({
      dir,
      port: ports[0]!,
      extra: { ...extra, 'log.dirs': path.join(dir, 'data-1') },
    })
    const settings = { brokers: cluster.bootstrap, clientId: 'compose' }
    const { stdout, code } = await bailiwick(compose.services.topics!.command!, settings.brokers)
    expect(code).toBe(0)
    expect(stdout).toContain('bailiwick.chunks.v1')
    const again = {
      topic: 'bailiwick.chunks.v1',
      partitions: 8,
      replicas: 1,
      retentionMillis: 7 * 86_400_000,
    }
    expect(await ensureTopics(settings, [again])).toMatchObject([{ created: false, differs: [] }])
  }, 90_000)

  async function bailiwick(args: readonly string[], brokers: readonly string[]) {
    const [stdout, stderr] = [new Memory(), new Memory()]
    const environment = readEnvironment({ BAILIWICK_KAFKA_BROKERS: brokers.join(',') })
    const { signal } = new AbortController()
    const code = await run(args, { stdout, stderr, environment, signal })
    return { code, stdout: stdout.text }
  }
})
