// `bailiwick worker`: takes chunks from Kafka, judges them, stores them, each once. Any number of them share the work.

import type { Command } from 'commander'
import { startAuditor } from '../audit.ts'
import { ALERT_STREAM, CHUNK_STREAM, type Claim, DEAD_STREAM } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import { KafkaSource } from '../bus/kafka-source.ts'
import { checkTopic } from '../bus/kafka-topics.ts'
import { JudgeThreads, usualThreads } from '../judge-threads.ts'
import { encodeFindings } from '../respond/finding.ts'
import { AgentRegistry } from '../serve/agent-registry.ts'
import { type Opened, overOpened } from '../serve/opened.ts'
import type { Settings } from '../settings.ts'
import { openStore, type Store } from '../store/store.ts'
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
import { type Running, runLongRunning, untilReached } from './long-running.ts'
import type { CommandParts } from './program.ts'
import { packageVersion } from './version.ts'

const EXAMPLES = `Examples:
  bailiwick worker --agents agents/ --kafka localhost:9092 --store http://bailiwick_writer@clickhouse:8123/bailiwick
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
      await runLongRunning(parts, 'worker', settings, (running) =>
        overOpened(running, async (running, { opened }) => {
          const parts = await openParts(running, settings, agents, opened)
          if (parts !== undefined) await runWorker(parts)
        }),
      )
    },
  )
}

/** Opens what the worker works with; undefined if it was told to end first. */
async function openParts(
  running: Running,
  settings: Settings,
  agents: string,
  all: Opened,
): Promise<WorkerParts | undefined> {
  const { log, signal } = running
  const opened = async <T extends { close(): Promise<void> }>(
    name: string,
    open: () => Promise<T>,
  ) => {
    const one = await untilReached(running, open)
    if (one !== undefined) all.closing(name, () => one.close())
    return one
  }
  const kafka = kafkaSettings(settings, undefined, log)
  const registry = await opened('agent files', () => AgentRegistry.open([agents], { log }))
  if (registry !== undefined) running.observe(registry)
  const { inFlightBytes, group, untilIdleSeconds } = settings.worker
  const { sessionTimeoutMillis } = settings.kafka
  const losses = new StreamLosses(log)
  const target = storeTargetOf(settings)
  // A server's schema is `bailiwick migrate`'s; an embedded store is this process's own.
  const schema = target.kind === 'server' ? 'check' : 'apply'
  const store = await opened('store', () => openStore(target, { schema }))
  const count = settings.worker.threads ?? usualThreads()
  const threads = await opened('threads', () => JudgeThreads.open({ threads: count }))
  const dead = await opened('dead letters', async () => {
    // Better to know now than with the first dead letter.
    await checkTopic(kafka, DEAD_STREAM)
    return new KafkaSink({ ...kafka, topic: DEAD_STREAM }, losses.tell)
  })
  const alerts = await opened('alerts', async () => {
    await checkTopic(kafka, ALERT_STREAM)
    return new KafkaSink({ ...kafka, topic: ALERT_STREAM }, losses.tell)
  })
  const source = await opened('source', () => {
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
