// An expectation against a report: one case per thing that was expected. A case that fails tells which flow,
// which rule decided, and what to change in the scope.

import { contains, parseAddress } from '../address.ts'
import { VERDICTS, type Verdict } from '../flow.ts'
import { domainMatches } from '../identity/domain-name.ts'
import { meant } from '../identity/yaml-file.ts'
import {
  protocolNumber,
  REPORT_ROWS_MAX,
  type Report,
  type ReportAlert,
  type ReportDestination,
} from '../report.ts'
import { suggestRule } from '../scope/explain.ts'
import { NO_NAME } from '../scope/name-evidence.ts'
import {
  type AgentExpectation,
  boundText,
  type CountBound,
  type Expectation,
  type ExpectedAlert,
  meets,
  type ReachedPlace,
} from './expectation.ts'
import { destinationText, flowText, indented } from './flow-text.ts'

/** One thing that was expected. */
export interface ExpectedCase {
  /** Agent id; '' for what concerns all. */
  agent: string
  /** `out_of_scope = 0`, `reaches only 4 places`. */
  name: string
  /** What came instead, one line a piece, for a person; empty if it is as expected. */
  mismatch: string[]
}

/** Flows that one mismatch is told with, at most. */
const TOLD_MAX = 5

/** Every case of the expectation, agents by their order in the file. */
export function checkExpectation(expectation: Expectation, report: Report): ExpectedCase[] {
  const cases: ExpectedCase[] = []
  for (const [agent, expected] of Object.entries(expectation.agents ?? {}))
    cases.push(...checkAgent(agent, expected, report))
  for (const verdict of VERDICTS) {
    const bound = expectation.verdicts?.[verdict]
    if (bound === undefined) continue
    const found = report.verdicts[verdict]
    cases.push({
      agent: '',
      name: `${verdict} ${named(bound)}`,
      mismatch: meets(bound, found)
        ? []
        : [
            `expected ${boundText(bound)} judgements ${verdict}, found ${found}`,
            ...tellDestinations(report, (one) => one.verdict === verdict),
          ],
    })
  }
  if (expectation.unregistered !== undefined)
    cases.push(checkUnregistered(expectation.unregistered, report))
  return cases
}

const named = (bound: CountBound) => (bound.relation === '=' ? '= ' : '') + boundText(bound)

function checkAgent(id: string, expected: AgentExpectation, report: Report): ExpectedCase[] {
  const found = report.agents.find(({ agent }) => agent === id)
  const registered = report.agents.map(({ agent }) => agent).filter((agent) => agent !== '')
  if (found === undefined)
    return [
      {
        agent: id,
        name: 'is registered',
        mismatch: [
          `no agent file declares ${id}${meant(id, registered)}; the registered ones are listed by bailiwick agents`,
        ],
      },
    ]
  const cases: ExpectedCase[] = []
  for (const verdict of VERDICTS) {
    const bound = expected.verdicts?.[verdict]
    if (bound !== undefined)
      cases.push(checkVerdict(id, verdict, bound, found.verdicts[verdict], report))
  }
  if (expected.reaches_only !== undefined)
    cases.push(checkReached(id, expected.reaches_only, report))
  if (expected.alerts !== undefined) cases.push(checkAlerts(id, expected.alerts, report))
  return cases
}

function checkVerdict(
  agent: string,
  verdict: Verdict,
  bound: CountBound,
  found: number,
  report: Report,
): ExpectedCase {
  const name = `${verdict} ${named(bound)}`
  if (meets(bound, found)) return { agent, name, mismatch: [] }
  const mismatch = [`expected ${boundText(bound)} judgements ${verdict}, found ${found}`]
  const tooMany = found > bound.number
  // Of what is missing nothing can be shown; what was judged otherwise is where it went.
  if (!tooMany) mismatch.push('what was judged otherwise:')
  mismatch.push(
    ...tellDestinations(
      report,
      (one) => one.agent === agent && (one.verdict === verdict) === tooMany,
    ),
  )
  return { agent, name, mismatch }
}

/** True if the expectation names this place: by its name, the registrable part of it, or its address. */
export function isReached(
  place: ReachedPlace,
  { port, proto, ...one }: ReportDestination,
): boolean {
  if (place.port !== port || place.proto !== proto) return false
  const { domain, network } = place
  if (domain !== undefined) return domainMatches(domain, one.server_name || one.destination)
  const address = parseAddress(one.peer)
  return network !== undefined && address !== undefined && contains(network, address)
}

function checkReached(
  agent: string,
  places: readonly ReachedPlace[],
  report: Report,
): ExpectedCase {
  const beyond = report.destinations.filter(
    (one) =>
      one.agent === agent &&
      one.direction === 'egress' &&
      !places.some((place) => isReached(place, one)),
  )
  const mismatch = beyond.slice(0, TOLD_MAX).flatMap((one) => {
    const narrow =
      one.verdict === 'in_scope'
        ? `to forbid it: take rule ${one.rule} out of the scope, or narrow it`
        : 'it is not in scope; expect it here only if that is meant'
    return [
      `reached ${destinationText(one)}, which is not listed`,
      ...tell(one, report),
      `  ${narrow}`,
    ]
  })
  if (beyond.length > TOLD_MAX) mismatch.push(`and ${beyond.length - TOLD_MAX} more places`)
  mismatch.push(...unlisted(report.destinations.length, 'destinations'))
  return { agent, name: `reaches only ${places.length} places`, mismatch }
}

