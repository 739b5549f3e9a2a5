// A command line that asks a running API, for tests of the commands that do.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import type { World } from '../api/world.ts'
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
