// Real Apache Kafka for tests and trials: one broker or three, KRaft, on the loopback interface, in a fresh folder.
// The jars come once from Maven Central and are kept in the user's cache.
//
//   scripts/kafka up [--brokers 3] [--port N] [--tls] [--dir DIR]    prints {"bootstrap":[...],"dir":...,...}
//   scripts/kafka down DIR                                           ends those brokers and removes the folder
//   scripts/kafka fetch                                              only fills the cache
//
// --tls: SASL_SSL with a certificate authority of its own; users sensor and worker with SCRAM-SHA-512, and PLAIN.
// Exit code 4: Java, Maven or the download is not to be had.

import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const KAFKA_VERSION = '4.4.0'
const SLF4J_VERSION = '1.7.36'
const START_MILLIS = 60_000
const run = promisify(execFile)

/** Something that Kafka needs is not on this machine. */
export class KafkaMissing extends Error {}

const POM = `<project><modelVersion>4.0.0</modelVersion>
<groupId>bailiwick</groupId><artifactId>kafka-run</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>${SLF4J_VERSION}</version></dependency>
</dependencies></project>
`

/** The folder of the jars, filled on the first call. @throws KafkaMissing */
export async function kafkaJars() {
  await run('java', ['-version']).catch((error) => {
    throw new KafkaMissing(`no Java (Debian: openjdk-17-jre-headless): ${error.message}`)
  })
  const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache')
  const folder = path.join(cache, 'bailiwick', `kafka-${KAFKA_VERSION}`)
  if (existsSync(folder)) return folder
  // Beside it first, so that a download that is cut short, or another one at the same time, does no harm.
  const draft = `${folder}.${process.pid}`
  mkdirSync(draft, { recursive: true })
  writeFileSync(path.join(draft, 'pom.xml'), POM)
  try {
    await run(
      'mvn',
      [
        '-q',
        '-B',
        'dependency:copy-dependencies',
        '-DincludeScope=runtime',
        '-DoutputDirectory=libs',
      ],
      { cwd: draft, timeout: 600_000 },
    )
    renameSync(draft, folder)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    if (!existsSync(folder))
      throw new KafkaMissing(
        `Apache Kafka ${KAFKA_VERSION} could not be had by Maven (Debian: maven): ${error.stdout || error.message}`,
      )
  }
  return folder
}

/** Ports that nobody listens on at this moment. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = createServer()
          server.on('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

const PASSWORDS = { admin: 'admin-secret', sensor: 'sensor-secret', worker: 'worker-secret' }

/** A certificate authority and one certificate for the loopback address, by openssl. */
async function makeCertificates(dir) {
  const file = (name) => path.join(dir, name)
  const openssl = (...args) => run('openssl', args, { cwd: dir })
  const authority = ['-x509', '-days', '30', '-subj', '/CN=bailiwick test authority']
  await openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    ...authority,
  )
  await openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'key.pem',
    '-out',
    'request.pem',
    '-subj',
    '/CN=localhost',
  )
  writeFileSync(file('names.cnf'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  const signing = [
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '30',
    '-extfile',
    'names.cnf',
  ]
  await openssl('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', ...signing)
  // Kafka wants one file, and the key as PKCS #8.
  const { stdout: key } = await openssl('pkcs8', '-topk8', '-nocrypt', '-in', 'key.pem')
  const read = (name) => readFileSync(file(name), 'utf8')
  writeFileSync(file('broker.pem'), key + read('cert.pem') + read('ca.pem'), { mode: 0o600 })
}

function brokerProperties({ id, ports, controllers, dir, tls, extra }) {
  const count = ports.length
  const many = count >= 3
  const client = tls ? 'SASL_SSL' : 'PLAINTEXT'
  const here = `${client}://127.0.0.1:${ports[id - 1]}`
  const inside = `INSIDE://127.0.0.1:${controllers[count + id - 1]}`
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': ports
      .map((_, i) => `${i + 1}@127.0.0.1:${controllers[i]}`)
      .join(','),
    listeners: `${here},${inside},CONTROLLER://127.0.0.1:${controllers[id - 1]}`,
    'advertised.listeners': `${here},${inside}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INSIDE',
    'listener.security.protocol.map': `${client}:${client},INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'log.dirs': path.join(dir, `data-${id}`),
    'num.partitions': 4,
    'auto.create.topics.enable': false,
    'default.replication.factor': many ? 3 : 1,
    'min.insync.replicas': many ? 2 : 1,
    'offsets.topic.replication.factor': many ? 3 : 1,
    'offsets.topic.num.partitions': many ? 4 : 1,
    'transaction.state.log.replication.factor': many ? 3 : 1,
    'transaction.state.log.min.isr': many ? 2 : 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'log.segment.bytes': 16 << 20,
    'log.retention.check.interval.ms': 1000,
    ...(many ? { 'broker.session.timeout.ms': 6000 } : {}),
    ...(tls
      ? {
          'ssl.keystore.type': 'PEM',
          'ssl.keystore.location': path.join(dir, 'broker.pem'),
          'ssl.truststore.type': 'PEM',
          'ssl.truststore.location': path.join(dir, 'ca.pem'),
          'sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
          'listener.name.sasl_ssl.plain.sasl.jaas.config':
            'org.apache.kafka.common.security.plain.PlainLoginModule required ' +
            `${Object.entries(PASSWORDS)
              .map(([user, password]) => `user_${user}="${password}"`)
              .join(' ')};`,
          'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config':
            'org.apache.kafka.common.security.scram.ScramLoginModule required;',
          'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
          'super.users': 'User:admin;User:ANONYMOUS',
        }
      : {}),
    ...extra,
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function javaArguments(jars, dir, id, heap) {
  return [
    '-Xms96m',
    `-Xmx${heap}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-Dkafka.logs.dir=${path.join(dir, `logs-${id}`)}`,
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-cp',
    // The star is for Java, not for a shell.
    path.join(jars, 'libs', '*'),
  ]
}

function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const done = (answer) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => done(true))
    socket.on('error', () => done(false))
  })
}

