// The whole job on files: decode, attribute, judge, store, report. It sends nothing to anybody.

import { randomInt } from 'node:crypto'
import { readAgentEndpoints, readAgentFiles } from './agent-files.ts'
import { decodeChunk } from './chunk.ts'
import { loadAgents } from './identity/agent-files.ts'
import { loadEndpoints } from './identity/endpoint-file.ts'
import { formatProblem, type Problem } from './identity/yaml-file.ts'
import { PIPELINE_LIMITS, runPipeline } from './pipeline.ts'
import { type Report, type ReportInput, reportInput } from './report.ts'
import { buildReport } from './report-build.ts'
import type { Progress, SensorEvent, SensorSettings } from './sensor.ts'
import { compileSnapshot, openSnapshot, shareSnapshot } from './snapshot.ts'
import { steadfast } from './store/steadfast.ts'
import { openStore } from './store/store.ts'
import type { StoreTarget } from './store/store-target.ts'
import { startThreads } from './threads.ts'

export interface ReplayOptions {
  paths: readonly string[]
  /** Directories of agent files, or single files. */
  agents: readonly string[]
  store: StoreTarget
  sensor: Omit<SensorSettings, 'hashSeed'>
  /** Worker threads that judge. */
  threads: number
  version: string
  progress: (at: Progress) => void
  /** Wall clock in seconds, for timings. */
  now: () => number
  signal: AbortSignal
}

/** Agent files that cannot be used as they are; nothing was judged. */
export class AgentProblemsError extends Error {
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super(`${problems.length} mistakes in the agent files`)
    this.name = 'AgentProblemsError'
    this.problems = problems
  }
}

/**
 * Replays the paths and reports on them.
 * @throws AgentFilesError, AgentProblemsError, StoreTargetError, another StoreError, or the signal's reason when it is aborted.
 */
export async function runReplay(options: ReplayOptions): Promise<Report> {
  const started = options.now()
  const parts: Record<string, number> = {}
  const loaded = await loadScopes(options.agents)
  const opened = await openStore(options.store)
  await using store = disposable(steadfast(opened, options.signal))
  parts.open = options.now() - started

  const threads = startThreads(options.threads)
  try {
    const inputs: ReportInput[] = []
    const snapshot = shareSnapshot(loaded.bytes)
    const { hash } = openSnapshot(loaded.bytes)
    const settings = { ...options.sensor, hashSeed: randomSeed() }
    const result = await runPipeline({
      chunks: chunksOf(threads.decode(options.paths, settings, options.progress), inputs),
      analyze: (chunk, ruling) => threads.analyze({ chunk, snapshot, snapshotHash: hash, ruling }),
      store,
      judgedKey: hash,
      limits: PIPELINE_LIMITS,
      signal: options.signal,
    })
    parts.judge = options.now() - started - (parts.open ?? 0)
    const report = await buildReport({
      store,
      result,
      inputs,
      snapshot: openSnapshot(loaded.bytes),
      warnings: loaded.warnings,
      version: options.version,
    })
    const total = options.now() - started
    parts.report = total - (parts.open ?? 0) - (parts.judge ?? 0)
    return { ...report, timings: { total_seconds: total, parts } }
  } finally {
    await threads.close()
  }
}

function disposable<T extends { close(): Promise<void> }>(thing: T): T & AsyncDisposable {
  return Object.assign(thing, { [Symbol.asyncDispose]: () => thing.close() })
}

/**
 * What agents declared and the endpoints they talk to, compiled.
 * @throws AgentFilesError, AgentProblemsError
 */
export async function loadScopes(
  paths: readonly string[],
): Promise<{ bytes: Uint8Array<ArrayBuffer>; warnings: string[] }> {
  const { agents, problems } = loadAgents(await readAgentFiles(paths))
  const errors = problems.filter((problem) => problem.severity === 'error')
  if (errors.length > 0) throw new AgentProblemsError(errors)
  const endpoints = loadEndpoints(await readAgentEndpoints())
  if (endpoints.problems.length > 0) throw new AgentProblemsError(endpoints.problems)
  return {
    bytes: compileSnapshot(agents, endpoints.endpoints),
    warnings: problems.map(formatProblem),
  }
}

/** Secret of this process's hash tables: nobody can make packets that collide in them. */
export function randomSeed(): Int32Array {
  return Int32Array.from({ length: 4 }, () => randomInt(0x1_0000_0000) | 0)
}

/** The chunks among the events; the inputs that are over are noted on the way. */
async function* chunksOf(
  events: AsyncGenerator<SensorEvent, void, void>,
  inputs: ReportInput[],
): AsyncGenerator<Uint8Array, void, void> {
  let records = 0
  for await (const event of events) {
    if (event.type === 'chunk') {
      for (const part of decodeChunk(event.chunk).header.parts)
        if (part.table === 'flow_records') records += part.rows
      yield event.chunk
    } else {
      inputs.push(reportInput(event, records))
      records = 0
    }
  }
}