/** A report that is full has left something out: then nothing may pass that rests on it. */
function unlisted(rows: number, what: string): string[] {
  return rows < REPORT_ROWS_MAX
    ? []
    : [
        `the report lists ${REPORT_ROWS_MAX} ${what} at most, and there are more: replay less at a time`,
      ]
}

const alertKey = ({ rule, destination }: ExpectedAlert) => `${rule} ${destination}`

function checkAlerts(
  agent: string,
  expected: readonly ExpectedAlert[],
  report: Report,
): ExpectedCase {
  const found = report.alerts.filter((alert) => alert.agent === agent)
  const wanted = new Set(expected.map(alertKey))
  const mismatch: string[] = []
  // One alert a destination and hour: the same pair twice is one expectation met twice.
  const told = new Set<string>()
  for (const alert of found) {
    const key = alertKey(alert)
    if (wanted.has(key) || told.has(key)) continue
    told.add(key)
    mismatch.push(`unexpected alert: ${alert.rule} to ${alert.destination}`)
    mismatch.push(...tellAlert(alert, report))
  }
  const seen = new Set(found.map(alertKey))
  for (const alert of expected) {
    if (seen.has(alertKey(alert))) continue
    mismatch.push(`no alert: ${alert.rule} to ${alert.destination} was expected`)
    const there = report.destinations.filter(
      (one) => one.agent === agent && one.destination === alert.destination,
    )
    if (there.length === 0) mismatch.push('  nothing of this agent went there')
    for (const one of there.slice(0, TOLD_MAX)) mismatch.push(...tell(one, report))
  }
  mismatch.push(...unlisted(report.alerts.length, 'alerts'))
  return { agent, name: `${expected.length} alerts`, mismatch }
}

function tellAlert(alert: ReportAlert, report: Report): string[] {
  const finding = report.findings.find(({ alert_id }) => alert_id === alert.alert_id)
  if (finding === undefined) return [`  ${alert.sentence}`]
  return [
    `  ${finding.sentence}`,
    `  flow ${flowText(finding.flow)}`,
    `  decided by rule ${finding.rule}, scope ${finding.scope_version}`,
    ...mendLines(finding.mend),
  ]
}

function checkUnregistered(expected: readonly string[], report: Report): ExpectedCase {
  const same = (text: string) => {
    const bytes = parseAddress(text)
    return bytes === undefined ? text : Buffer.from(bytes).toString('hex')
  }
  const wanted = new Set(expected.map(same))
  const found = new Set(report.unregistered.map(({ address }) => same(address)))
  const mismatch: string[] = []
  for (const { address, flows, destinations } of report.unregistered)
    if (!wanted.has(same(address)))
      mismatch.push(
        `${address} talks like an agent and belongs to none: ${flows} flows to ${destinations.join(', ')}`,
        '  to mend: declare it under `addresses` of its agent',
      )
  for (const address of expected)
    if (!found.has(same(address)))
      mismatch.push(`${address} was expected to be unregistered, and is not found so`)
  return { agent: '', name: `${expected.length} unregistered addresses`, mismatch }
}

function tellDestinations(report: Report, which: (one: ReportDestination) => boolean): string[] {
  const chosen = report.destinations.filter(which)
  const lines = chosen.slice(0, TOLD_MAX).flatMap((one) => tell(one, report))
  if (chosen.length > TOLD_MAX) lines.push(`  and ${chosen.length - TOLD_MAX} more destinations`)
  return lines
}

/** A destination with one of its flows, the rule that decided, and the change that would allow it. */
function tell(one: ReportDestination, report: Report): string[] {
  const times = one.flows === 1 ? '' : ` (and ${one.flows - 1} more)`
  return [
    `  ${one.verdict} by rule ${one.rule}: ${one.direction} ${destinationText(one)}`,
    `    flow ${flowText(one.example)}${times}`,
    ...mendLines(mendOf(one, report)),
  ]
}

function mendLines(mend: string): string[] {
  return mend === '' ? [] : ['    to allow it, add to the scope:', ...indented(mend, '      ')]
}

/** The change to the scope that would allow it: what its finding says, or for a nameless place its address. */
function mendOf(one: ReportDestination, report: Report): string {
  const { agent, direction, destination, peer, port, proto, verdict } = one
  const finding = report.findings.find(
    (candidate) =>
      candidate.agent === agent &&
      candidate.verdict === verdict &&
      candidate.direction === direction &&
      candidate.destination === destination &&
      candidate.port === port &&
      candidate.proto === proto,
  )
  if (finding !== undefined) return finding.mend
  const ipProto = protocolNumber(proto)
  return verdict === 'unknown_name' && ipProto !== undefined
    ? suggestRule({ agent, direction, ts: 0, ipProto, port, peer }, NO_NAME)
    : ''
}
