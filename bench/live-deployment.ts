// What is measured by bench/live.ts: `bailiwick serve --live`, or the same parts as processes with Kafka between them.
// Both are the built program, started as an operator starts it.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM } from '../src/bus/bus.ts'
import { openEngine } from '../src/store/open-engine.ts'
import { parseStoreTarget } from '../src/store/store-target.ts'
import { MeasuredProcess, treeUsage, type Usage } from './measured-process.ts'
import { Broker, FrontStore, MAIN, pause } from './pipeline-stage.ts'

/** How long it may take until everything is ready. */
const READY_MILLIS = 60_000

export interface LiveParts {
  directory: string
  agents: string
  interface: string
  /** The settings file. */
  config: string
  environment: Readonly<Record<string, string>>
}

/** A finding as the store has it. */
export interface Stored {
  alert: string
  destination: string
  /** When the deciding packet was captured. Microseconds since 1970. */
  decided: number
}

export abstract class Deployment {
  /** Of the API, without a path. */
  abstract readonly address: string
  readonly processes = new Map<string, MeasuredProcess>()
  protected readonly parts: LiveParts
  protected abstract readonly storeTarget: string
  protected abstract readonly tokenFile: string

  protected constructor(parts: LiveParts) {
    this.parts = parts
  }

  get token(): string {
    return readFileSync(this.tokenFile, 'utf8').trim()
  }

  protected spawn(name: string, ...args: readonly string[]): void {
    const command = [process.execPath, MAIN, ...args, '--config', this.parts.config]
    this.processes.set(name, new MeasuredProcess(command, this.parts.environment))
  }

  /** Waits until it says that it is ready. @throws what it said instead */
  protected async ready(address = this.address): Promise<void> {
    const end = Date.now() + READY_MILLIS
    for (let last = 'no answer'; ; ) {
      for (const [name, one] of this.processes)
        if (one.child.exitCode !== null) throw new Error(`${name} ended: ${one.said}`)
      const answer = await fetch(`${address}/ready`).catch(() => undefined)
      if (answer?.ok === true) return
      if (answer !== undefined) last = await answer.text()
      if (Date.now() > end) throw new Error(`${address} is not ready: ${last}`)
      await pause()
    }
  }

  /** A metric of one of the processes' pages, over all its labels; NaN if it is not there. */
  async metric(name: string, address = this.address): Promise<number> {
    const headers = { authorization: `Bearer ${this.token}` }
    const text = await (await fetch(`${address}/metrics`, { headers })).text()
    const values = text
      .split('\n')
      .filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
    return values.length === 0 ? Number.NaN : values.reduce((sum, one) => sum + one, 0)
  }

  abstract dropped(): Promise<number>

  /** Chunks that are not stored yet. */
  abstract waiting(): Promise<number>

  /** What each process and its children use: CPU seconds so far, and memory now. */
  usage(): Map<string, Usage> {
    return new Map([...this.processes].map(([name, { pid }]) => [name, treeUsage(pid)]))
  }

  /** Ends it in good order; what it stored can still be read. */
  async stop(): Promise<void> {
    for (const one of this.processes.values()) await one.stop()
  }

  /** Ends everything, and what is beside it. */
  async close(): Promise<void> {
    await this.stop()
  }

  /** The agent's findings, each alert once. Call it when everything was stopped. */
  async findings(agent: string): Promise<Map<string, Stored>> {
    const engine = await openEngine(parseStoreTarget(this.storeTarget))
    try {
      const rows = (await engine.select(
        `SELECT toString(alert_id) AS alert, any(destination) AS destination,
           toString(toUnixTimestamp64Micro(min(decided_at))) AS decided
         FROM findings WHERE agent = {agent:String} GROUP BY alert_id`,
        { agent },
      )) as { alert: string; destination: string; decided: string }[]
      return new Map(rows.map((row) => [row.alert, { ...row, decided: Number(row.decided) }]))
    } finally {
      await engine.close()
    }
  }
}

/** One process tree. */
export class Embedded extends Deployment {
  readonly address: string
  protected readonly storeTarget: string
  protected readonly tokenFile: string

