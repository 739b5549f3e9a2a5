// Flows per second on the whole path, sensor -> Kafka -> worker -> ClickHouse, with everything switched on, against a
// bare loop of kafkajs and Native inserts (bench/bare-loop.ts) that moves the same flows and judgements: in turns, on
// the same broker, each run into a store of its own. Beside it, what each process costs, the bytes on the bus, and with
// --minutes how the worker's memory goes over a long run at full speed.
//
//   npm run bench:pipeline [-- --lines 1000000 --rounds 3 --workers 2 --minutes 30]
//
// --only bailiwick and --only 'bare loop' run one side; --profile DIR leaves CPU profiles of its processes there.
// --plain-tables gives the tables of the bare loop the settings that ClickHouse has by itself, instead of ours.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM } from '../src/bus/bus.ts'
import { CHUNK_RECORDS_MAX } from '../src/chunk.ts'
import { jsonBytes } from './bus-bytes.ts'
import { makeAgents, makeLog } from './made-logs.ts'
import { MeasuredProcess } from './measured-process.ts'
import { memoryOverTime } from './memory-run.ts'
import {
  Broker,
  DATABASE,
  FrontStore,
  MAIN,
  machineCpu,
  type Progress,
  pause,
} from './pipeline-stage.ts'

const { values: options } = parseArgs({
  options: {
    lines: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '4' },
    workers: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    only: { type: 'string' },
    profile: { type: 'string' },
    'plain-tables': { type: 'boolean', default: false },
  },
})
const LINES = Number(options.lines)
const ROUNDS = Number(options.rounds)
const PARTITIONS = Number(options.partitions)
const WORKERS = Number(options.workers)
const BARE_TOPIC = 'bench.bare'
/** Chunks that the bare loop inserts together: as many as a slice of the worker had on average in the run before. */
let batchChunks = 131_072 / CHUNK_RECORDS_MAX

/** What sql/schema sets of a table of rows, and ClickHouse has otherwise. */
const TABLE_SETTINGS = [
  'min_bytes_for_wide_part',
  'merge_selector_base',
  'non_replicated_deduplication_window',
  'ttl_only_drop_parts',
]

const directory = mkdtempSync(join(tmpdir(), 'bailiwick-bench-'))
const at = (name: string) => join(directory, name)
const LOG = at('made.log')
const AGENTS = at('agents')
const PREPARED = at('prepared')

/** CPU seconds for a million flows, by process. */
type Costs = Record<string, number>

