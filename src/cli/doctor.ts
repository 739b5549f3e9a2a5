// `bailiwick doctor`: is everything here that a run needs? Each check says ok, warn or fail, and the cure.

import { access, constants, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { openStore } from '../store/store.ts'
import { parseStoreTarget, type StoreTarget, targetAddress } from '../store/store-target.ts'
import { printable, printableJson } from '../wire-text.ts'
import type { CommandParts } from './program.ts'
import { sizeWords } from './progress.ts'
import type { Colours } from './terminal.ts'
import { renderTable } from './text-table.ts'
import { packageUrl } from './version.ts'

export interface Check {
  name: string
  state: 'ok' | 'warn' | 'fail'
  /** What was found. */
  found: string
  /** What to do; '' if nothing. */
  cure: string
}

const ok = (name: string, found: string): Check => ({ name, state: 'ok', found, cure: '' })

/** Space that an embedded store of a large capture may take. */
const FREE_BYTES_MIN = 2e9
const MEMORY_BYTES_MIN = 2e9

function checkNode(): Check {
  const found = `node ${process.versions.node}`
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  return major > 20 || (major === 20 && minor >= 20)
    ? ok('node', found)
    : { name: 'node', state: 'fail', found, cure: 'install Node 20.20.2 or later' }
}

function checkMachine(): Check {
  const memory = totalmem()
  const found = `${availableParallelism()} processors, ${sizeWords(memory)} of memory`
  return memory >= MEMORY_BYTES_MIN
    ? ok('machine', found)
    : {
        name: 'machine',
        state: 'warn',
        found,
        cure: 'the embedded store wants 2 GB; use a server with --store http://…',
      }
}

/** The engine is not described but tried: a store is opened, and closed again. */
async function checkStore(name: string, target: StoreTarget): Promise<Check> {
  try {
    const store = await openStore(target)
    await store.close()
    const engine = target.kind === 'server' ? 0 : await librarySize()
    const size = engine > 0 ? `; its engine takes ${sizeWords(engine)} on disk` : ''
    return ok(name, `${targetAddress(target)} opens${size}`)
  } catch (error) {
    const cure =
      target.kind === 'temporary'
        ? 'run npm ci without --omit=optional on Linux (glibc) or macOS, or use --store http://…'
        : ''
    return {
      name,
      state: 'fail',
      found: error instanceof Error ? error.message : String(error),
      cure,
    }
  }
}

/** Bytes of the embedded engine's shared library, 0 if it lies elsewhere than npm puts it. */
async function librarySize(): Promise<number> {
  let size = 0
  const directory = fileURLToPath(packageUrl('node_modules/@chdb'))
  const names = await readdir(directory, { recursive: true }).catch(() => [])
  for (const name of names)
    if (/\.(so|dylib|node)$/.test(name)) size += (await stat(path.join(directory, name))).size
  return size
}

async function checkSpace(name: string, directory: string, need: number): Promise<Check> {
  try {
    await access(directory, constants.W_OK)
    const probe = await mkdtemp(path.join(directory, 'bailiwick-doctor-'))
    await rm(probe, { recursive: true })
    const { bavail, bsize } = await statfs(directory)
    const free = bavail * bsize
    const found = `${directory}: ${sizeWords(free)} free`
    return free >= need
      ? ok(name, found)
      : { name, state: 'warn', found, cure: `free ${sizeWords(need)}, or set TMPDIR` }
  } catch (error) {
    return {
      name,
      state: 'fail',
      found: `${directory}: ${String(error)}`,
      cure: 'set TMPDIR to a directory that can be written',
    }
  }
}

/** @param store a directory or URL to try besides the temporary store. */
export async function runChecks(store: string | undefined): Promise<Check[]> {
  const checks = [
    checkNode(),
    checkMachine(),
    await checkSpace('temporary space', tmpdir(), FREE_BYTES_MIN),
  ]
  // One process holds one embedded store at a time: the one that is asked for is tried alone.
  const target = store === undefined ? ({ kind: 'temporary' } as const) : parseStoreTarget(store)
  checks.push(await checkStore(store === undefined ? 'embedded store' : 'store', target))
  return checks
}

export function checksText(checks: readonly Check[], colours: Colours): string {
  const paint = { ok: colours.green, warn: colours.yellow, fail: colours.red }
  return renderTable(
    [{ title: '' }, { title: 'check' }, { title: 'found' }, { title: 'cure' }],
    checks.map((check) => [
      paint[check.state](check.state),
      check.name,
      printable(check.found),
      check.cure,
    ]),
    colours,
  )
}

export function addDoctorCommand(program: Command, parts: CommandParts): void {
  program
    .command('doctor')
    .summary('check that this machine has what a run needs')
    .option('--store <dir|url>', 'try this store instead of a temporary one')
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (options: { json: boolean; store?: string }) => {
      const terminal = parts.terminal()
      const checks = await runChecks(options.store)
      await terminal.out.write(
        options.json
          ? `${printableJson({ schema: 'bailiwick.doctor/v1', checks })}\n`
          : checksText(checks, terminal.colours),
      )
      for (const check of checks)
        if (check.state === 'fail')
          parts.causes.push({
            code: 4,
            words: [check.name, check.found, check.cure].filter(Boolean).join(': '),
          })
    })
}
