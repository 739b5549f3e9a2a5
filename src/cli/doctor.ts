// `bailiwick doctor`: is everything here that a run needs? Each check says ok, warn or fail, and the cure.

import { access, constants, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import type { Settings } from '../settings.ts'
import { openStore } from '../store/store.ts'
import { type StoreTarget, targetAddress } from '../store/store-target.ts'
import { printable, printableJson } from '../wire-text.ts'
import { addSettingsOptions, settingsOf, storeTargetOf } from './bus-options.ts'
import { type Check, fail, failed, ok, warn } from './check.ts'
import { checkAudit } from './doctor-audit.ts'
import { checkCapture } from './doctor-capture.ts'
import { checkKafka } from './doctor-kafka.ts'
import { checkRespond } from './doctor-respond.ts'
import { checkServer } from './doctor-server.ts'
import type { CommandParts } from './program.ts'
import { sizeWords } from './progress.ts'
import type { Colours } from './terminal.ts'
import { renderTable } from './text-table.ts'
import { packageUrl } from './version.ts'

/** Space that an embedded store of a large capture may take. */
const FREE_BYTES_MIN = 2e9
const MEMORY_BYTES_MIN = 2e9

function checkNode(): Check {
  const found = `node ${process.versions.node}`
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  return major > 20 || (major === 20 && minor >= 20)
    ? ok('node', found)
    : fail('node', found, 'install Node 20.20.2 or later')
}

function checkMachine(): Check {
  const memory = totalmem()
  const found = `${availableParallelism()} processors, ${sizeWords(memory)} of memory`
  return memory >= MEMORY_BYTES_MIN
    ? ok('machine', found)
    : warn('machine', found, 'the embedded store wants 2 GB; use a server with --store http://…')
}

/** The engine is not described but tried: a store is opened, and closed again. A server's schema stays as it is. */
async function checkStore(name: string, target: StoreTarget): Promise<Check[]> {
  try {
    const store = await openStore(target, { schema: target.kind === 'server' ? 'check' : 'apply' })
    const audit = target.kind === 'temporary' ? [] : [await checkAudit(store)]
    await store.close()
    const engine = target.kind === 'server' ? 0 : await librarySize()
    const size = engine > 0 ? `; its engine takes ${sizeWords(engine)} on disk` : ''
    return [ok(name, `${targetAddress(target)} opens${size}`), ...audit]
  } catch (error) {
    const check = failed(name, error)
    if (target.kind === 'temporary')
      check.cure =
        'run npm ci without --omit=optional on Linux (glibc) or macOS, or use --store http://…'
    return [check]
  }
}

/** Clocks further apart than this put flows into the wrong hour, and leases on the wrong side of a flow. */
const CLOCK_SECONDS_MAX = 5

/** Compares clocks by the date that a server's answer carries; nothing if it carries none. */
async function checkClock({ url }: Extract<StoreTarget, { kind: 'server' }>): Promise<Check[]> {
  const name = 'clock'
  const asked = Date.now()
  const answer = await fetch(`${url}/ping`, { signal: AbortSignal.timeout(5000) }).catch(
    () => undefined,
  )
  const theirs = Date.parse(answer?.headers.get('date') ?? '')
  if (Number.isNaN(theirs)) return []
  // The date has whole seconds; the answer was written somewhere between question and now.
  const apart = Math.abs(theirs + 500 - (asked + Date.now()) / 2) / 1000
  const found = `${apart < 1.5 ? 'less than 2' : Math.round(apart)} s apart from the store's`
  return [
    apart <= CLOCK_SECONDS_MAX
      ? ok(name, found)
      : warn(name, found, 'let NTP set the clocks of this machine and of the store'),
  ]
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
      : warn(name, found, `free ${sizeWords(need)}, or set TMPDIR`)
  } catch (error) {
    const cure = 'set TMPDIR to a directory that can be written'
    return fail(name, `${directory}: ${String(error)}`, cure)
  }
}

/** All checks; Kafka and the store of the settings only where they are named. */
export async function runChecks(
  settings: Settings,
  signal = new AbortController().signal,
): Promise<Check[]> {
  const checks = [
    checkNode(),
    checkMachine(),
    await checkSpace('temporary space', tmpdir(), FREE_BYTES_MIN),
  ]
  // One process holds one embedded store at a time: the one that is asked for is tried alone.
  const named = settings.store !== undefined
  const target: StoreTarget = named ? storeTargetOf(settings) : { kind: 'temporary' }
  checks.push(...(await checkStore(named ? 'store' : 'embedded store', target)))
  if (target.kind === 'server') checks.push(...(await checkClock(target)))
  checks.push(...(await checkKafka(settings)))
  checks.push(...(await checkCapture(settings)))
  checks.push(...(await checkServer(settings, signal)))
  checks.push(...(await checkRespond(settings, signal)))
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

const EXAMPLES = `Examples:
  bailiwick doctor                                        this machine, and the process that has ./bailiwick-data
  bailiwick doctor --live eth0                            captures for a moment: with what, or why not
  bailiwick doctor --config bailiwick.yaml                also the store, Kafka, webhooks and secrets that it names
  bailiwick doctor --api http://127.0.0.1:7651 --token-file token --json
`

export function addDoctorCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('doctor')
    .summary('check that this machine has what a run needs')
    .addHelpText('before', EXAMPLES)
    .description(
      'Checks this machine, what it can capture with and, where the settings name them, interfaces, the store, Kafka, webhooks and the process that has the data directory: the way there, the rights, the topics, the workers. Exit 4 if something fails.',
    )
  addSettingsOptions(command, [
    ...['kafka.brokers', 'store', 'worker.group'],
    ...['serve.data', 'api.address', 'api.token_file'],
    ...['live.interfaces', 'live.filter', 'live.backend'],
  ])
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (options: { json: boolean }) => {
      const terminal = parts.terminal()
      const checks = await runChecks(await settingsOf({ ...options }, parts), parts.signal)
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