/** Starts one broker in its folder and waits until its port answers; its process. */
export async function startBroker(cluster, id) {
  const { jars, dir, ports } = cluster
  const log = openSync(path.join(dir, `broker-${id}.log`), 'a')
  const heap = ports.length > 1 ? 256 : 384
  const properties = path.join(dir, `server-${id}.properties`)
  // Its own process group: a signal to the caller's group is not for the broker.
  const child = spawn('java', [...javaArguments(jars, dir, id, heap), 'kafka.Kafka', properties], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let ended = false
  child.on('exit', () => {
    ended = true
  })
  writeFileSync(path.join(dir, `broker-${id}.pid`), String(child.pid))
  const until = Date.now() + START_MILLIS
  while (!(await isListening(ports[id - 1]))) {
    if (ended || Date.now() > until) {
      child.kill('SIGKILL')
      const said = readFileSync(path.join(dir, `broker-${id}.log`), 'utf8').slice(-2000)
      throw new Error(`broker ${id} did not start:\n${said}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  child.unref()
  return child
}

/**
 * Starts a cluster.
 * @param options {brokers?: 1|3, port?: number, tls?: boolean, dir?: string, extra?: Record<string, string|number>}
 * @returns {{bootstrap: string[], dir: string, pids: number[], ports: number[], jars: string, tls?: object}}
 */
export async function startCluster(options = {}) {
  const { brokers = 1, port, tls = false, extra = {} } = options
  const jars = await kafkaJars()
  const dir = path.resolve(
    options.dir ?? path.join(tmpdir(), `bailiwick-kafka-${randomBytes(6).toString('hex')}`),
  )
  mkdirSync(dir, { recursive: true })
  const free = await freePorts(brokers * 3)
  const ports =
    port === undefined ? free.slice(0, brokers) : free.slice(0, brokers).map((_, i) => port + i)
  const controllers = free.slice(brokers)
  if (tls) await makeCertificates(dir)
  const cluster = { dir, jars, ports }
  // An id that begins with a dash would be taken for an option.
  const clusterId = `B${randomBytes(16).toString('base64url').slice(1)}`
  const ids = ports.map((_, i) => i + 1)
  const scram = tls
    ? Object.entries(PASSWORDS).flatMap(([user, password]) => [
        '--add-scram',
        `SCRAM-SHA-512=[name=${user},password=${password}]`,
      ])
    : []
  try {
    await Promise.all(
      ids.map((id) => {
        const file = path.join(dir, `server-${id}.properties`)
        writeFileSync(file, brokerProperties({ id, ports, controllers, dir, tls, extra }))
        const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file, ...scram]
        return run('java', [...javaArguments(jars, dir, id, 128), ...format])
      }),
    )
    const children = await Promise.all(ids.map((id) => startBroker(cluster, id)))
    return {
      ...cluster,
      bootstrap: ports.map((one) => `127.0.0.1:${one}`),
      pids: children.map(({ pid }) => pid),
      ...(tls ? { tls: { ca: path.join(dir, 'ca.pem'), users: PASSWORDS } } : {}),
    }
  } catch (error) {
    await stopCluster(dir)
    throw error
  }
}

/** Ends the brokers of a folder by their own process ids and removes the folder. */
export async function stopCluster(dir) {
  for (let id = 1; existsSync(path.join(dir, `server-${id}.properties`)); id++)
    await stopBroker(dir, id)
  rmSync(dir, { recursive: true, force: true })
}

/** Ends one broker. Tests do not need its clean shutdown, which takes seconds. */
export async function stopBroker(dir, id, signal = 'SIGKILL') {
  const file = path.join(dir, `broker-${id}.pid`)
  if (!existsSync(file)) return
  const pid = Number(readFileSync(file, 'utf8'))
  // The number may be somebody else's by now.
  if (isBroker(pid, dir)) {
    process.kill(pid, signal)
    while (isBroker(pid, dir)) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  rmSync(file, { force: true })
}

function isBroker(pid, dir) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir)
  } catch {
    return false
  }
}

async function main([command, ...args]) {
  const option = (name) => {
    const at = args.indexOf(name)
    return at < 0 ? undefined : args[at + 1]
  }
  if (command === 'fetch') console.log(JSON.stringify({ jars: await kafkaJars() }))
  else if (command === 'up') {
    const [brokers, port, dir] = ['--brokers', '--port', '--dir'].map(option)
    const cluster = await startCluster({
      brokers: Number(brokers ?? 1),
      tls: args.includes('--tls'),
      ...(port === undefined ? {} : { port: Number(port) }),
      ...(dir === undefined ? {} : { dir }),
    })
    console.log(JSON.stringify(cluster))
  } else if (command === 'down' && args[0] !== undefined) await stopCluster(path.resolve(args[0]))
  else {
    console.error(
      'usage: scripts/kafka up [--brokers 1|3] [--port N] [--tls] [--dir DIR] | down DIR | fetch',
    )
    process.exitCode = 2
  }
}

if (
  path.basename(process.argv[1] ?? '') === 'kafka' ||
  process.argv[1] === fileURLToPath(import.meta.url)
)
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message)
    process.exitCode = error instanceof KafkaMissing ? 4 : 1
  })