interface Run {
  /** Flows a second: all of it, and from the first commit to the last. */
  rate: number
  steady: number
  seconds: number
  costs: Costs
  /** Part of the machine that was idle. */
  idle: number
  /** Flows of an insert, on average. */
  batch: number
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Flows a second after the first commit. Commits come in slices, so the first is not counted. */
function steadyRate(progress: Progress, records: number, end: number): number {
  const [first] = progress.seen
  const last = progress.seen.at(-1)
  if (first === undefined || last === undefined || first === last) return Number.NaN
  const part = (last.committed - first.committed) / (end - progress.start)
  return (records * part * 1000) / (last.at - first.at)
}

const PROFILE =
  options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
const node = (...args: readonly string[]) =>
  new MeasuredProcess([process.execPath, ...PROFILE, ...args])
const BARE = new URL('bare-loop.js', import.meta.url).pathname

interface Side {
  name: string
  topic: string
  group: string
  send: (run: number) => MeasuredProcess
  receive: (store: FrontStore) => MeasuredProcess
  /** Called before a receiver starts. */
  prepare: (store: FrontStore) => Promise<void>
  table: string
  /** Ends a receiver. */
  end: (receiver: MeasuredProcess) => Promise<void>
}

function ours(broker: Broker): Side {
  return {
    name: 'bailiwick',
    topic: CHUNK_STREAM,
    group: 'bailiwick-workers',
    send: (run) => {
      sent += LINES
      return node(
        ...[MAIN, 'sensor', LOG, '--kafka', broker.address],
        // Another sensor each time, so that no chunk is one that was stored before.
        ...['--spool', at(`spool-${run}`), '--sensor-id', `bench-${run}`],
      )
    },
    receive: (store) =>
      node(MAIN, 'worker', '--agents', AGENTS, '--kafka', broker.address, '--store', store.target),
    prepare: async () => {},
    table: 'flow_records',
    end: (receiver) => receiver.stop(),
  }
}

function bare(broker: Broker): Side {
  return {
    name: 'bare loop',
    topic: BARE_TOPIC,
    group: 'bare',
    send: () => node(BARE, 'produce', PREPARED, broker.address, BARE_TOPIC),
    receive: (store) =>
      node(
        ...[BARE, 'consume', PREPARED, broker.address, BARE_TOPIC, 'bare'],
        ...[store.url, DATABASE, String(batchChunks)],
      ),
    prepare: async (store) => {
      for (const table of ['flow_records', 'judgements']) {
        await store.query(`CREATE TABLE bare_${table} AS ${table}`)
        if (options['plain-tables'])
          await store.query(`ALTER TABLE bare_${table} RESET SETTING ${TABLE_SETTINGS.join(', ')}`)
      }
    },
    table: 'bare_flow_records',
    end: async (receiver) => {
      receiver.child.stdin?.end()
      await receiver.done()
    },
  }
}

/** Runs of either sender, and flows that ours has sent. */
let runs = 0
let sent = 0

/** Waits for the group to finish what is there and gives the costs of everybody. */
async function measured(
  side: Side,
  broker: Broker,
  store: FrontStore,
  receivers: readonly MeasuredProcess[],
  sender: MeasuredProcess | undefined,
): Promise<Run> {
  const before = {
    broker: broker.cpu(),
    store: store.process.look().cpu,
    receivers: receivers.map((one) => one.look().cpu),
  }
  const machine = machineCpu()
  const start = performance.now()
  const alive = () => {
    const dead = receivers.find(({ child }) => child.exitCode !== null)
    if (dead !== undefined) throw new Error(`${side.name} ended: ${dead.said}`)
  }
  await sender?.done()
  const end = await broker.end(side.topic)
  const progress = await broker.drained(side.group, side.topic, end, alive)
  const seconds = (performance.now() - start) / 1000
  const rest = machineCpu()
  const records = await store.number(`SELECT count() AS n FROM ${side.table}`)
  if (records !== LINES) throw new Error(`${side.name}: ${records} of ${LINES} flows are stored`)
  // Blocks of a table are numbered from 1, one an INSERT.
  const inserts = await store.number(
    `SELECT max(max_block_number) AS n FROM system.parts WHERE database = currentDatabase() AND table = '${side.table}'`,
  )
  const million = records / 1e6
  const costs: Costs = {
    broker: (broker.cpu() - before.broker) / million,
    store: (store.process.look().cpu - before.store) / million,
    worker:
      receivers.reduce((sum, one, i) => sum + one.look().cpu - before.receivers[i]!, 0) / million,
  }
  if (sender !== undefined) costs.sensor = sender.usage.cpu / million
  return {
    rate: records / seconds,
    steady: steadyRate(progress, records, end),
    seconds,
    costs,
    idle: (rest.idle - machine.idle) / (rest.all - machine.all),
    batch: records / Math.max(1, inserts),
  }
}

/** One run of the whole path: receivers first, then the sender. */
async function wholePath(side: Side, broker: Broker, workers: number): Promise<Run> {
  const store = await FrontStore.start(at('store'))
  await side.prepare(store)
  const receivers = Array.from({ length: workers }, () => side.receive(store))
  await broker.joined(side.group, workers)
  await pause(1000)
  const run = await measured(side, broker, store, receivers, side.send(runs++))
  await Promise.all(receivers.map(side.end))
  await store.stop()
  return run
}

/** The sender alone, then the receivers alone on what it left. */
async function halves(
  side: Side,
  broker: Broker,
  workers: number,
): Promise<{ sender: number; senderCpu: number; receiver: Run }> {
  const start = performance.now()
  const sender = side.send(runs++)
  await sender.done()
  const seconds = (performance.now() - start) / 1000
  const store = await FrontStore.start(at('store'))
  await side.prepare(store)
  const receivers = Array.from({ length: workers }, () => side.receive(store))
  const receiver = await measured(side, broker, store, receivers, undefined)
  await Promise.all(receivers.map(side.end))
  await store.stop()
  return { sender: LINES / seconds, senderCpu: (sender.usage.cpu * 1e6) / LINES, receiver }
}

const k = (rate: number) => `${(rate / 1000).toFixed(1).padStart(6)} k flows/s`
const costText = (costs: Costs) =>
  Object.entries(costs)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(2)}`)
    .join(', ')
const say = (text: string) => process.stdout.write(`${text}\n`)

function medianCosts(all: readonly Run[]): Costs {
  const names = Object.keys(all[0]?.costs ?? {})
  return Object.fromEntries(
    names.map((name) => [name, median(all.map(({ costs }) => costs[name] ?? Number.NaN))]),
  )
}

const total = (costs: Costs) => Object.values(costs).reduce((sum, one) => sum + one, 0)

async function compare(broker: Broker): Promise<void> {
  const all = [ours(broker), bare(broker)]
  const sides = options.only === undefined ? all : all.filter(({ name }) => name === options.only)
  const whole: [Run[], Run[]] = [[], []]
  // Round 0 warms up and is not counted.
  for (let round = 0; round <= ROUNDS; round++)
    for (const [i, side] of sides.entries()) {
      const run = await wholePath(side, broker, i === 0 ? WORKERS : 1)
      say(
        `${round === 0 ? 'warm-up' : `round ${round}`.padEnd(7)} ${side.name.padEnd(10)}${k(run.rate)}, ${run.seconds.toFixed(1)} s, idle ${(run.idle * 100).toFixed(0)} %, ${run.batch.toFixed(0)} flows an insert; CPU s/M flows: ${costText(run.costs)}`,
      )
      if (side.topic === CHUNK_STREAM)
        batchChunks = Math.max(1, Math.round(run.batch / CHUNK_RECORDS_MAX))
      if (round > 0) whole[i]!.push(run)
    }
  const [mine, theirs] = whole
  if (options.only !== undefined) return
  const ratios = mine.map((run, i) => run.rate / theirs[i]!.rate)
  const cpuRatios = mine.map((run, i) => total(theirs[i]!.costs) / total(run.costs))
  say(`\nwhole path, ${ROUNDS} rounds in turns, medians`)
  for (const [i, side] of sides.entries()) {
    const costs = medianCosts(whole[i]!)
    say(
      `${side.name.padEnd(12)}${k(median(whole[i]!.map(({ rate }) => rate)))}   CPU s/M flows: ${costText(costs)}, all ${total(costs).toFixed(2)}; ${median(whole[i]!.map(({ batch }) => batch)).toFixed(0)} flows an insert`,
    )
  }
  const each = (all: readonly number[]) => all.map((one) => one.toFixed(2)).join(' ')
  say(
    `ratio       ${median(ratios).toFixed(2)} x by the clock (pairs: ${each(ratios)}), ${median(cpuRatios).toFixed(2)} x by CPU (pairs: ${each(cpuRatios)})\n`,
  )
  for (const side of sides) {
    const { sender, senderCpu, receiver } = await halves(
      side,
      broker,
      side === sides[0] ? WORKERS : 1,
    )
    say(
      `${side.name.padEnd(12)}sending alone ${k(sender)} (${senderCpu.toFixed(2)} CPU s/M); receiving alone ${k(receiver.steady)} after the first commit (CPU s/M flows: ${costText(receiver.costs)}; idle ${(receiver.idle * 100).toFixed(0)} %)`,
    )
  }
}

async function busBytes(broker: Broker, before: number): Promise<void> {
  // Of the bare loop alone nothing is measured here: it sends prepared bytes.
  if (sent === 0) return
  const disk = (broker.diskBytes(CHUNK_STREAM) - before) / sent
  const json = await jsonBytes(LOG)
  say(
    `\nbus         ${disk.toFixed(1)} bytes a flow on the broker's disk; JSON of the same flows ${json.raw.toFixed(0)} raw, ${json.lz4.toFixed(1)} with lz4 (${(json.lz4 / disk).toFixed(1)} x)`,
  )
}

let broker: Broker | undefined
process.once('SIGINT', () => {
  const end = () => {
    rmSync(directory, { recursive: true, force: true })
    process.exit(130)
  }
  void (broker?.stop() ?? Promise.resolve()).then(end, end)
})
try {
  const size = makeLog(LOG, LINES)
  makeAgents(AGENTS)
  say(
    `input       ${LINES} flows, ${(size / 1e6).toFixed(0)} MB of VPC flow logs, 512 agents; ${PARTITIONS} partitions, ${WORKERS} worker processes`,
  )
  broker = await Broker.start(directory)
  if (options.minutes !== undefined)
    await memoryOverTime(broker, {
      minutes: Number(options.minutes),
      directory,
      log: LOG,
      agents: AGENTS,
      partitions: PARTITIONS,
      say,
    })
  else {
    await node(BARE, 'prepare', LOG, AGENTS, PREPARED).done()
    await broker.topics([CHUNK_STREAM, DEAD_STREAM, ALERT_STREAM, BARE_TOPIC], PARTITIONS)
    const before = broker.diskBytes(CHUNK_STREAM)
    await compare(broker)
    await busBytes(broker, before)
  }
} finally {
  await broker?.stop()
  rmSync(directory, { recursive: true, force: true })
}
