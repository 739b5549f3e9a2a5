// The whole path as real processes, for a test to do its worst to: brokers, a store behind HTTP, sensors and workers,
// each under a supervisor. In the end everything is judged, by the oracle and by the invariants.

import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CHUNK_STREAM } from '../../src/bus/bus.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { type Cluster, startBroker, startCluster, stopBroker, stopCluster } from '../bus/broker.ts'
import { BusWatch } from './bus-watch.ts'
import { passedTooFar } from './invariants.ts'
import { AGENT, GrowingLog, writeFlows } from './numbered-flows.ts'
import { askRows, type FlowsOf } from './oracle.ts'
import type { Poison } from './poison.ts'
import { givenStore, runProgram } from './program.ts'
import { mountSmall, unmountSmall } from './small-disk.ts'
import { StoreServer } from './store-server.ts'
import { Supervised, type SupervisedSettings } from './supervised.ts'

export interface ArenaPlan {
  /** For people, and part of the directory's name. */
  name: string
  brokers?: 1 | 3
  partitions?: number
  /** Milliseconds for the whole trial. */
  patienceMillis?: number
  /** Of workers: a member that is silent for this long loses its partitions. */
  sessionMillis?: number
  /** The store has a disk of its own, of this size (`300m`). Needs root. */
  storeDisk?: string
}

type Extra = Partial<
  Pick<SupervisedSettings, 'arm' | 'env' | 'under' | 'startsMax' | 'pauseMillis' | 'always'>
> & {
  args?: readonly string[]
}

/** Nothing here takes this long when all is well, and the machine has nothing else to do. */
const PATIENCE_MILLIS = 240_000

export class Arena {
  readonly plan: ArenaPlan
  readonly directory: string
  readonly cluster: Cluster
  readonly store: StoreServer
  readonly watch: BusWatch
  readonly sensors: Supervised[] = []
  readonly workers: Supervised[] = []
  readonly growing: GrowingLog[] = []
  /** Where sensors have their spools; undefined for the directory of the arena. */
  spools: string | undefined
  /** What was sent, by sensor. */
  readonly #whole: Record<string, number> = {}
  /** Faults of I3, found at the moment of a kill. */
  readonly offsetFaults: string[] = []
  offsetChecks = 0
  #poisons = 0
  #checking: Promise<void> = Promise.resolve()

  static async start(plan: ArenaPlan): Promise<Arena> {
    const directory = await mkdtemp(
      path.join(tmpdir(), `bailiwick-${plan.name.replace(/\W+/g, '-')}-`),
    )
    mkdirSync(path.join(directory, 'agents'))
    writeFileSync(path.join(directory, 'agents', 'crawler.yaml'), AGENT)
    const cluster = await startCluster({ brokers: plan.brokers ?? 1 })
    const kafka = ['--kafka', cluster.bootstrap.join(',')]
    const replicas = String(plan.brokers ?? 1)
    const partitions = String(plan.partitions ?? 4)
    await runProgram(['topics', ...kafka, '--partitions', partitions, '--replicas', replicas])
    const { storeDisk } = plan
    const engine = path.join(directory, 'store', 'engine')
    if (storeDisk !== undefined) await mountSmall(engine, storeDisk)
    const store = await StoreServer.start(path.join(directory, 'store'))
    const given = givenStore(store.store)
    await runProgram(['migrate', '--store', given.store], { env: given.env })
    return new Arena(plan, directory, cluster, store, await BusWatch.open(cluster.bootstrap))
  }

  private constructor(
    plan: ArenaPlan,
    directory: string,
    cluster: Cluster,
    store: StoreServer,
    watch: BusWatch,
  ) {
    this.plan = plan
    this.directory = directory
    this.cluster = cluster
    this.store = store
    this.watch = watch
  }

  /** Directory of the disk of the store, where it has one of its own. */
  get storeDisk(): string {
    return path.join(this.directory, 'store', 'engine')
  }

