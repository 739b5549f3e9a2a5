// The command line as a whole, in this process: what it prints where, and how it ends.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { Memory, RAW_CONTROL } from './heard.ts'

const FIXTURES = path.join(import.meta.dirname, '..', '..', 'fixtures')
const story = (name: string) => ({
  input: path.join(FIXTURES, name, 'input'),
  agents: path.join(FIXTURES, name, 'agents'),
  expected: path.join(FIXTURES, name, 'expected.json'),
})
const DOC = story('document-exfiltration')

let scratch = ''
beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-cli-test-'))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Writes a file below the scratch directory and gives its path. */
function written(name: string, content: string): string {
  const file = path.join(scratch, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
}

async function bailiwick(args: string[], signal = new AbortController().signal) {
  const [stdout, stderr] = [new Memory(), new Memory()]
  const environment = readEnvironment({})
  const code = await run(args, { stdout, stderr, environment, signal })
  return { code, out: stdout.text, err: stderr.text }
}

describe('wrong usage', () => {
  it.each<[args: string[], words: string]>([
    [[], 'no command given'],
    [['flws'], "unknown command 'flws' (Did you mean flows?)"],
    [['flows'], 'nothing to read: give a file, a directory, -, or --live INTERFACE'],
    [['flows', 'x', '--formt', 'csv'], "unknown option '--formt' (Did you mean --format?)"],
    [['doctor', '--agents', 'agents'], "unknown option '--agents' (see bailiwick doctor --help)"],
    [['flows', 'x', '--format', 'xml'], 'Allowed choices are ndjson, csv, zeek'],
    [['flows', 'x', '--local-nets', '10.0.0.0/8,ten'], '--local-nets: ten is no network; write'],
    [['flows', 'x', '--sensor-id', 'a b'], '--sensor-id a b: use up to 63 letters'],
    [['replay', 'x'], "required option '--agents <dir>' not specified"],
    [['replay', 'x', '--agents', 'y', '--fail-on', 'out_of_scop'], '(did you mean out_of_scope?)'],
    [['replay', 'x', '--agents', '/nowhere/agents'], '/nowhere/agents: no such file'],
    [['replay', 'x', '--agents', 'y', '--expect', '/nowhere/e'], '--expect /nowhere/e: no such'],
    [['replay', 'x', '--agents', DOC.agents, '--store', 'ftp://x/'], 'give http://, https://'],
    [['scope', 'check', '/nowhere/agents'], '/nowhere/agents: no such file'],
    [
      ['scope', 'explain', DOC.agents, '--agent', 'x', '--to', 'a:1/tcp'],
      'no agent file declares x',
    ],
  ])('%j', async (args, words) => {
    const { code, out, err } = await bailiwick(args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err.trimEnd().split('\n').at(-1)).toMatch(/^bailiwick: /)
    expect(err).toContain(words)
  })
})

const IN_ORDER =
  'replay serve sensor worker respond api flows alerts revoke webhooks scope agents tokens topics migrate reconcile dlq inspect config audit doctor help'.split(
    ' ',
  )

describe('help', () => {
  it('begins with examples, and lists only what there is', async () => {
    const { code, out } = await bailiwick(['--help'])
    expect(code).toBe(0)
    expect(out.startsWith('Examples:\n  bailiwick replay capture.pcap --agents agents/')).toBe(true)
    const commands = [...out.matchAll(/^ {2}([a-z]+) (?:\[| {2})/gm)].map((match) => match[1])
    // In the order of a life: whole jobs, parts of the pipeline, questions, care.
    expect(commands).toEqual(IN_ORDER.filter((name) => commands.includes(name)))
    expect(commands).toContain('replay')
    expect(commands).toContain('dlq')
  })

  it('tells the version, and what it runs on', async () => {
    const { code, out } = await bailiwick(['--version'])
    expect([code, out]).toEqual([0, expect.stringMatching(/^bailiwick \d+\.\d+\.\d+ \(node 2\d\./)])
  })
})

describe('flows', () => {
  it('prints the flows of a capture', async () => {
    const { code, out, err } = await bailiwick(['flows', DOC.input, '--stats', 'json'])
    expect(code).toBe(0)
    const flows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const source = path.join(DOC.input, 'document-exfiltration.pcap')
    expect(new Set(flows.map((flow) => flow.source))).toEqual(new Set([source]))
    expect(flows.find((flow) => flow.server_name === 'paste.example.net')).toMatchObject({
      'id.orig_h': '10.1.0.11',
      'id.resp_p': 443,
      proto: 'tcp',
      name_source: 'sni',
    })
    expect(JSON.parse(err)).toMatchObject({ source, errors: [] })
  })

  it('merges the two halves of a conversation of a cloud log', async () => {
    const log = path.join(story('told-three-times').input, 'vpc', 'claims-triage.log')
    const flows = (await bailiwick(['flows', log])).out
      .trimEnd()
      .split('\n')
      .map((l) => JSON.parse(l))
    expect(new Set(flows.map((flow) => flow.flow_id)).size).toBe(flows.length)
    expect(flows.some((flow) => flow.orig_pkts > 0 && flow.resp_pkts > 0)).toBe(true)
  })

  it('reads on after what cannot be read, and says each', async () => {
    const foreign = written('note.txt', 'not a capture\n')
    const empty = written('empty.pcap', '')
    const capture = path.join(DOC.input, 'document-exfiltration.pcap')
    const cut = written('cut.pcap', '')
    writeFileSync(cut, readFileSync(capture).subarray(0, 5000))
    const { code, out, err } = await bailiwick(['flows', '/nowhere', foreign, empty, cut])
    expect(code).toBe(3)
    expect(out).toContain('"source":"' + cut)
    const lines = err.trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    for (const [i, words] of [
      '/nowhere: no such file',
      'format not recognised',
      'is empty',
    ].entries())
      expect(lines[i]).toContain(words)
    expect(lines[3]).toMatch(/cut\.pcap: .*; what came before is used$/)
  })

  it('passes over foreign files of a directory', async () => {
    const capture = readFileSync(path.join(DOC.input, 'document-exfiltration.pcap'))
    const directory = path.dirname(written('mixed/README', 'hello\n'))
    writeFileSync(path.join(directory, 'a.pcap'), capture)
    const { code, err } = await bailiwick(['flows', directory])
    expect([code, err]).toEqual([0, ''])
  })

  it('ends by 130 when interrupted', async () => {
    const { code } = await bailiwick(['flows', DOC.input], AbortSignal.abort())
    expect(code).toBe(130)
  })
})

describe('scope and agents', () => {
  const mistaken = () =>
    written(
      'bad/doc.yaml',
      'id: urn:agent:doc\nowner: o\npurpose: p\nenvironment: e\nscope: {egres: []}\n',
    )

  it('points at mistakes', async () => {
    const { code, out, err } = await bailiwick(['scope', 'check', mistaken()])
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/doc\.yaml:5:9: error: unknown key `egres`.*did you mean egress/)
  })

  it('finds the bundled agents sound', async () => {
    const { code, out } = await bailiwick(['scope', 'check', DOC.agents])
    expect([code, out]).toEqual([0, '1 agent in 1 file: sound\n'])
  })

  it('explains an answer rule by rule, and the rule that would change it', async () => {
    const agent = 'spiffe://acme.example/agent/doc-processor'
    const ask = (to: string) =>
      bailiwick(['scope', 'explain', DOC.agents, '--agent', agent, '--to', to])
    const denied = await ask('paste.example.net:443/tcp')
    expect(denied.code).toBe(0)
    expect(denied.out).toMatch(/^out_of_scope by rule default-deny/)
    expect(denied.out).toContain('to allow it:\n  - domain: paste.example.net\n    port: 443\n')
    expect((await ask('api.openai.com:443/tcp')).out).toMatch(/^in_scope by rule /)
  })

  it('lists agents for people and for programs', async () => {
    const table = await bailiwick(['agents', DOC.agents])
    expect(table.out).toMatch(/doc-processor +documents-team@acme\.example/)
    const { agents } = JSON.parse((await bailiwick(['agents', DOC.agents, '--json'])).out)
    expect(agents).toMatchObject([{ owner: 'documents-team@acme.example', state: 'active' }])
  })
})

describe('replay', () => {
  const replay = (...args: string[]) =>
    bailiwick(['replay', DOC.input, '--agents', DOC.agents, ...args])

  it('reports, and passes what is as expected', async () => {
    const { code, out, err } = await replay('--expect', DOC.expected)
    expect([code, err]).toEqual([0, ''])
    expect(out).toMatch(/^2 judgements out of scope, by 1 agent\.\n/)
    for (const section of ['Flows by agent', 'Out of scope', 'Alerts', 'Inputs', 'Coverage'])
      expect(out).toContain(`\n${section}`)
    expect(out).toMatch(/Expectations\n {2}\d+ expectations met\n$/)
    expect(out).not.toMatch(RAW_CONTROL)
  })

  it('gives one JSON object, fails on a verdict, and writes JUnit', async () => {
    const junit = path.join(scratch, 'junit.xml')
    const { code, out, err } = await replay(
      '--json',
      '--fail-on',
      'out_of_scope,unregistered',
      '--junit',
      junit,
    )
    expect(code).toBe(1)
    expect(err).toBe('bailiwick: 2 judgements out_of_scope (--fail-on out_of_scope)\n')
    expect(out.trimEnd().split('\n')).toHaveLength(1)
    const report = JSON.parse(out)
    expect(report).toMatchObject({
      schema: 'bailiwick.report/v1',
      verdicts: { in_scope: 16, out_of_scope: 2 },
      alerts: [{ rule: 'default-deny', destination: 'example.net' }],
      unregistered: [],
    })
    expect(report.timings.total_seconds).toBeGreaterThan(0)
    expect(readFileSync(junit, 'utf8')).toContain('<failure message="2 out-of-scope judgements">')
  })

  it('tells the flow, the rule and the cure where something else was expected', async () => {
    const agent = 'spiffe://acme.example/agent/doc-processor'
    const expectation = written('e.yaml', `agents:\n  ${agent}:\n    verdicts: {out_of_scope: 0}\n`)
    const { code, out, err } = await replay('--expect', expectation)
    expect(code).toBe(1)
    expect(err).toBe('bailiwick: 1 of 1 expectation not met\n')
    const told = out.slice(out.indexOf('Expectations'))
    expect(told).toContain('expected 0 judgements out_of_scope, found 2')
    expect(told).toContain('by rule default-deny')
    expect(told).toContain('- domain: paste.example.net')
  })

  it('replays nothing for an expectation that cannot be read', async () => {
    const { code, out, err } = await replay('--expect', written('bad.yaml', 'agent: {}\n'))
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(/bad\.yaml:1:1: error: unknown key `agent`.*did you mean agents/)
  })

  it('judges what it can read, and tells every reason for failing', async () => {
    const { code, out, err } = await bailiwick([
      ...['replay', DOC.input, '/nowhere.pcap', '--agents', DOC.agents],
      ...['--fail-on', 'out_of_scope'],
    ])
    expect(code).toBe(3)
    expect(out).toMatch(/^2 judgements out of scope/)
    expect(err).toBe(
      'bailiwick: /nowhere.pcap: no such file or directory\n' +
        'bailiwick: 2 judgements out_of_scope (--fail-on out_of_scope)\n',
    )
  })

  it('says when the store cannot be reached', async () => {
    const { code, err } = await replay('--store', 'http://user:secret@127.0.0.1:9/db')
    expect(code).toBe(4)
    expect(err).toMatch(
      /others can read the password[^\n]*\nbailiwick: the store at .* cannot be reached/,
    )
    expect(err).not.toContain('secret')
  })

  it('keeps a store that is asked for, and stores nothing twice', async () => {
    const store = path.join(scratch, 'store')
    const first = await replay('--store', store, '--json')
    const again = await replay('--store', store, '--json')
    expect([first.code, again.code]).toEqual([0, 0])
    expect(existsSync(store)).toBe(true)
    const [one, two] = [JSON.parse(first.out), JSON.parse(again.out)]
    expect(two.store.chunks_known).toBe(two.store.chunks)
    for (const key of ['verdicts', 'totals', 'alerts', 'findings'])
      expect(two[key]).toEqual(one[key])
  })
})

describe('doctor', () => {
  it('tries what a run needs', async () => {
    const { code, out } = await bailiwick(['doctor', '--json'])
    expect(code).toBe(0)
    const { checks } = JSON.parse(out) as { checks: { name: string; state: string }[] }
    expect(checks.map(({ name }) => name)).toEqual([
      'node',
      'machine',
      'temporary space',
      'embedded store',
      'interfaces',
      'live capture',
    ])
    expect(checks.filter(({ state }) => state === 'fail')).toEqual([])
  })
})
