import { describe, expect, it } from 'vitest'
import { checkExpectation } from '../../src/cli/expect.ts'
import { readExpectation } from '../../src/cli/expectation.ts'
import type { Report } from '../../src/report.ts'
import { CHAT, DOC, madeDestination, madeReport } from './made-report.ts'

/** Checks an expectation written as YAML; the cases that are not met. */
function unmet(text: string, report: Report = madeReport()) {
  const { expectation, problems } = readExpectation({ path: 'expected.yaml', text })
  expect(problems).toEqual([])
  return checkExpectation(expectation!, report).filter(({ mismatch }) => mismatch.length > 0)
}

const problemsOf = (text: string) =>
  readExpectation({ path: 'e.yaml', text }).problems.map(
    ({ line, column, message }) => `${line}:${column} ${message}`,
  )

describe('readExpectation', () => {
  it('takes YAML and JSON', () => {
    const yaml = `agents:\n  ${DOC}:\n    verdicts: {out_of_scope: 0, in_scope: ">= 1"}\n`
    const json = JSON.stringify({
      agents: { [DOC]: { verdicts: { out_of_scope: 0, in_scope: '>=1' } } },
    })
    const read = (text: string) => readExpectation({ path: 'e', text }).expectation
    expect(read(yaml)).toEqual(read(json))
  })

  it('says what is wrong, and where', () => {
    expect(problemsOf('agents:\n  a:\n    verdict: {}\n')).toEqual([
      '3:5 unknown key `verdict`: expected one of verdicts, reaches_only, alerts (did you mean verdicts?)',
    ])
    expect(problemsOf('verdicts: {out_of_scop: 0}')[0]).toContain('did you mean out_of_scope?')
    expect(problemsOf('verdicts: {in_scope: "a few"}')[0]).toContain('a bound like ">=1"')
    expect(problemsOf('agents: {a: {reaches_only: ["api.example.com"]}}')[0]).toContain(
      'host:port/protocol',
    )
    expect(problemsOf('agents: {a: {reaches_only: ["https://x:443/tcp"]}}')[0]).toContain(
      'a host name',
    )
    expect(problemsOf('')[0]).toContain('found nothing')
    expect(problemsOf('agents: [')).not.toEqual([])
  })
})

describe('checkExpectation', () => {
  it('is silent where all is as expected', () => {
    expect(
      unmet(`
agents:
  ${DOC}:
    verdicts: {in_scope: 16, out_of_scope: "<=2", unknown_name: 0}
    reaches_only: ["api.openai.com:443/tcp", "*.example.net:443/tcp"]
    alerts: [{rule: default-deny, destination: example.net}]
  ${CHAT}:
    reaches_only: ["10.0.0.0/8:5432/tcp"]
    alerts: []
verdicts: {in_scope: ">=19"}
unregistered: []
`),
    ).toEqual([])
  })

  it('tells the flow, the rule and the change to the scope', () => {
    const [mismatch] = unmet(`agents: {"${DOC}": {verdicts: {out_of_scope: 0}}}`)
    expect(mismatch).toEqual({
      agent: DOC,
      name: 'out_of_scope = 0',
      mismatch: [
        'expected 0 judgements out_of_scope, found 2',
        '  out_of_scope by rule default-deny: egress paste.example.net:443/tcp',
        '    flow 2026-01-05T09:00:00.000250Z 10.1.0.5:40112 > 203.0.113.9:443 (paste.example.net) tcp, uid CHhAvVGS1DHFjwGM9a (and 1 more)',
        '    to allow it, add to the scope:',
        '      - domain: paste.example.net',
        '        port: 443',
      ],
    })
  })

  it('shows what was judged otherwise when too little was', () => {
    const [mismatch] = unmet(`agents: {"${DOC}": {verdicts: {in_scope: ">=17"}}}`)
    expect(mismatch!.mismatch.slice(0, 3)).toEqual([
      'expected >=17 judgements in_scope, found 16',
      'what was judged otherwise:',
      '  out_of_scope by rule default-deny: egress paste.example.net:443/tcp',
    ])
  })

  it('compares places by name, by label and by network, never by a part of a name', () => {
    const reached = (place: string, one: Parameters<typeof madeDestination>[0]) =>
      unmet(
        `agents: {"${DOC}": {reaches_only: ["${place}"]}}`,
        madeReport({ destinations: [madeDestination(one)] }),
      ).length === 0
    expect(reached('paste.example.net:443/tcp', {})).toBe(true)
    expect(reached('*.example.net:443/tcp', {})).toBe(true)
    expect(reached('example.net:443/tcp', {})).toBe(false)
    expect(reached('*.example.net:443/tcp', { server_name: 'badexample.net' })).toBe(false)
    expect(reached('paste.example.net:80/tcp', {})).toBe(false)
    expect(reached('paste.example.net:443/udp', {})).toBe(false)
    expect(reached('203.0.113.0/24:443/tcp', {})).toBe(true)
    expect(reached('[2001:db8::/32]:443/tcp', { peer: '2001:db9::9' })).toBe(false)
    expect(reached('[2001:db8::9]:443/tcp', { peer: '2001:db8::9' })).toBe(true)
    const nameless = { server_name: '', destination: '203.0.113.9' }
    expect(reached('paste.example.net:443/tcp', nameless)).toBe(false)
  })

  it('wants exactly the alerts that are listed', () => {
    const [extra] = unmet(`agents: {"${DOC}": {alerts: []}}`)
    expect(extra!.mismatch[0]).toBe('unexpected alert: default-deny to example.net')
    const [missing] = unmet(
      `agents: {"${DOC}": {alerts: [{rule: default-deny, destination: example.net}, {rule: default-deny, destination: other.example}]}}`,
    )
    expect(missing!.mismatch).toEqual([
      'no alert: default-deny to other.example was expected',
      '  nothing of this agent went there',
    ])
  })

  it('knows addresses however they are written', () => {
    const unregistered = ['2001:db8::1', '10.5.0.66'].map((address) => ({
      address,
      flows: 1,
      first: '',
      last: '',
      destinations: ['openai.com'],
      score: 70,
    }))
    const report = madeReport({ unregistered })
    expect(unmet('unregistered: ["2001:DB8:0::1", "10.5.0.66"]', report)).toEqual([])
    expect(unmet('unregistered: ["10.5.0.66", "10.0.0.1"]', report)[0]!.mismatch).toEqual([
      '2001:db8::1 talks like an agent and belongs to none: 1 flows to openai.com',
      '  to mend: declare it under `addresses` of its agent',
      '10.0.0.1 was expected to be unregistered, and is not found so',
    ])
  })

  it('does not take an agent that nobody declared for one without flows', () => {
    const [mismatch] = unmet(`agents: {"${DOC}x": {verdicts: {out_of_scope: 0}}}`)
    expect(mismatch!.mismatch[0]).toContain(`did you mean ${DOC}?`)
  })
})
