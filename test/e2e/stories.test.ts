// The bundled stories through the whole pipeline: all of them in one run, and what one run cannot show.
// stories.long.test.ts runs each on its own.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { together } from '../../fixtures/expectation.ts'
import { tellAll } from '../../fixtures/generate.ts'
import { checkExpectation } from '../../src/cli/expect.ts'
import { readExpectation } from '../../src/cli/expectation.ts'
import { expected, FIXTURES, RUN_MILLIS_MAX, type Run, replay, replayCase } from './replaying.ts'

const names = tellAll().map(({ name }) => name)
const temporary = mkdtempSync(join(tmpdir(), 'bailiwick-stories-'))

afterAll(() => {
  rmSync(temporary, { recursive: true, force: true })
})

describe('all stories in one run, with the agents of all', () => {
  const whole = together(names.map(expected))
  let run: Run

  beforeAll(async () => {
    const file = join(temporary, 'all.json')
    writeFileSync(file, JSON.stringify(whole))
    const inputs = names.map((name) => join(FIXTURES, name, 'input'))
    run = await replay(...inputs, '--agents', FIXTURES, '--expect', file)
  }, RUN_MILLIS_MAX)

  test('every expectation of every story is met', () => {
    expect(run, run.told).toMatchObject({ code: 0 })
    expect(run.report.verdicts).toEqual(whole.verdicts)
  })

  test.each(names)('%s: its agents are found doing what its author says', (name) => {
    const text = JSON.stringify({ agents: expected(name).agents })
    const { expectation, problems } = readExpectation({ path: 'expected.json', text })
    expect(problems).toEqual([])
    const missed = checkExpectation(expectation!, run.report).filter(
      ({ mismatch }) => mismatch.length > 0,
    )
    expect(missed).toEqual([])
  })

  test.each([
    ['10.6.0.50', 'shared'],
    ['10.10.0.11', 'contested'],
  ])('what both owners of %s may not do is found, with the weak grade %s', (address, grade) => {
    const found = run.report.findings.filter(({ flow }) => flow.orig_h === address)
    expect(found).toMatchObject([{ verdict: 'out_of_scope', grade }])
  })
})

describe('told-three-times', () => {
  const runs = new Map<string, Run>()

  test.each(['pcap', 'vpc', 'zeek'])(
    'as %s it is judged as far as that evidence goes',
    async (telling) => {
      const run = await replayCase(
        'told-three-times',
        `input/${telling}`,
        `expected.${telling}.json`,
      )
      expect(run, run.told).toMatchObject({ code: 0 })
      runs.set(telling, run)
    },
    RUN_MILLIS_MAX,
  )

  test('what all three can see is one alert, whoever tells of it', () => {
    const ids = [...runs.values()].map(({ report }) =>
      report.alerts
        .filter(({ port }) => port === 5432)
        .map(({ alert_id }) => alert_id)
        .sort(),
    )
    expect(ids[0]).toHaveLength(3)
    expect(ids).toEqual([ids[0], ids[0], ids[0]])
  })
})

test(
  'a cut capture: what came before the cut is judged, and the exit code says that something is missing',
  async () => {
    const name = 'document-exfiltration'
    const whole = readFileSync(join(FIXTURES, name, 'input', `${name}.pcap`))
    const cut = join(temporary, 'cut.pcap')
    // In the middle of the last upload: its name was seen long before.
    writeFileSync(cut, whole.subarray(0, whole.length - 9_000))
    const at = join(FIXTURES, name)
    const run = await replay(
      cut,
      '--agents',
      join(at, 'agents'),
      '--expect',
      join(at, 'expected.json'),
    )
    expect(run, run.told).toMatchObject({ code: 3 })
    expect(run.report.verdicts).toEqual(expected(name).verdicts)
    expect(run.report.inputs).toMatchObject([{ state: 'damaged' }])
  },
  RUN_MILLIS_MAX,
)

test.each([
  ['two-agents', 1],
  ['day-of-work', 0],
])(
  '%s with --fail-on out_of_scope exits %i',
  async (name, code) => {
    const at = join(FIXTURES, name)
    const agents = join(at, 'agents')
    const run = await replay(join(at, 'input'), '--agents', agents, '--fail-on', 'out_of_scope')
    expect(run, run.told).toMatchObject({ code })
  },
  RUN_MILLIS_MAX,
)