  /** A sensor `sN` that reads a file of that many flows and ends. */
  sensor(number: number, flows: number, extra: Extra = {}): Supervised {
    const log = path.join(this.directory, `s${number}.log`)
    writeFlows(log, number, 0, flows)
    this.#whole[`s${number}`] = flows
    return this.#sensor(number, [log], extra)
  }

  /** A sensor `sN` that reads a directory of so many files: each is a chunk, as a sensor of one minute's logs has it. */
  sensorOfMany(number: number, files: number, flowsOfEach: number, extra: Extra = {}): Supervised {
    const directory = path.join(this.directory, `s${number}`)
    mkdirSync(directory)
    for (let file = 0; file < files; file++) {
      const from = file * flowsOfEach
      writeFlows(path.join(directory, `${file}.log`), number, from, from + flowsOfEach)
    }
    this.#whole[`s${number}`] = files * flowsOfEach
    return this.#sensor(number, [directory], extra)
  }

  /** A sensor `sN` that follows a file, which grows. */
  following(number: number, extra: Extra = {}): { sensor: Supervised; log: GrowingLog } {
    const log = new GrowingLog(path.join(this.directory, `s${number}.log`), number)
    this.growing.push(log)
    // There must be something by which the format is known.
    log.append(100)
    return { sensor: this.#sensor(number, [log.path, '--follow'], extra), log }
  }

  /**
   * Four logs `s0` to `s3` that grow, followed by sensors, until the trial has seen enough.
   * @param perSecond flows a second, all together
   * @param most flows of each
   * @returns ends their growth, with whole lines
   */
  arrivals(perSecond: number, most: number, extra: Extra = {}): () => void {
    const logs = [0, 1, 2, 3].map((number) => this.following(number, extra).log)
    for (const log of logs) log.grow(perSecond / logs.length, most)
    return () => {
      for (const log of logs) log.end()
    }
  }

  #sensor(number: number, input: readonly string[], extra: Extra): Supervised {
    const { args = [], ...settings } = extra
    const spool = path.join(this.spools ?? this.directory, `spool-${number}`)
    const sensor = new Supervised({
      name: `sensor-${number}`,
      directory: this.directory,
      args: [
        ...['sensor', ...input, '--sensor-id', `s${number}`, '--spool', spool],
        ...['--kafka', this.cluster.bootstrap.join(','), ...args],
      ],
      ...settings,
    })
    this.#checkAtDeath(sensor)
    this.sensors.push(sensor)
    return sensor
  }

  worker(extra: Extra = {}): Supervised {
    const { args = [], env, ...settings } = extra
    const given = givenStore(this.store.store)
    const session = String(this.plan.sessionMillis ?? 6000)
    const worker = new Supervised({
      name: `worker-${this.workers.length}`,
      directory: this.directory,
      args: [
        ...['worker', '--agents', path.join(this.directory, 'agents'), '--threads', '1'],
        ...['--kafka', this.cluster.bootstrap.join(','), '--store', given.store, ...args],
      ],
      env: { BAILIWICK_KAFKA_SESSION_TIMEOUT_MS: session, ...given.env, ...env },
      ...settings,
    })
    this.#checkAtDeath(worker)
    this.workers.push(worker)
    return worker
  }

