// `bailiwick replay`: the whole job on files. Prints the report, compares it with what was expected, and exits so
// that CI can tell.

import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { VERDICTS, type Verdict } from '../flow.ts'
import { meant } from '../identity/yaml-file.ts'
import { explainFileError } from '../inputs.ts'
import { AgentProblemsError, runReplay } from '../replay.ts'
import type { Report } from '../report.ts'
import type { StoreTarget } from '../store/store-target.ts'
import { printableJson } from '../wire-text.ts'
import { tellProblems } from './agent-directory.ts'
import { addSettingsOptions, settingsOf, storeTargetOf } from './bus-options.ts'
import { type ExitCause, usageError } from './exit.ts'
import { checkExpectation, type ExpectedCase } from './expect.ts'
import { type Expectation, readExpectation } from './expectation.ts'
import { addSensorOptions, type SensorOptions, sensorSettings } from './flows.ts'
import { inputCause } from './inputs-told.ts'
import type { CommandParts } from './program.ts'
import { startProgress } from './progress.ts'
import { junitReport } from './report-junit.ts'
import { expectationText, reportText } from './report-text.ts'
import type { Terminal } from './terminal.ts'
import { count } from './text-table.ts'
import { packageVersion } from './version.ts'

interface ReplayCommandOptions extends SensorOptions {
  agents: string[]
  store?: string
  config?: string
  expect?: string
  json: boolean
  junit?: string
  failOn: Verdict[]
}

/** More threads than this wait for the one that decodes. */
const THREADS_MAX = 8

const EXAMPLES = `Examples:
  bailiwick replay capture.pcap --agents agents/
  bailiwick replay captures/ --agents agents/ --expect expected.yaml --junit report.xml
  bailiwick replay vpc-logs/ --agents agents/ --fail-on out_of_scope,unregistered --json > report.json
  bailiwick replay capture.pcap --agents agents/ --store bailiwick-data    keep what was found
`

const collect = (value: string, before: string[] | undefined): string[] => [
  ...(before ?? []),
  value,
]

/** Verdicts from `a,b`, added to those of options before. */
export function parseVerdicts(text: string, before: readonly Verdict[] = []): Verdict[] {
  const verdicts = text.split(',').map((piece): Verdict => {
    const word = piece.trim()
    const verdict = VERDICTS.find((one) => one === word)
    if (verdict === undefined)
      throw usageError(
        `--fail-on: ${word || 'nothing'} is no verdict${meant(word, VERDICTS)}; they are ${VERDICTS.join(', ')}`,
      )
    return verdict
  })
  return [...before, ...verdicts]
}

export function addReplayCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('replay')
    .summary('judge captures and logs against what agents declared')
    .description(
      'Decodes captures, cloud flow logs and Zeek logs, finds the agent behind each flow, judges it against the scope of that agent, and prints a report. Sends nothing to anybody.',
    )
    .addHelpText('before', EXAMPLES)
    .argument('<path...>', 'files, directories, or - for standard input; gzip is undone')
    .requiredOption(
      '--agents <dir>',
      'agent files, one YAML file each; may be given again',
      collect,
    )
    .option(
      '--store <dir|url>',
      'keep everything in this directory or ClickHouse server; its password from BAILIWICK_STORE_PASSWORD or a file',
    )
    .option('--expect <file>', 'what is expected, as YAML or JSON; exit 1 if it is otherwise')
    .option('--json', 'the report as one JSON object', false)
    .option('--junit <file>', 'also write the report as JUnit XML')
    .option(
      '--fail-on <verdicts>',
      'exit 1 if there is such a judgement; comma-separated',
      parseVerdicts,
      [],
    )
  addSettingsOptions(addSensorOptions(command), []).action(
    async (paths: string[], options: ReplayCommandOptions) => {
      const terminal = parts.terminal()
      const expected =
        options.expect === undefined ? undefined : await readExpected(options.expect, parts)
      if (options.expect !== undefined && expected === undefined) return
      const report = await replayed(paths, options, parts)
      if (report === undefined) return
      const cases = expected === undefined ? undefined : checkExpectation(expected, report)
      await printReport(report, cases, options.json, terminal)
      if (options.junit !== undefined) await writeJunit(options.junit, report, cases)
      parts.causes.push(...reportCauses(report, cases, options.failOn))
    },
  )
}

