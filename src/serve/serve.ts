// A whole Bailiwick in one process tree: sensor, spool, worker, store, alerts and API, the same parts that the
// distributed processes are made of. Opened from the disk up, ended from the packets down:
//
//   sensing  ->  spool (bus)  ->  worker: judge  ->  findings: alerts, webhooks, revocation
//                                         \-> slice -> store -> commit (the ledger first)

import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, startApi } from '../api/api.ts'
import type { ApiSettings } from '../api/parts.ts'
import { startAuditor } from '../audit.ts'
import { BusError } from '../bus/bus.ts'
import type { SensorEvent } from '../sensor.ts'
import type { Listen } from '../setting-kinds.ts'
import type { Settings } from '../settings.ts'
import { Shipper } from '../ship/shipper.ts'
import { Spool } from '../ship/spool.ts'
import { SpoolStatus } from '../ship/spool-status.ts'
import { openStore } from '../store/store.ts'
import { type StoreTarget, targetAddress } from '../store/store-target.ts'
import type { Log } from '../telemetry.ts'
import { agentActivity } from './activity.ts'
import { AgentRegistry } from './agent-registry.ts'
import { captureAll } from './capturing.ts'
import { DataDirectory } from './data-directory.ts'
import { LateStore } from './late-store.ts'
import { ReadinessNotices } from './readiness-notices.ts'
import { openResponse, type Response } from './response.ts'
import { type Running, untilReached } from './running.ts'
import { liveSettings, readPaths } from './sensing.ts'
import { SpoolSource } from './spool-source.ts'
import { type ServeWorker, startWorker } from './working.ts'

export interface ServeParts {
  settings: Settings
  /** Files and directories, or `-`. */
  paths: readonly string[]
  follow: boolean
  agents: string
  listen: Listen
  /** Undefined for the embedded store in the data directory. */
  target: StoreTarget | undefined
  version: string
  inputOver: (event: SensorEvent & { type: 'input' }) => void
  unreadable: (source: string, words: string) => void
  /** Told once, where the API answers and which file holds the first administrator's token. */
  answers: (address: string, token: string) => Promise<void>
}

/** Of files that can wait, so much may be before the worker: enough to keep it busy, and room for what is prompt. */
const AHEAD_BYTES = 48 << 20
/** After the end is told: reading may take so long to stop, what is in the spool so long to be stored. */
const STOP_MILLIS = 10_000
const DRAIN_MILLIS = 8000
/** A part that hangs does not keep the process. */
const CLOSE_MILLIS = 10_000

/** What was opened, to be closed in the opposite order. */
class Opened {
  readonly #closers: { name: string; close: () => Promise<unknown> | undefined }[] = []
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  closing(name: string, close: () => Promise<unknown> | undefined): void {
    this.#closers.push({ name, close })
  }

  /** What cannot be closed is told of, and the rest is closed all the same. */
  async close(): Promise<void> {
    for (const { name, close } of this.#closers.reverse()) {
      try {
        if (!(await within(CLOSE_MILLIS, close())))
          this.#log('warn', 'does not close in time; it is left', { part: name })
      } catch (error) {
        this.#log('error', 'could not be closed', { part: name, err: error })
      }
    }
  }
}

/**
 * Serves until the signal is aborted, or until something fails that nobody but a new process can mend.
 * @throws BusError `in_use` if the directory is held · ListenError, TokenFileError · AgentFilesError,
 *   AgentProblemsError · LiveError of a filter · StoreError that waiting does not mend · BusFault
 */
export async function serve(running: Running, parts: ServeParts): Promise<void> {
  const opened = new Opened(running.log)
  const failed = new AbortController()
  const fail = (error: unknown) => failed.abort(error)
  const signal = AbortSignal.any([running.signal, failed.signal])
  const now: Running = { ...running, signal }
  try {
    const directory = await DataDirectory.hold(parts.settings.serve.data, () =>
      fail(new Error('another process took the data directory over')),
    )
    opened.closing('data directory', () => directory.release())
    await serveFrom(directory, now, parts, { opened, fail })
  } finally {
    await opened.close()
  }
  if (failed.signal.aborted) throw failed.signal.reason
}

interface Tools {
  opened: Opened
  /** Ends all, with this error. */
  fail: (error: unknown) => void
}

