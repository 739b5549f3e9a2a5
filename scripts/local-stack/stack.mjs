// The parts of the local stack: what they are started with, in which order, and what is known of them between two
// commands. One directory holds all of it: settings, data, logs, and stack.json with the processes.

import { execFile } from 'node:child_process'
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
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePorts, kafkaJars, startBroker, startCluster, stopBroker } from '../kafka.mjs'
import { endProcess, isRunning, lastLines, readiness, startProcess } from './processes.mjs'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = path.join(ROOT, 'dist', 'src', 'cli', 'main.js')
const FRONT = path.join(ROOT, 'scripts', 'clickhouse-front.mjs')
const READY_MILLIS = 120_000
const USER = 'bailiwick'
/** Store, sensor, nine workers, respond, API. */
const PORTS = 13

/** Something that the person at the terminal can mend. */
export class StackError extends Error {}

export class Stack {
  /** @param {string} dir */
  constructor(dir) {
    this.dir = path.resolve(dir)
    /** Aborted when a command shall not go on. */
    this.interrupted = new AbortController().signal
    this.file = (...names) => path.join(this.dir, ...names)
    const known = this.file('stack.json')
    this.state = existsSync(known)
      ? JSON.parse(readFileSync(known, 'utf8'))
      : { version: 1, processes: {} }
  }

  get exists() {
    return existsSync(this.file('stack.json'))
  }

  save() {
    const draft = this.file('stack.json.new')
    writeFileSync(draft, `${JSON.stringify(this.state, null, 2)}\n`, { mode: 0o640 })
    renameSync(draft, this.file('stack.json'))
  }

  /** One command at a time. @returns lets the next one in */
  lock() {
    mkdirSync(this.dir, { recursive: true, mode: 0o750 })
    const name = this.file('stack.lock')
    for (let tries = 0; ; tries++)
      try {
        const lock = openSync(name, 'wx')
        writeFileSync(lock, String(process.pid))
        closeSync(lock)
        return () => rmSync(name, { force: true })
      } catch (error) {
        if (error.code !== 'EEXIST') throw error
        const pid = Number(readFileSync(name, 'utf8'))
        if (tries > 0 || (pid > 0 && isRunning({ pid, started: '' })))
          throw new StackError(`another scripts/stack works on ${this.dir} (process ${pid})`)
        rmSync(name, { force: true })
      }
  }

