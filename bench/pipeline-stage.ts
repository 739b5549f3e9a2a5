// The stage that `bench/pipeline.ts` measures on: a real broker, the ClickHouse front over an embedded engine, and the
// processes of both sides. Each run gets a store of its own; topics go on, so nothing is read twice.

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { kafkaClient } from '../src/bus/kafka-client.ts'
import { ensureTopics } from '../src/bus/kafka-topics.ts'
import { openStore } from '../src/store/store.ts'
import { parseStoreTarget } from '../src/store/store-target.ts'
import { MeasuredProcess, usageOf } from './measured-process.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const MAIN = join(ROOT, 'dist', 'src', 'cli', 'main.js')
const FRONT = join(ROOT, 'scripts', 'clickhouse-front.mjs')
const KAFKA = join(ROOT, 'scripts', 'kafka.mjs')
export const DATABASE = 'flows'
const DAY_MILLIS = 86_400_000
const POLL_MILLIS = 100

interface Cluster {
  bootstrap: string[]
  dir: string
  pids: number[]
}

export class Broker {
  readonly address: string
  readonly pid: number
  readonly #cluster: Cluster
  readonly #admin

  static async start(directory: string): Promise<Broker> {
    const up = new MeasuredProcess([
      process.execPath,
      KAFKA,
      'up',
      '--dir',
      join(directory, 'kafka'),
    ])
    const cluster = JSON.parse(await up.line()) as Cluster
    await up.done()
    const broker = new Broker(cluster)
    await broker.#admin.connect()
    return broker
  }

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.address = cluster.bootstrap[0]!
    this.pid = cluster.pids[0]!
    this.#admin = kafkaClient({ brokers: [this.address], clientId: 'bench' }, 5).admin()
  }

  /** Creates topics. `bytes`: what is kept of each partition at most; undefined for all of a day. */
  async topics(names: readonly string[], partitions: number, bytes?: number): Promise<void> {
    const settings = { brokers: [this.address], clientId: 'bench' }
    const wish = { partitions, replicas: 1, retentionMillis: DAY_MILLIS }
    await ensureTopics(
      settings,
      names.map((topic) => ({ topic, ...wish })),
    )
    if (bytes === undefined) return
    for (const name of names)
      await this.#admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: 2,
            name,
            configEntries: [
              { name: 'retention.bytes', value: String(bytes) },
              { name: 'segment.bytes', value: String(64 << 20) },
              { name: 'max.message.bytes', value: String(9 << 20) },
            ],
          },
        ],
      })
  }

  /** Messages in a topic so far. */
  async end(topic: string): Promise<number> {
    const offsets = await this.#admin.fetchTopicOffsets(topic)
    return offsets.reduce((sum, { offset }) => sum + Number(offset), 0)
  }

  /** Messages that a group has committed. */
  async committed(groupId: string, topic: string): Promise<number> {
    for (let tries = 1; ; tries++)
      try {
        const [of] = await this.#admin.fetchOffsets({ groupId, topics: [topic] })
        const offsets = (of?.partitions ?? []).map(({ offset }) => Math.max(0, Number(offset)))
        return offsets.reduce((sum, offset) => sum + offset, 0)
      } catch (error) {
        // A broker that is busy does not always find itself.
        if (tries === 20) throw error
        await pause()
      }
  }

  /** Waits until a group has this many members and each its partitions. */
  async joined(groupId: string, members: number): Promise<void> {
    for (;;) {
      const { groups } = await this.#admin.describeGroups([groupId])
      const [group] = groups
      if (group?.state === 'Stable' && group.members.length >= members) return
      await pause()
    }
  }

  /**
   * Waits until a group has committed everything up to `end`; progress by the clock, from the first commit on.
   * `alive` throws if whoever should commit has ended.
   */
  async drained(groupId: string, topic: string, end: number, alive: () => void): Promise<Progress> {
    const progress: Progress = { start: await this.committed(groupId, topic), seen: [] }
    for (;;) {
      alive()
      const committed = await this.committed(groupId, topic)
      if (committed !== (progress.seen.at(-1)?.committed ?? progress.start))
        progress.seen.push({ at: performance.now(), committed })
      if (committed >= end) return progress
      await pause()
    }
  }

  /** Bytes of a topic's segments on the broker's disk. */
  diskBytes(topic: string): number {
    const data = join(this.#cluster.dir, 'data-1')
    let bytes = 0
    for (const name of readdirSync(data)) {
      if (name.slice(0, name.lastIndexOf('-')) !== topic) continue
      for (const file of readdirSync(join(data, name)))
        if (file.endsWith('.log')) bytes += statSync(join(data, name, file)).size
    }
    return bytes
  }

  cpu(): number {
    return usageOf(this.pid)?.cpu ?? 0
  }

  async stop(): Promise<void> {
    await this.#admin.disconnect()
    await new MeasuredProcess([process.execPath, KAFKA, 'down', this.#cluster.dir]).done()
  }
}

export interface Progress {
  start: number
  seen: { at: number; committed: number }[]
}

export const pause = (millis = POLL_MILLIS) => new Promise((resolve) => setTimeout(resolve, millis))

export class FrontStore {
  readonly process: MeasuredProcess
  readonly url: string
  readonly #directory: string

  /** A front over a fresh directory, with the schema of this version. */
  static async start(directory: string): Promise<FrontStore> {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true })
    const process_ = new MeasuredProcess([
      ...[process.execPath, FRONT, '--path', directory],
      ...['--database', DATABASE, '--until-stdin-ends'],
    ])
    const { url } = JSON.parse(await process_.line()) as { url: string }
    const front = new FrontStore(process_, url, directory)
    const store = await openStore(parseStoreTarget(front.target))
    await store.close()
    return front
  }

  constructor(process_: MeasuredProcess, url: string, directory: string) {
    this.process = process_
    this.url = url
    this.#directory = directory
  }

  /** As --store takes it. */
  get target(): string {
    return `${this.url}/${DATABASE}`
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const response = await fetch(`${this.url}/?database=${DATABASE}`, {
      method: 'POST',
      body: sql,
    })
    const text = await response.text()
    if (!response.ok) throw new Error(text)
    return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))
  }

  async number(sql: string): Promise<number> {
    const [row] = await this.query(`${sql} FORMAT JSONEachRow`)
    return Number(Object.values(row ?? {})[0])
  }

  async stop(): Promise<void> {
    this.process.child.stdin?.end()
    await this.process.ended
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** Seconds of CPU that this machine's processors had to spare, and all of theirs, so far. */
export function machineCpu(): { idle: number; all: number } {
  const [line] = readFileSync('/proc/stat', 'latin1').split('\n')
  const ticks = line!.trim().split(/\s+/).slice(1, 9).map(Number)
  const all = ticks.reduce((sum, one) => sum + one, 0)
  return { idle: (ticks[3]! + ticks[4]!) / 100, all: all / 100 }
}