async function serveFrom(
  directory: DataDirectory,
  running: Running,
  parts: ServeParts,
  { opened, fail }: Tools,
): Promise<void> {
  const { paths } = directory
  const { log, observe } = running
  const target = parts.target ?? { kind: 'directory', path: paths.store }
  const store = new LateStore(targetAddress(target))
  let api: Api | undefined
  opened.closing('api', () => api?.close())
  opened.closing('store', () => store.close())
  const registry = await AgentRegistry.open([parts.agents], { log })
  opened.closing('agent files', () => registry.close())
  observe(registry)
  const response = await openResponse(parts.settings.respond, {
    log,
    version: parts.version,
    directory: paths.root,
    activity: agentActivity(store, parts.settings.live.activeTimeoutSeconds),
  })
  opened.closing('alerts', () => response.close())
  for (const part of response.observed) observe(part)
  response.ended.catch(fail)
  api = await startApi(apiSettings(directory, parts), {
    store,
    hub: response.hub,
    responder: response.desk,
    revocations: response.revocations,
    webhooks: response.webhooks,
    agents: registry.view,
    observed: running.observed,
    log,
  })
  const notices = new ReadinessNotices(
    running.observed,
    (notice) => void response.hub.publish('notice', notice),
    log,
  )
  opened.closing('notices', async () => notices.close())
  await directory.note({
    address: api.address,
    pid: process.pid,
    started: Date.now(),
    version: parts.version,
  })
  await parts.answers(api.address, paths.token)
  const reaching = reach(store, target, running).catch(fail)
  // What is opened while everything ends must be closed, too.
  opened.closing('store', () => reaching)
  await work({ directory, registry, response, store, target }, running, parts, { opened, fail })
}

/** Opens the store, whenever it is there. @throws StoreError that waiting does not mend */
async function reach(store: LateStore, target: StoreTarget, running: Running): Promise<void> {
  const schema = target.kind === 'server' ? 'check' : 'apply'
  const there = await untilReached(running, () => openStore(target, { schema }))
  if (there === undefined) return
  store.reached(there)
  running.observe(startAuditor(there, running.log, { signal: running.signal }))
  running.log('info', 'the store is open', { store: there.address })
}

interface Ready {
  directory: DataDirectory
  registry: AgentRegistry
  response: Response
  store: LateStore
  target: StoreTarget
}

/** Spool, worker and sensor, until the end; then from the packets down. */
async function work(
  ready: Ready,
  running: Running,
  parts: ServeParts,
  { opened, fail }: Tools,
): Promise<void> {
  const { log, signal, observe } = running
  const { settings } = parts
  const { id, spool: elsewhere, spoolBytes, lanes } = settings.sensor
  const spool = await Spool.open(
    { directory: elsewhere ?? ready.directory.paths.spool, maxBytes: spoolBytes, lanes },
    log,
  )
  opened.closing('spool', () => spool.close())
  const source = new SpoolSource(spool)
  const worker = await startWorker({
    ...ready,
    embedded: ready.target.kind !== 'server',
    source,
    running,
    parts,
  })
  opened.closing('worker', () => worker.close())
  worker.done.catch(fail)
  const shipper = new Shipper(id, spool, () => source.untilBelow(AHEAD_BYTES, signal))
  observe(new SpoolStatus(spool, shipper, source))
  const sensing = sense(shipper, running, parts)
  sensing.catch((error: unknown) => {
    // Left behind when everything ended: the next process reads it again.
    if (!(signal.aborted && error instanceof BusError && error.kind === 'closed')) fail(error)
  })
  await aborted(signal)
  await end({ sensing, shipper, spool, source, worker })
}

/** Everything that is read, beside each other, and what is announced of it. */
async function sense(shipper: Shipper, running: Running, parts: ServeParts): Promise<void> {
  const { settings, paths, follow, inputOver, unreadable } = parts
  const { log } = running
  const capturing =
    settings.live.interfaces.length === 0
      ? undefined
      : captureAll(liveSettings(settings), { shipper, running })
  const reading =
    paths.length === 0
      ? undefined
      : readPaths(paths, { settings, follow, shipper, running, inputOver, unreadable }).then(() => {
          if (!running.signal.aborted) log('info', 'everything that was named is read')
        })
  await Promise.all([capturing, reading])
  // Files that are read to their end are no reason to end: alerts and the API are still wanted.
  await aborted(running.signal)
  await shipper.end()
}

interface Ending {
  sensing: Promise<void>
  shipper: Shipper
  spool: Spool
  source: SpoolSource
  worker: ServeWorker
}

/** In order, each for as long as it may take; what is left is taken up by the next process. */
async function end({ sensing, shipper, spool, source, worker }: Ending): Promise<void> {
  await within(
    STOP_MILLIS,
    sensing.catch(() => {}),
  )
  shipper.stop()
  await within(DRAIN_MILLIS, source.untilCommitted(spool.end, worker.over))
  worker.stop()
  await worker.done.catch(() => {})
}

function apiSettings({ paths }: DataDirectory, parts: ServeParts): ApiSettings {
  const { listen, version, settings } = parts
  return { ...settings.api, listen, name: 'serve', version, directory: paths.root }
}

/** Waits for it, but not for longer. @returns whether it came in time @throws what it throws until then */
async function within(millis: number, work: Promise<unknown> | undefined): Promise<boolean> {
  const over = new AbortController()
  const late = sleep(millis, false, { signal: over.signal }).catch(() => false)
  try {
    return await Promise.race([Promise.resolve(work).then(() => true), late])
  } finally {
    over.abort()
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
