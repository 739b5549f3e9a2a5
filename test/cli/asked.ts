// A command line that asks a running API, for tests of the commands that do.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import type { Slice } from '../../src/store/store.ts'
import type { World } from '../api/world.ts'
import { judged, sampleChunk } from '../store/samples.ts'
import { Memory } from './heard.ts'

export interface Ran {
  code: number
  out: string
  err: string
}

/** Runs a command line without colours; `env` holds variables of bailiwick. */
export async function bailiwick(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const [stdout, stderr] = [new Memory(), new Memory()]
  const { signal } = new AbortController()
  const code = await run([...args], { stdout, stderr, environment: readEnvironment(env), signal })
  return { code, out: stdout.text, err: stderr.text }
}

/** As `bailiwick`, of a command that goes on until it is told to end. */
export function bailiwickUntil(args: readonly string[]): {
  stdout: Memory
  stderr: Memory
  end: () => Promise<number>
} {
  const [stdout, stderr] = [new Memory(), new Memory()]
  const ended = new AbortController()
  const environment = readEnvironment({})
  const code = run([...args], { stdout, stderr, environment, signal: ended.signal })
  return {
    stdout,
    stderr,
    end: () => {
      ended.abort()
      return code
    },
  }
}

/** Writes what a server writes into its data directory: where it answers, and who it is. */
export function writeNote(world: World, pid = process.pid): void {
  const note = { address: world.api.address, pid, started: Date.now(), version: '0.0.0' }
  writeFileSync(path.join(world.directory, 'serve.json'), JSON.stringify(note), { mode: 0o600 })
}

/** A slice with one alert in it, `stored`, whose only flow began at `ts` (microseconds). */
export function storedAlert(ts: number): Slice {
  const flow = { name: 'post', ts, server_name: 'paste.example.net', orig_bytes: 90_000 }
  const ruled = { name: 'post', ts, verdict: 'out_of_scope' as const, score: 77 }
  return {
    key: 'tap1/alerts:0-0',
    chunks: [
      judged(sampleChunk({ origin: 'tap1/alerts', flows: [flow] }), [
        { ...ruled, destination: 'paste.example.net', alert: 'stored', sentence: 'it was posted' },
      ]),
    ],
  }
}

/** The UUIDs of a text. */
export function idsIn(text: string): string[] {
  return text.match(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g) ?? []
}