/** Reads the expectation; undefined, with the mistakes told, if there are any. */
async function readExpected(path: string, parts: CommandParts): Promise<Expectation | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw usageError(`--expect ${path}: ${explainFileError(error)}`)
  }
  const { expectation, problems } = readExpectation({ path, text })
  if (problems.length === 0) return expectation
  await tellProblems(problems, parts.terminal())
  parts.causes.push({
    code: 2,
    words: `${count(problems.length, 'mistake')} in ${path}: nothing was replayed`,
  })
  return undefined
}

/** Runs the replay; undefined, with the mistakes told, if the agent files have any. */
async function replayed(
  paths: readonly string[],
  options: ReplayCommandOptions,
  parts: CommandParts,
): Promise<Report | undefined> {
  const terminal = parts.terminal()
  const progress = startProgress(terminal, true, () => performance.now())
  try {
    return await runReplay({
      paths,
      agents: options.agents,
      store: await storeOf(options, parts),
      sensor: sensorSettings(options),
      threads: Math.min(THREADS_MAX, Math.max(1, availableParallelism() - 1)),
      version: packageVersion(),
      progress: progress.at,
      now: () => performance.now() / 1000,
      signal: parts.signal,
    })
  } catch (error) {
    progress.stop()
    if (parts.signal.aborted || !(error instanceof AgentProblemsError)) throw error
    parts.causes.push(...(await tellProblems(error.problems, terminal)))
    return undefined
  } finally {
    progress.stop()
  }
}

/** Settings say how a server is entered, never which: what is not asked for is kept nowhere. */
async function storeOf(options: ReplayCommandOptions, parts: CommandParts): Promise<StoreTarget> {
  if (options.store === undefined) return { kind: 'temporary' }
  return storeTargetOf(await settingsOf({ store: options.store, config: options.config }, parts))
}

async function printReport(
  report: Report,
  cases: readonly ExpectedCase[] | undefined,
  json: boolean,
  terminal: Terminal,
): Promise<void> {
  const told = cases === undefined ? '' : expectationText(cases, terminal)
  if (json) {
    const expectations = cases?.map(({ agent, name, mismatch }) => ({
      agent,
      name,
      met: mismatch.length === 0,
      mismatch,
    }))
    const whole = expectations === undefined ? report : { ...report, expectations }
    await terminal.out.write(`${printableJson(whole)}\n`)
    if (cases?.some(({ mismatch }) => mismatch.length > 0) === true)
      await terminal.err.write(
        expectationText(cases, { ...terminal, colours: terminal.errColours }),
      )
  } else await terminal.out.write(reportText(report, terminal) + (told === '' ? '' : `\n${told}`))
}

async function writeJunit(
  path: string,
  report: Report,
  cases: readonly ExpectedCase[] | undefined,
): Promise<void> {
  try {
    await writeFile(path, junitReport(report, cases))
  } catch (error) {
    throw usageError(`--junit ${path}: ${explainFileError(error)}`)
  }
}

/** Why a replayed report is not simply a success. */
export function reportCauses(
  report: Report,
  cases: readonly ExpectedCase[] | undefined,
  failOn: readonly Verdict[],
): ExitCause[] {
  const causes = report.inputs.map(inputCause).filter((cause) => cause !== undefined)
  for (const verdict of new Set(failOn)) {
    const number = report.verdicts[verdict]
    if (number > 0)
      causes.push({
        code: 1,
        words: `${count(number, 'judgement')} ${verdict} (--fail-on ${verdict})`,
      })
  }
  const unmet = (cases ?? []).filter(({ mismatch }) => mismatch.length > 0).length
  if (unmet > 0)
    causes.push({ code: 1, words: `${unmet} of ${count(cases!.length, 'expectation')} not met` })
  return causes
}
