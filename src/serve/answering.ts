// What every process that people ask has alike: its data directory, a store that may come later, what follows a finding,
// and the API.

import { type Api, startApi } from '../api/api.ts'
import type { ApiParts } from '../api/parts.ts'
import type { Listen } from '../setting-kinds.ts'
import type { Settings } from '../settings.ts'
import { openStore, type Store } from '../store/store.ts'
import { type StoreTarget, targetAddress } from '../store/store-target.ts'
import { agentActivity } from './activity.ts'
import { DataDirectory } from './data-directory.ts'
import { LateStore } from './late-store.ts'
import type { Tools } from './opened.ts'
import { type ReadinessNotice, ReadinessNotices } from './readiness-notices.ts'
import { openResponse, type Response } from './response.ts'
import { type Running, untilReached } from './running.ts'

/** @throws BusError `in_use` if another process has it · BusFault */
export async function holdDirectory(
  settings: Settings,
  { opened, fail }: Tools,
): Promise<DataDirectory> {
  const directory = await DataDirectory.hold(settings.serve.data, () =>
    fail(new Error('another process took the data directory over')),
  )
  opened.closing('data directory', () => directory.release())
  return directory
}

interface LateStoreParts {
  target: StoreTarget
  /** Whether its tables are made if they are not there; of a server they never are, that is `bailiwick migrate`'s. */
  schema: 'apply' | 'check'
  /** When it is there. */
  there?: (store: Store) => void
}

/** A store that is opened whenever it can be reached; what waiting does not mend ends the process. */
export function openLateStore(
  { target, schema, there }: LateStoreParts,
  running: Running,
  { opened, fail }: Tools,
): LateStore {
  const late = new LateStore(targetAddress(target))
  const options = { schema: target.kind === 'server' ? 'check' : schema } as const
  const reaching = untilReached(running, () => openStore(target, options))
    .then((store) => {
      if (store === undefined) return
      late.reached(store)
      there?.(store)
      running.log('info', 'the store is open', { store: store.address })
    })
    .catch(fail)
  opened.closing('store', async () => {
    // What is opened while everything ends must be closed, too.
    await reaching
    await late.close()
  })
  return late
}

/**
 * Opens what follows a finding, and shows it.
 * @throws as `openResponse`
 */
export async function respondTo(
  directory: DataDirectory,
  { settings, version, store }: { settings: Settings; version: string; store: LateStore },
  { log, observe, observed }: Running,
  { opened, fail }: Tools,
): Promise<Response> {
  const response = await openResponse(settings.respond, {
    ...{ log, version, directory: directory.paths.root },
    activity: agentActivity(store, settings.live.activeTimeoutSeconds),
  })
  opened.closing('alerts', () => response.close())
  for (const part of response.observed) observe(part)
  response.ended.catch(fail)
  const tell = (notice: ReadinessNotice) => void response.hub.publish('notice', notice)
  const notices = new ReadinessNotices(observed, tell, log)
  opened.closing('notices', async () => notices.close())
  return response
}

/** What the API shows and does of it. */
export function deskParts({ desk, revocations, webhooks, hub }: Response) {
  return { responder: desk, revocations, webhooks, hub }
}

interface Answering {
  /** Of the process: `serve`, `respond`, `api`. */
  name: string
  version: string
  listen: Listen
  settings: Settings
}

/**
 * Starts the API and notes in the data directory where it answers. Closing it is the caller's.
 * @throws ListenError, TokenFileError
 */
export async function answer(
  directory: DataDirectory,
  { name, version, listen, settings }: Answering,
  parts: ApiParts,
): Promise<Api> {
  const api = await startApi(
    { ...settings.api, listen, name, version, directory: directory.paths.root },
    parts,
  )
  try {
    await directory.note({ address: api.address, pid: process.pid, started: Date.now(), version })
  } catch (error) {
    await api.close()
    throw error
  }
  return api
}