  /** What was sent so far, by sensor. */
  get sent(): FlowsOf {
    const growing = this.growing.map(({ sensor, written }) => [`s${sensor}`, written])
    return { ...this.#whole, ...Object.fromEntries(growing) }
  }

  get flows(): number {
    return Object.values(this.sent).reduce((sum, flows) => sum + flows, 0)
  }

  get kills(): number {
    return [...this.sensors, ...this.workers].reduce((sum, { kills }) => sum + kills, 0)
  }

  /** Puts messages on the stream of chunks that are none, as nobody should. */
  async poison(poisons: readonly Poison[]): Promise<void> {
    const settings = { brokers: this.cluster.bootstrap, clientId: 'poisoner', topic: CHUNK_STREAM }
    const sink = new KafkaSink(settings, () => {})
    // To all partitions in turn.
    const send = ({ bytes }: Poison) => sink.send({ key: `poison/${this.#poisons++ % 64}`, bytes })
    await Promise.all(poisons.map(send))
    await sink.close()
  }

  async killBroker(id: number): Promise<void> {
    await stopBroker(this.cluster.dir, id)
  }

  async startBroker(id: number): Promise<void> {
    await startBroker(this.cluster, id)
  }

  /** Flow records in the store; undefined while it cannot be asked. */
  async stored(): Promise<number | undefined> {
    const rows = await askRows<{ rows: string }>(
      this.store,
      'SELECT toString(count()) AS rows FROM flow_records',
    ).catch(() => [])
    return rows[0] === undefined ? undefined : Number(rows[0].rows)
  }

  /** Waits until `what` holds. @returns seconds waited @throws with the ends of all logs when it never does */
  async until(
    what: string,
    holds: () => Promise<boolean> | boolean,
    patienceMillis = PATIENCE_MILLIS,
  ): Promise<number> {
    const began = performance.now()
    while (!(await Promise.resolve(holds()).catch(() => false))) {
      if (performance.now() - began > patienceMillis)
        throw new Error(`${what}: not within ${patienceMillis / 1000} s\n${await this.#told()}`)
      await sleep(100)
    }
    return (performance.now() - began) / 1000
  }

  /** Waits until what growing logs hold is stored, but for the line that each has begun. @returns seconds waited */
  async caughtUp(): Promise<number> {
    const { flows, growing } = this
    return await this.until(
      'what has grown is stored',
      async () => ((await this.stored()) ?? 0) >= flows - growing.length,
    )
  }

  /** Waits until all that was sent is stored and committed. @returns seconds waited */
  async settled(patienceMillis = PATIENCE_MILLIS): Promise<number> {
    const { flows } = this
    return await this.until(
      `${flows} flows stored, lag 0`,
      async () => ((await this.stored()) ?? 0) >= flows && (await this.#drained()),
      patienceMillis,
    )
  }

  /** Nothing is left in the spools of sensors that end, nor on the bus. */
  async #drained(): Promise<boolean> {
    const [lag, ends] = await Promise.all([this.watch.lag(), this.watch.ends(CHUNK_STREAM)])
    const any = [...ends.values()].some((end) => end > 0n)
    return any && lag === 0
  }

  #checkAtDeath(process: Supervised): void {
    process.onExit = ({ signal }) => {
      if (signal === 'SIGKILL') this.checkOffsets()
    }
  }

  /** I3, now. Checks wait for each other. */
  checkOffsets(): Promise<void> {
    this.#checking = this.#checking.then(async () => {
      const faults = await passedTooFar(this.watch, this.store).catch(() => undefined)
      if (faults === undefined) return
      this.offsetChecks++
      this.offsetFaults.push(...faults)
    })
    return this.#checking
  }

  /** Ends the sensors, waits until the last thing they said is stored, and ends the workers. */
  async rest(): Promise<void> {
    await Promise.all(this.sensors.map((one) => one.stop()))
    await this.settled()
    await Promise.all(this.workers.map((one) => one.stop()))
    await this.#checking
  }

  async close(): Promise<void> {
    await Promise.all([...this.sensors, ...this.workers].map((one) => one.stop('SIGKILL')))
    await this.watch.close().catch(() => {})
    await this.store.close()
    if (this.plan.storeDisk !== undefined) await unmountSmall(this.storeDisk)
    await stopCluster(this.cluster.dir)
    if (process.env.FAULTS_KEEP !== '1') await rm(this.directory, { recursive: true, force: true })
  }

  async #told(): Promise<string> {
    const lag = await this.watch.lag().catch(String)
    const stored = await this.stored()
    const logs = [...this.sensors, ...this.workers].map(
      (one) => `--- ${one.name}, ${one.starts} starts, ${one.kills} kills\n${one.tail(1500)}`,
    )
    return `stored ${stored}, lag ${lag}\n${logs.join('\n')}`
  }
}
