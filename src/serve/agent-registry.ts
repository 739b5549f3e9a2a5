// Agent files as they are used now, and used again when they change. Editors rename, delete and write halves: a change
// counts when nothing has moved for a moment, before and after it was read. Files with a mistake change nothing; what
// held before holds on, and it is said.

import { stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AgentFilesError } from '../agent-files.ts'
import type { AgentsView } from '../api/parts.ts'
import { formatProblem } from '../identity/yaml-file.ts'
import { findFiles } from '../inputs.ts'
import { AgentProblemsError, loadScopes } from '../replay.ts'
import { DirectoryWatch } from '../ship/watch.ts'
import { openSnapshot, shareSnapshot } from '../snapshot.ts'
import {
  counter,
  gauge,
  type Log,
  type Observed,
  type Readiness,
  type Sample,
} from '../telemetry.ts'
import type { Scopes } from '../work/judging.ts'
import { isDirectory } from './data-directory.ts'

/** Nothing may have moved for so long. */
const SETTLE_MILLIS = 200
/** Where the kernel says nothing of changes (network file systems), they are seen after this. */
const LOOK_MILLIS = 2000
/** Looking may take a fiftieth of the time. */
const REST = 50
/** Mistakes and warnings that are told at once. */
const TOLD_MAX = 20

export interface RegistryOptions {
  log: Log
  settleMillis?: number
  lookMillis?: number
}

/** What the files looked like, without having read them. */
interface Look {
  /** Names, sizes and times of all of them. */
  text: string
  directories: string[]
}

type Loaded = Awaited<ReturnType<typeof loadScopes>>

export class AgentRegistry implements Observed {
  readonly #paths: readonly string[]
  readonly #log: Log
  readonly #settleMillis: number
  readonly #lookMillis: number
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  /** How the files looked when they were last read, whatever came of it. */
  #seen: string
  #scopes!: Scopes
  #view!: AgentsView
  #reloads = 0
  #refusals = 0

  /**
   * Reads the files, and goes on watching them.
   * @param paths directories or files
   * @throws AgentFilesError, AgentProblemsError
   */
  static async open(paths: readonly string[], options: RegistryOptions): Promise<AgentRegistry> {
    const before = await look(paths)
    return new AgentRegistry(paths, options, before.text, await loadScopes(paths))
  }

  private constructor(
    paths: readonly string[],
    options: RegistryOptions,
    seen: string,
    loaded: Loaded,
  ) {
    this.#paths = paths
    this.#log = options.log
    this.#settleMillis = options.settleMillis ?? SETTLE_MILLIS
    this.#lookMillis = options.lookMillis ?? LOOK_MILLIS
    this.#seen = seen
    this.#use(loaded)
    this.#running = this.#watch()
  }

  /** What judges now. */
  readonly scopes = (): Scopes => this.#scopes

  /** The same for people. */
  readonly view = (): AgentsView => this.#view

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  readiness(): Readiness {
    const { problem } = this.#view
    const reason = problem === undefined ? '' : `agent files: ${problem}`
    // What held before holds on: work goes on, and it is said.
    return problem === undefined
      ? { ready: true, reason }
      : { ready: true, reason, warning: reason }
  }

  samples(): Sample[] {
    const reloads = (result: string, value: number): Sample => ({
      ...counter('agent_reloads_total', 'Changes of agent files, by what became of them', value),
      labels: { result },
    })
    const { problem, agents, loadedAt } = this.#view
    return [
      reloads('used', this.#reloads),
      reloads('refused', this.#refusals),
      gauge('agent_files_broken', '1 while the last change is not used', problem ? 1 : 0),
      gauge('agents_registered', 'Agents that are known', agents.length),
      gauge('agents_loaded_seconds', 'When they were read, since 1970', loadedAt / 1000),
    ]
  }

  async #watch(): Promise<void> {
    const { signal } = this.#ended
    const watch = new DirectoryWatch()
    try {
      while (!signal.aborted) {
        const begun = performance.now()
        const now = await look(this.#paths)
        watch.watch(now.directories)
        const rest = Math.max(this.#lookMillis, REST * (performance.now() - begun))
        if (now.text !== this.#seen) await this.#changed(now.text)
        // While they move they are looked at more often.
        const pause = now.text === this.#seen ? rest : this.#settleMillis
        if (!signal.aborted) await watch.next(pause, signal)
      }
    } finally {
      watch.close()
    }
  }

  /** Reads them once they are at rest; if they moved meanwhile, the next look sees that. */
  async #changed(before: string): Promise<void> {
    const { signal } = this.#ended
    await sleep(this.#settleMillis, undefined, { signal }).catch(() => {})
    if (signal.aborted || (await look(this.#paths)).text !== before) return
    let loaded: Loaded | Error
    try {
      loaded = await loadScopes(this.#paths)
    } catch (error) {
      loaded = error instanceof Error ? error : new Error(String(error))
    }
    if ((await look(this.#paths)).text !== before) return
    this.#seen = before
    if (!(loaded instanceof Error)) {
      this.#reloads++
      this.#use(loaded)
      this.#log('info', 'agent files were read again', {
        agents: this.#view.agents.length,
        scopes: this.#scopes.hash.slice(0, 16),
      })
    } else this.#refuse(loaded)
  }

  #use({ bytes, warnings }: Loaded): void {
    const { hash, agents } = openSnapshot(bytes)
    // The same declared anew is the same ruling.
    if (this.#scopes?.hash !== hash) this.#scopes = { bytes: shareSnapshot(bytes), hash }
    this.#view = {
      loadedAt: Date.now(),
      agents: agents.map(({ id, owner, purpose, environment, state, scope }) => {
        const { version: scopeVersion, expires } = scope
        return { id, owner, purpose, environment, state, scopeVersion, expires }
      }),
    }
    for (const warning of warnings.slice(0, TOLD_MAX)) this.#log('warn', warning)
  }

  #refuse(error: Error): void {
    const mistakes =
      error instanceof AgentProblemsError
        ? error.problems.filter(({ severity }) => severity === 'error').map(formatProblem)
        : [error.message]
    const more = mistakes.length > 1 ? ` (and ${mistakes.length - 1} more)` : ''
    const known = error instanceof AgentProblemsError || error instanceof AgentFilesError
    this.#refusals++
    this.#view = { ...this.#view, problem: `${mistakes[0]}${more}` }
    this.#log(
      'error',
      'agent files were changed and cannot be used: what held before holds on until they are mended',
      { mistakes: mistakes.slice(0, TOLD_MAX), ...(known ? {} : { err: error }) },
    )
  }
}

async function look(paths: readonly string[]): Promise<Look> {
  const { files, problems } = await findFiles(paths)
  const directories = new Set<string>()
  for (const given of paths)
    directories.add((await isDirectory(given)) ? given : path.dirname(given))
  const lines = problems.map(({ source, message }) => `${source}: ${message}`)
  for (const { source } of files) {
    if (!/\.ya?ml$/.test(source)) continue
    directories.add(path.dirname(source))
    const info = await stat(source).catch(() => undefined)
    const { ino = 0, size = 0, mtimeMs = 0, ctimeMs = 0 } = info ?? {}
    lines.push([source, ino, size, mtimeMs, ctimeMs].join(' '))
  }
  return { text: lines.join('\n'), directories: [...directories] }
}
