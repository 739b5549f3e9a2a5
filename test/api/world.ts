// A small world for tests of the API: a real store with a few judged flows, a server on loopback, and one who asks.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Api, startApi } from '../../src/api/api.ts'
import type { AgentsView, ApiParts, ApiSettings } from '../../src/api/parts.ts'
import { Hub } from '../../src/respond/hub.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import type { Observed } from '../../src/telemetry.ts'
import { AGENT } from '../store/samples.ts'

export const AGENTS: AgentsView = {
  loadedAt: Date.UTC(2026, 0, 5, 8),
  agents: [
    {
      id: AGENT,
      owner: 'finance@corp.example',
      purpose: 'reads invoices',
      environment: 'production',
      state: 'active',
      scopeVersion: '7',
      expires: null,
    },
  ],
}

export interface World {
  api: Api
  store: Store
  hub: Hub
  directory: string
  /** The first administrator's. */
  token: string
  /** Lines of the log. */
  said: { level: string; message: string; fields: Readonly<Record<string, unknown>> | undefined }[]
  observed: Set<Observed>
  get(path: string, init?: RequestInit): Promise<Response>
  /** After `api.close()`: the same again, as after a restart, with a hub that remembers nothing. */
  restart(port: number): Promise<void>
  close(): Promise<void>
}

/** Starts all of it. What is not given is as in a process that has nothing to do yet. */
export async function openWorld(
  settings: Partial<ApiSettings> = {},
  parts: Partial<ApiParts> = {},
): Promise<World> {
  const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-api-'))
  const store = await openStore({ kind: 'temporary' })
  const hub = new Hub(() => {})
  const said: World['said'] = []
  const observed = new Set<Observed>()
  const start = (port: number, hub: Hub) =>
    startApi(
      {
        listen: { host: '127.0.0.1', port },
        name: 'serve',
        version: '0.0.0',
        directory,
        hosts: [],
        proxy: { said: false, addresses: [] },
        ...settings,
      },
      {
        store,
        hub,
        agents: () => AGENTS,
        observed,
        log: (level, message, fields) => said.push({ level, message, fields }),
        ...parts,
      },
    )
  const api = await start(0, hub)
  const token = readFileSync(path.join(directory, 'token'), 'utf8').trim()
  const world: World = {
    ...{ api, store, hub, directory, token, said, observed },
    get: (where, init = {}) =>
      fetch(`${world.api.address}${where}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, ...init.headers },
      }),
    restart: async (port) => {
      world.hub = new Hub(() => {})
      world.api = await start(port, world.hub)
    },
    close: async () => {
      await world.api.close()
      await store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return world
}
