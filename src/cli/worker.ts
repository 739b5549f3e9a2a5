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
import { type Opened, openReached, overOpened } from '../serve/opened.ts'
import type { Running } from '../serve/running.ts'
import type { Settings } from '../settings.ts'
import { openStore, type Store } from '../store/store.ts'
import type { Log } from '../telemetry.ts'
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
import { runLongRunning } from './long-running.ts'
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

/** `openReached`, of this process. */
type Open = <T extends { close(): Promise<void> }>(
  name: string,
  open: () => Promise<T>,
) => Promise<T | undefined>

/** Opens what the worker works with; undefined if it was told to end first. */
async function openParts(
  running: Running,
  settings: Settings,
  agents: string,
  opened: Opened,
): Promise<WorkerParts | undefined> {
  const { log, signal } = running
  // Mistakes in the settings before anything is waited for.
  const kafka = kafkaSettings(settings, undefined, log)
  const target = storeTargetOf(settings)
  const open: Open = (name, how) => openReached(running, opened, name, how)
  const registry = await open('agent files', () => AgentRegistry.open([agents], { log }))
  if (registry !== undefined) running.observe(registry)
  const { inFlightBytes, untilIdleSeconds } = settings.worker
  // A server's schema is `bailiwick migrate`'s; an embedded store is this process's own.
  const schema = target.kind === 'server' ? 'check' : 'apply'
  const store = await open('store', () => openStore(target, { schema }))
  const count = settings.worker.threads ?? usualThreads()
  const threads = await open('threads', () => JudgeThreads.open({ threads: count }))
  const streams = await openStreams(settings, kafka, { log, open })
  if (registry === undefined || store === undefined || threads === undefined) return undefined
  if (streams === undefined) return undefined
  return {
    ...streams,
    store,
    threads,
    scopes: registry.scopes,
    limits: {
      ...WORKER_LIMITS,
      inFlightBytes,
      fenceMillis: Math.floor(settings.kafka.sessionTimeoutMillis / 3),
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

/** The streams of Kafka: where chunks come from, where findings and dead letters go. */
async function openStreams(
  settings: Settings,
  kafka: ReturnType<typeof kafkaSettings>,
  { log, open }: { log: Log; open: Open },
): Promise<Pick<WorkerParts, 'source' | 'dead' | 'findings' | 'losses'> | undefined> {
  const losses = new StreamLosses(log)
  const sink = (name: string, topic: string) =>
    open(name, async () => {
      // Better to know now than with the first message.
      await checkTopic(kafka, topic)
      return new KafkaSink({ ...kafka, topic }, losses.tell)
    })
  const dead = await sink('dead letters', DEAD_STREAM)
  const alerts = await sink('alerts', ALERT_STREAM)
  const { inFlightBytes, group: groupId } = settings.worker
  const { sessionTimeoutMillis } = settings.kafka
  const source = await open('source', () => {
    const consumer = { topic: CHUNK_STREAM, groupId, inFlightBytes, sessionTimeoutMillis }
    return KafkaSource.open({ ...kafka, ...consumer, copy: sharedCopy }, losses.tell)
  })
  if (dead === undefined || alerts === undefined || source === undefined) return undefined
  return {
    source,
    dead,
    losses,
    // Acknowledged by all replicas in sync, or waited for.
    findings: async (events, signal) => {
      await alerts.send({ key: events[0]!.chunkId, bytes: encodeFindings(events) }, signal)
    },
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
