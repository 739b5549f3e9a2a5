// A whole Bailiwick in one process tree: sensor, spool, worker, store, alerts and API, the same parts that the
// distributed processes are made of. Opened from the disk up, ended from the packets down:
//
//   sensing  ->  spool (bus)  ->  worker: judge  ->  findings: alerts, webhooks, revocation
//                                         \-> slice -> store -> commit (the ledger first)

import type { Api } from '../api/api.ts'
import { startAuditor } from '../audit.ts'
import { BusError } from '../bus/bus.ts'
import type { SensorEvent } from '../sensor.ts'
import type { Listen } from '../setting-kinds.ts'
import type { Settings } from '../settings.ts'
import { Shipper } from '../ship/shipper.ts'
import { Spool } from '../ship/spool.ts'
import { SpoolStatus } from '../ship/spool-status.ts'
import type { Store } from '../store/store.ts'
import type { StoreTarget } from '../store/store-target.ts'
import type { Observed } from '../telemetry.ts'
import { aborted } from '../until-aborted.ts'
import { AgentRegistry } from './agent-registry.ts'
import { answer, deskParts, holdDirectory, openLateStore, respondTo } from './answering.ts'
import { captureAll } from './capturing.ts'
import type { DataDirectory } from './data-directory.ts'
import type { LateStore } from './late-store.ts'
import { overOpened, type Tools, within } from './opened.ts'
import type { Response } from './response.ts'
import type { Running } from './running.ts'
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

/**
 * Serves until the signal is aborted, or until something fails that nobody but a new process can mend.
 * @throws BusError `in_use` if the directory is held · ListenError, TokenFileError · AgentFilesError,
 *   AgentProblemsError · LiveError of a filter · StoreError that waiting does not mend · BusFault
 */
export async function serve(running: Running, parts: ServeParts): Promise<void> {
  await overOpened(running, async (running, tools) => {
    const begun = running.observe(NOT_BEGUN)
    const ready = await makeReady(running, parts, tools)
    await work(ready, running, parts, tools, begun)
  })
}

/** The API answers before anything is read: whoever waits until it is ready wants what comes then to be seen. */
const NOT_BEGUN: Observed = {
  samples: () => [],
  readiness: () => ({ ready: false, reason: 'it begins: nothing is read yet' }),
}

/** All that findings and questions need; the store may come later. */
async function makeReady(running: Running, parts: ServeParts, tools: Tools): Promise<Ready> {
  const { opened } = tools
  const { log, observe } = running
  const { settings, version, listen } = parts
  const directory = await holdDirectory(settings, tools)
  const { paths } = directory
  // Answers until all else is closed.
  let api: Api | undefined
  opened.closing('api', () => api?.close())
  const target = parts.target ?? { kind: 'directory', path: paths.store }
  const registry = await AgentRegistry.open([parts.agents], { log })
  opened.closing('agent files', () => registry.close())
  observe(registry)
  const there = (store: Store) => observe(startAuditor(store, log, { signal: running.signal }))
  const store = openLateStore({ target, schema: 'apply', there }, running, tools)
  const response = await respondTo(directory, { settings, version, store }, running, tools)
  api = await answer(
    directory,
    { name: 'serve', version, listen, settings },
    { store, log, ...deskParts(response), observed: running.observed, agents: registry.view },
  )
  await parts.answers(api.address, paths.token)
  return { directory, registry, response, store, target }
}

/** What findings and questions need. */
export interface Ready {
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
  begun: () => void,
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
  const worker = await startWorker({ ...ready, source, running, parts, opened })
  worker.done.catch(fail)
  const shipper = new Shipper(id, spool, () => source.untilBelow(AHEAD_BYTES, signal))
  observe(new SpoolStatus(spool, shipper, source))
  const sensing = sense(shipper, running, parts)
  begun()
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
