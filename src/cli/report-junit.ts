// The report as JUnit XML, which CI systems read: a suite per agent. With an expectation each thing expected is a
// case; without one each agent has one case, which fails if a flow of it was out of scope.

import type { Report, ReportAgent } from '../report.ts'
import { printable } from '../wire-text.ts'
import type { ExpectedCase } from './expect.ts'
import { flowText, indented } from './flow-text.ts'

/** Findings that the failure of one agent lists, at most. */
const FINDINGS_MAX = 50

interface JunitCase {
  suite: string
  name: string
  /** Lines of the failure; none if the case passed. */
  failure: string[]
}

/** Text that is harmless in XML 1.0, as content and as a quoted attribute. */
export function xmlText(text: string): string {
  return printable(text)
    .replace(/[\ufffe\uffff]/g, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;')
}

/** @param cases of the expectation, undefined if there is none. */
export function junitReport(report: Report, cases: readonly ExpectedCase[] | undefined): string {
  const all: JunitCase[] =
    cases === undefined
      ? report.agents.filter(({ agent }) => agent !== '').map((agent) => scopeCase(agent, report))
      : cases.map(({ agent, name, mismatch }) => ({
          suite: agent === '' ? 'all agents' : agent,
          name,
          failure: mismatch,
        }))
  const suites = new Map<string, JunitCase[]>()
  for (const one of all) suites.set(one.suite, [...(suites.get(one.suite) ?? []), one])
  const failures = (list: readonly JunitCase[]) =>
    list.filter(({ failure }) => failure.length > 0).length
  const seconds = report.timings.total_seconds.toFixed(3)
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="bailiwick" tests="${all.length}" failures="${failures(all)}" time="${seconds}">`,
  ]
  for (const [suite, list] of suites) {
    const name = xmlText(suite)
    lines.push(`  <testsuite name="${name}" tests="${list.length}" failures="${failures(list)}">`)
    for (const one of list) lines.push(...caseLines(one, name))
    lines.push('  </testsuite>')
  }
  lines.push('</testsuites>')
  return `${lines.join('\n')}\n`
}

function caseLines({ name, failure }: JunitCase, suite: string): string[] {
  const head = `    <testcase classname="${suite}" name="${xmlText(name)}"`
  const first = failure[0]
  if (first === undefined) return [`${head}/>`]
  return [
    `${head}>`,
    `      <failure message="${xmlText(first)}">${failure.map(xmlText).join('\n')}</failure>`,
    '    </testcase>',
  ]
}

function scopeCase({ agent, verdicts }: ReportAgent, report: Report): JunitCase {
  const name = 'stays in its scope'
  const strayed = verdicts.out_of_scope
  if (strayed === 0) return { suite: agent, name, failure: [] }
  const findings = report.findings.filter(
    (finding) => finding.agent === agent && finding.verdict === 'out_of_scope',
  )
  const failure = [`${strayed} out-of-scope ${strayed === 1 ? 'judgement' : 'judgements'}`]
  for (const finding of findings.slice(0, FINDINGS_MAX)) {
    failure.push(`[${finding.score}] ${finding.sentence}`)
    failure.push(`  flow ${flowText(finding.flow)}`)
    if (finding.mend !== '')
      failure.push('  to allow it, add to the scope:', ...indented(finding.mend, '    '))
  }
  if (findings.length > FINDINGS_MAX) failure.push(`and ${findings.length - FINDINGS_MAX} more`)
  return { suite: agent, name, failure }
}