  static async start(parts: LiveParts): Promise<Embedded> {
    const one = new Embedded(parts, await freePort())
    one.serve()
    await one.ready()
    return one
  }

  private constructor(parts: LiveParts, port: number) {
    super(parts)
    this.address = `http://127.0.0.1:${port}`
    this.storeTarget = join(parts.directory, 'data', 'store')
    this.tokenFile = join(parts.directory, 'data', 'token')
  }

  serve(): void {
    const { agents, interface: name, directory } = this.parts
    this.spawn(
      'serve',
      ...['serve', '--agents', agents, '--live', name, '--data', join(directory, 'data')],
      ...['--listen', this.address.slice('http://'.length)],
    )
  }

  dropped(): Promise<number> {
    return this.metric('bailiwick_capture_dropped_total')
  }

  waiting(): Promise<number> {
    return this.metric('bailiwick_consumer_lag_messages')
  }
}

/** sensor --live -> Kafka -> worker -> Kafka -> respond. */
export class ThroughKafka extends Deployment {
  readonly address: string
  readonly broker: Broker
  protected readonly storeTarget: string
  protected readonly tokenFile: string
  readonly #sensor: string
  readonly #worker: string
  readonly #store: FrontStore
  /** Processes that are no part of the program. */
  readonly #beside = new Map<string, number>()
  #closed = false

  static async start(parts: LiveParts, partitions: number): Promise<ThroughKafka> {
    const broker = await Broker.start(parts.directory)
    let store: FrontStore | undefined
    try {
      store = await FrontStore.start(join(parts.directory, 'store'))
      await broker.topics([CHUNK_STREAM, DEAD_STREAM, ALERT_STREAM], partitions)
      const ports = [await freePort(), await freePort(), await freePort()] as const
      const one = new ThroughKafka(parts, broker, store, ports)
      await one.#start(ports)
      return one
    } catch (error) {
      await store?.stop()
      await broker.stop()
      throw error
    }
  }

  private constructor(
    parts: LiveParts,
    broker: Broker,
    store: FrontStore,
    [respond, sensor, worker]: readonly number[],
  ) {
    super(parts)
    this.broker = broker
    this.address = `http://127.0.0.1:${respond}`
    this.#sensor = `http://127.0.0.1:${sensor}`
    this.#worker = `http://127.0.0.1:${worker}`
    this.storeTarget = store.target
    this.#store = store
    this.#beside.set('store', store.process.pid)
    this.#beside.set('broker', broker.pid)
    this.tokenFile = join(parts.directory, 'data', 'token')
  }

  async #start([respond, sensor, worker]: readonly [number, number, number]): Promise<void> {
    const { agents, interface: name, directory } = this.parts
    const kafka = ['--kafka', this.broker.address]
    const at = (port: number) => ['--listen', `127.0.0.1:${port}`]
    const data = ['--data', join(directory, 'data')]
    const store = ['--store', this.storeTarget]
    this.spawn('respond', 'respond', ...store, ...kafka, ...data, ...at(respond))
    this.spawn('worker', ...['worker', '--agents', agents, ...store, ...kafka, ...at(worker)])
    const spool = ['--spool', join(directory, 'spool')]
    this.spawn('sensor', 'sensor', '--live', name, ...spool, ...kafka, ...at(sensor))
    for (const port of [respond, sensor, worker]) await this.ready(`http://127.0.0.1:${port}`)
    await this.broker.joined('bailiwick-workers', 1)
  }

  dropped(): Promise<number> {
    return this.metric('bailiwick_capture_dropped_total', this.#sensor)
  }

  waiting(): Promise<number> {
    return this.metric('bailiwick_consumer_lag_messages', this.#worker)
  }

  override usage(): Map<string, Usage> {
    const all = super.usage()
    for (const [name, pid] of this.#beside) all.set(name, treeUsage(pid))
    return all
  }

  override async stop(): Promise<void> {
    for (const name of ['sensor', 'worker', 'respond']) await this.processes.get(name)?.stop()
  }

  override async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.stop()
    await this.#store.stop()
    await this.broker.stop()
  }
}

/** A port that nobody listens at. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no free port')
  return address.port
}