  /** Ports and files that stay the same from one start to the next. */
  async plan({ agents, inbox, workers, kafka, store, partitions }) {
    const { state } = this
    for (const name of ['inbox', 'spool', 'clickhouse', 'logs', 'secrets'])
      mkdirSync(this.file(name), { recursive: true, mode: 0o750 })
    const given = agents ?? state.agents
    if (given === undefined) throw new StackError('give --agents DIR: what agents declared to need')
    if (!existsSync(given)) throw new StackError(`--agents ${given}: there is no such directory`)
    state.agents = path.resolve(given)
    state.inbox = path.resolve(inbox ?? state.inbox ?? this.file('inbox'))
    state.workers = workers ?? state.workers ?? 1
    state.partitions = partitions ?? state.partitions ?? 8
    state.givenKafka = kafka ?? state.givenKafka
    if (store !== undefined) this.#takeStore(store)
    state.ports ??= await freePorts(PORTS)
    // Of a stack that was made by an earlier version.
    state.ports.push(...(await freePorts(PORTS - state.ports.length)))
    if (state.workers > 9) throw new StackError('--workers: at most 9')
    const secret = this.file('secrets', 'store-password')
    if (!existsSync(secret))
      writeFileSync(secret, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 })
    this.save()
  }

  /** A password in a URL would be read by others in the list of processes, and in stack.json. */
  #takeStore(text) {
    const url = new URL(text)
    const password = decodeURIComponent(url.password)
    url.password = ''
    Object.assign(this.state, { givenStore: url.href, givenPassword: password !== '' })
    const name = this.file('secrets', 'given-store-password')
    if (password !== '') writeFileSync(name, `${password}\n`, { mode: 0o600 })
  }

  get storeUrl() {
    return this.state.givenStore ?? `http://${USER}@127.0.0.1:${this.state.ports[0]}/${USER}`
  }

  /** Settings of all commands, also for whoever wants to ask the stack something by hand. */
  writeSettings() {
    const { state } = this
    const lines = [
      '# Written by scripts/stack. For any command: bailiwick ... --config this-file',
      'kafka:',
      `  brokers: [${state.brokers.map((one) => JSON.stringify(one)).join(', ')}]`,
      'store:',
      `  address: ${JSON.stringify(this.storeUrl)}`,
      ...(state.givenStore === undefined
        ? ['  password_file: secrets/store-password']
        : state.givenPassword
          ? ['  password_file: secrets/given-store-password']
          : []),
      'sensor:',
      '  id: stack',
      '  spool: spool',
      'worker:',
      `  agents: ${JSON.stringify(state.agents)}`,
      'topics:',
      `  partitions: ${state.partitions}`,
    ]
    writeFileSync(this.file('bailiwick.yaml'), `${lines.join('\n')}\n`, { mode: 0o640 })
  }

  async startKafka(tell) {
    const { state } = this
    if (state.givenKafka !== undefined) {
      state.brokers = state.givenKafka.split(',')
      return
    }
    const dir = this.file('kafka')
    if (state.kafka === undefined || !existsSync(path.join(dir, 'server-1.properties'))) {
      tell('Kafka: making a broker')
      const { ports, bootstrap } = await startCluster({ dir })
      Object.assign(state, { kafka: { ports }, brokers: bootstrap })
    } else if (!(await isListeningBroker(dir))) {
      tell('Kafka: starting')
      await startBroker({ dir, jars: await kafkaJars(), ports: state.kafka.ports }, 1)
    }
    this.save()
  }

  async startStore(tell) {
    if (this.state.givenStore !== undefined) return
    const [port] = this.state.ports
    const password = readFileSync(this.file('secrets', 'store-password'), 'utf8').trim()
    // Its command line shows the password: this front is on loopback, for one machine's tries.
    const args = ['--path', this.file('clickhouse'), '--port', String(port), '--user', USER]
    this.start('clickhouse', [FRONT, ...args, '--password', password, '--database', USER], tell)
    await this.until('clickhouse', async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/ping`, {
        signal: AbortSignal.timeout(3000),
      })
      return answer.ok
    })
  }

  /** Starts a process of the stack unless it runs. */
  start(name, args, tell, listen) {
    const { processes } = this.state
    if (isRunning(processes[name])) return
    tell(`${name}: starting`)
    const log = this.file('logs', `${name}.log`)
    processes[name] = { ...startProcess(args, log), log, ...(listen && { listen }) }
    this.save()
  }

  /** A command that does something and ends. */
  async command(tell, ...args) {
    tell(`${args[0]}: running`)
    try {
      const words = [MAIN, ...args, '--config', this.file('bailiwick.yaml')]
      return await run(process.execPath, words, { signal: this.interrupted })
    } catch (error) {
      throw new StackError(`bailiwick ${args[0]} failed:\n${error.stderr || error.message}`)
    }
  }

  startSensor(tell) {
    const { inbox, ports } = this.state
    mkdirSync(inbox, { recursive: true })
    this.#startLong('sensor', ['sensor', inbox, '--follow'], ports[1], tell)
  }

  startWorkers(tell) {
    for (let i = 1; i <= this.state.workers; i++)
      this.#startLong(`worker-${i}`, ['worker'], this.state.ports[1 + i], tell)
  }

  /** Alerts, webhooks, revocations; and the API with its page. Each has a directory with its token. */
  startAnswering(tell) {
    for (const [i, name] of ['respond', 'api'].entries()) {
      const directory = this.file(name)
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      this.#startLong(name, [name, '--data', directory], this.state.ports[11 + i], tell)
    }
  }

  #startLong(name, command, port, tell) {
    const listen = `127.0.0.1:${port}`
    const args = [MAIN, ...command, '--config', this.file('bailiwick.yaml'), '--listen', listen]
    this.start(name, args, tell, listen)
  }

  /** Waits until a part is ready. @throws StackError with its last words if it ends or takes too long */
  async until(name, isReady) {
    const { processes } = this.state
    const until = Date.now() + READY_MILLIS
    while (!(await isReady().catch(() => false))) {
      const one = processes[name]
      if (isRunning(one) && Date.now() < until) {
        await sleep(100)
        continue
      }
      const what = isRunning(one) ? `is not ready after ${READY_MILLIS / 1000} s` : 'ended'
      throw new StackError(`${name} ${what}:\n${lastLines(one.log, 15).join('\n')}`)
    }
  }

  async untilReady() {
    const listening = Object.entries(this.state.processes).filter(([, one]) => one.listen)
    for (const [name, { listen }] of listening)
      await this.until(name, async () => (await readiness(listen)) === 'ready')
  }

  /** Every part with its state. */
  async status() {
    const parts = []
    const { state } = this
    if (state.brokers !== undefined) {
      const given = state.givenKafka !== undefined
      const isThere = given || (await isListeningBroker(this.file('kafka')))
      parts.push({ name: 'kafka', address: state.brokers.join(','), state: word(isThere, given) })
    }
    if (state.givenStore !== undefined)
      parts.push({ name: 'clickhouse', address: state.givenStore, state: 'given' })
    for (const [name, one] of Object.entries(state.processes)) {
      const runs = isRunning(one)
      const address = one.listen ?? (name === 'clickhouse' ? this.storeUrl : '')
      const told = !runs ? 'not running' : one.listen ? await readiness(one.listen) : 'running'
      parts.push({ name, address, state: told, ...(runs && { pid: one.pid }), log: one.log })
    }
    return parts
  }

  /** Ends everything that this stack started; what it stored stays. */
  async down(tell) {
    const { processes } = this.state
    const names = Object.keys(processes).filter((name) => isRunning(processes[name]))
    // Sensors and workers first: they hand over what they have to a broker and a store that are still there.
    const [stores, others] = [['clickhouse'], names.filter((name) => name !== 'clickhouse')]
    for (const some of [others, stores])
      await Promise.all(
        some.map(async (name) => {
          if (!isRunning(processes[name])) return
          tell(`${name}: ending`)
          if (!(await endProcess(processes[name]))) tell(`${name}: had to be killed`)
        }),
      )
    if (this.state.kafka !== undefined && (await isListeningBroker(this.file('kafka')))) {
      tell('kafka: ending')
      await stopBroker(this.file('kafka'), 1, 'SIGTERM')
    }
    this.state.processes = {}
    if (this.exists) this.save()
  }
}

const word = (isThere, given) => (given ? 'given' : isThere ? 'running' : 'not running')

/** Does the broker of this directory run? Its own process id says so. */
async function isListeningBroker(dir) {
  try {
    const pid = Number(readFileSync(path.join(dir, 'broker-1.pid'), 'utf8'))
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir)
  } catch {
    return false
  }
}

export function checkBuilt() {
  if (!existsSync(MAIN)) throw new StackError('the program is not built: npm ci, or npm run build')
}
