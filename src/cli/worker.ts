// `bailiwick worker`: takes chunks from Kafka, judges them, stores them, each once. Any number of them share the work.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { startAuditor } from '../audit.ts'
import { ALERT_STREAM, CHUNK_STREAM, type Claim, DEAD_STREAM } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import { KafkaSource } from '../bus/kafka-source.ts'
import { checkTopic } from '../bus/kafka-topics.ts'
import { JudgeThreads, usualThreads } from '../judge-threads.ts'
import { encodeFindings } from '../respond/finding.ts'
import { AgentRegistry } from '../serve/agent-registry.ts'
import type { Settings } from '../settings.ts'
import { openStore, type Store } from '../store/store.ts'
import { StoreError, StoreTargetError } from '../store/store-error.ts'
import type { StoreTarget } from '../store/store-target.ts'
import { sharedCopy } from '../work/shared-bytes.ts'
import { StreamLosses } from '../work/stream-losses.ts'
import { runWorker, WORKER_LIMITS, type WorkerParts } from '../work/worker.ts'
import { areAgentsSound } from './agent-directory.ts'
import {
  addSettingsOptions,
  kafkaSettings,
  needed,
  settingsOf,
  storeTargetOf,
} from './bus-options.ts'
import { CommandError, usageError } from './exit.ts'
import { type Running, runLongRunning, untilReached } from './long-running.ts'
import type { CommandParts } from './program.ts'
import { packageVersion } from './version.ts'

const EXAMPLES = `Examples:
  bailiwick worker --agents agents/ --kafka localhost:9092 --store http://bailiwick:secret@clickhouse:8123/flows
  bailiwick worker --agents agents/ --kafka localhost:9092 --store bailiwick-data --until-idle 10
`

export function addWorkerCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('worker')
    .summary('judge and store what sensors put into Kafka')
    .description(
      'Takes chunks of flow records from Kafka, judges them against what agents declared, puts findings back into Kafka at once, and stores everything, each exactly once. Start as many as you like; SIGTERM ends one in good order. Agent files may be changed while it runs.',
    )
    .addHelpText('before', EXAMPLES)
  addSettingsOptions(command, ['kafka', 'store', 'worker', 'listen']).action(
    async (options: Record<string, unknown>) => {
      const settings = await settingsOf(options, parts)
      const agents = needed(settings.worker.agents, 'worker.agents')
      if (!(await areAgentsSound(agents, parts))) return
      await runLongRunning(parts, 'worker', settings, (running) => work(running, settings, agents))
    },
  )
}

/** A store or a broker that hangs does not keep the process. */
const CLOSE_MILLIS = 10_000

/** What was opened, to be closed in the opposite order. */
type Closers = (() => Promise<void>)[]

async function work(running: Running, settings: Settings, agents: string): Promise<void> {
  const closers: Closers = []
  try {
    const parts = await openParts(running, settings, agents, closers)
    if (parts !== undefined) await runWorker(parts)
  } finally {
    for (const close of closers.reverse()) await Promise.race([close(), sleep(CLOSE_MILLIS)])
  }
}

/** Opens what the worker works with; undefined if it was told to end first. */
async function openParts(
  running: Running,
  settings: Settings,
  agents: string,
  closers: Closers,
): Promise<WorkerParts | undefined> {
  const { log, signal } = running
  const opened = async <T extends { close(): Promise<void> }>(open: () => Promise<T>) => {
    const one = await untilReached(running, open)
    if (one !== undefined) closers.push(() => one.close())
    return one
  }
  const kafka = kafkaSettings(settings, undefined, log)
  const registry = await opened(() => AgentRegistry.open([agents], { log }))
  if (registry !== undefined) running.observe(registry)
  const { inFlightBytes, group, untilIdleSeconds } = settings.worker
  const { sessionTimeoutMillis } = settings.kafka
  const losses = new StreamLosses(log)
  const target = targetOf(settings)
  const store = await opened(() => openedStore(target))
  const count = settings.worker.threads ?? usualThreads()
  const threads = await opened(() => JudgeThreads.open({ threads: count }))
  const dead = await opened(async () => {
    // Better to know now than with the first dead letter.
    await checkTopic(kafka, DEAD_STREAM)
    return new KafkaSink({ ...kafka, topic: DEAD_STREAM }, losses.tell)
  })
  const alerts = await opened(async () => {
    await checkTopic(kafka, ALERT_STREAM)
    return new KafkaSink({ ...kafka, topic: ALERT_STREAM }, losses.tell)
  })
  const source = await opened(() => {
    const consumer = {
      ...{ topic: CHUNK_STREAM, groupId: group, inFlightBytes, sessionTimeoutMillis },
      copy: sharedCopy,
    }
    return KafkaSource.open({ ...kafka, ...consumer }, losses.tell)
  })
  if (registry === undefined || store === undefined || threads === undefined) return undefined
  if (dead === undefined || alerts === undefined || source === undefined) return undefined
  return {
    source,
    store,
    dead,
    losses,
    threads,
    scopes: registry.scopes,
    // Acknowledged by all replicas in sync, or waited for.
    findings: async (events, signal) => {
      await alerts.send({ key: events[0]!.chunkId, bytes: encodeFindings(events) }, signal)
    },
    limits: {
      ...WORKER_LIMITS,
      inFlightBytes,
      fenceMillis: Math.floor(sessionTimeoutMillis / 3),
      // An embedded engine ends with its process.
      ...(target.kind === 'server' ? {} : { recutMillis: 0 }),
    },
    untilIdleMillis: untilIdleSeconds === undefined ? undefined : untilIdleSeconds * 1000,
    version: packageVersion(),
    log,
    clock: () => performance.now(),
    now: () => Date.now(),
    signal,
    observe: (part) => void running.observe(part),
    onClaim: (claim) => audit(claim, store, running),
  }
}

/** One of all workers audits: whoever holds the first partition, for as long as it does. */
function audit(claim: Claim, store: Store, { log, observe }: Running): void {
  if (claim.partition !== 0 || claim.lost.aborted) return
  const auditor = startAuditor(store, log, { signal: claim.lost })
  const forget = observe(auditor)
  const end = () => {
    forget()
    void auditor.close()
  }
  claim.lost.addEventListener('abort', end, { once: true })
}

function targetOf(settings: Settings): StoreTarget {
  try {
    return storeTargetOf(settings)
  } catch (error) {
    if (error instanceof StoreTargetError) throw usageError(error.message)
    throw error
  }
}

/** A server's schema is `bailiwick migrate`'s; an embedded store is this process's own. */
async function openedStore(target: StoreTarget): Promise<Store> {
  try {
    return await openStore(target, { schema: target.kind === 'server' ? 'check' : 'apply' })
  } catch (error) {
    if (error instanceof StoreError && !error.retriable) throw new CommandError(4, error.message)
    throw error
  }
}
