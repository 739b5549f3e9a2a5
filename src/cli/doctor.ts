// `bailiwick doctor`: is everything here that a run needs? Each check says ok, warn or fail, and the cure.

import { access, constants, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import path from 'node:path'
import type { Command } from 'commander'
import { printableJson } from '../wire-text.ts'
import type { CommandParts } from './program.ts'
import { sizeWords } from './progress.ts'
import type { Colours } from './terminal.ts'
import { renderTable } from './text-table.ts'

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

/** The engine's shared library: where its package lies, and how large it is. */
async function checkEngine(): Promise<Check> {
  const name = 'embedded store'
  const cure =
    'run npm ci without --omit=optional on Linux (glibc) or macOS, or use --store http://…'
  try {
    const require = createRequire(import.meta.url)
    const home = path.dirname(require.resolve('chdb/package.json'))
    await import('chdb')
    const size = await librarySize(path.join(home, '..', '@chdb'))
    return ok(name, `chdb loads${size > 0 ? `, its engine is ${sizeWords(size)}` : ''}`)
  } catch (error) {
    return { name, state: 'fail', found: `chdb does not load: ${String(error)}`, cure }
  }
}

async function librarySize(directory: string): Promise<number> {
  let size = 0
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

export async function runChecks(): Promise<Check[]> {
  const checks = [checkNode(), checkMachine(), await checkEngine()]
  checks.push(await checkSpace('temporary store', tmpdir(), FREE_BYTES_MIN))
  return checks
}

export function checksText(checks: readonly Check[], colours: Colours): string {
  const paint = { ok: colours.green, warn: colours.yellow, fail: colours.red }
  return renderTable(
    [{ title: '' }, { title: 'check' }, { title: 'found' }, { title: 'cure' }],
    checks.map((check) => [paint[check.state](check.state), check.name, check.found, check.cure]),
    colours,
  )
}

export function addDoctorCommand(program: Command, parts: CommandParts): void {
  program
    .command('doctor')
    .summary('check that this machine has what a run needs')
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (options: { json: boolean }) => {
      const terminal = parts.terminal()
      const checks = await runChecks()
      await terminal.out.write(
        options.json
          ? `${printableJson({ schema: 'bailiwick.doctor/v1', checks })}\n`
          : checksText(checks, terminal.colours),
      )
      for (const check of checks)
        if (check.state === 'fail')
          parts.causes.push({ code: 4, words: `${check.name}: ${check.found}; ${check.cure}` })
    })
}
