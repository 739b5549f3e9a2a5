// Alerts for people at a terminal: a sentence each, whose it is, where it went, and what followed.

import type { AlertDetail } from '../api/alert-list.ts'
import type { AlertShown } from '../api/alert-shape.ts'
import type { FlowShown } from '../api/flow-shape.ts'
import { agentName } from '../identity/agent.ts'
import { printable } from '../wire-text.ts'
import { endpointText } from './flow-text.ts'
import { sizeWords } from './progress.ts'
import type { Colours } from './terminal.ts'
import { count, renderTable, visibleWidth, wrap } from './text-table.ts'

type Tone = 'good' | 'calm' | 'warn' | 'bad'

const DELIVERIES: Readonly<Record<string, readonly [words: string, tone: Tone]>> = {
  queued: ['waits', 'calm'],
  sending: ['is sent', 'calm'],
  delivered: ['delivered', 'good'],
  held: ['held', 'warn'],
  dead: ['not delivered', 'bad'],
}
const REVOCATIONS: Readonly<Record<string, readonly [words: string, tone: Tone]>> = {
  observed: ['only observed', 'calm'],
  waiting: ['waits for approval', 'warn'],
  approved: ['approved', 'calm'],
  rejected: ['rejected', 'calm'],
  calling: ['is called', 'calm'],
  called: ['called; silence is awaited', 'calm'],
  verified: ['verified by silence', 'good'],
  failed: ['failed', 'bad'],
  expired: ['expired', 'calm'],
  blocked: ['blocked by a guard', 'warn'],
}

/** How far a delivery is: `siem delivered after 2 tries`. */
export function deliveryWords(
  { endpoint, state, attempts }: { endpoint: string; state: string; attempts: number },
  colours: Colours,
): string {
  const [words, tone] = DELIVERIES[state] ?? [printable(state), 'calm']
  const tries = attempts > 1 ? ` after ${attempts} tries` : ''
  return paint(tone, `${printable(endpoint)} ${words}${tries}`, colours)
}

/** How far a revocation is: `waits for approval`. */
export function revocationWords(state: string, colours: Colours): string {
  const [words, tone] = REVOCATIONS[state] ?? [printable(state), 'calm']
  return paint(tone, words, colours)
}

function paint(tone: Tone, text: string, colours: Colours): string {
  if (tone === 'good') return colours.green(text)
  if (tone === 'warn') return colours.yellow(text)
  return tone === 'bad' ? colours.red(text) : colours.dim(text)
}

/** `2026-01-05 09:00:01`, UTC. */
export function clockText(iso: string): string {
  return printable(iso).replace('T', ' ').slice(0, 19)
}

/** Said by shape and word, never by colour alone. */
function levelText(score: number, colours: Colours): string {
  const text = (shape: string, word: string) => `${shape} ${String(score).padStart(3)} ${word}`
  if (score >= 80) return colours.red(text('▲', 'high  '))
  return score >= 50 ? colours.yellow(text('◆', 'medium')) : colours.cyan(text('●', 'low   '))
}

function whose({ agent, subject, owner }: AlertShown, colours: Colours): string {
  if (agent === '') return colours.yellow(`no agent: ${printable(subject)}`)
  const name = colours.cyan(printable(agentName(agent)))
  return owner === '' ? name : `${name} (${printable(owner)})`
}

/** The lines of an alert, its id among them. */
export function alertText(alert: AlertShown, colours: Colours, width: number): string {
  const head = `${clockText(alert.last)}  ${levelText(alert.score, colours)}  `
  const indent = ' '.repeat(visibleWidth(head))
  const room = Math.max(40, width)
  const sentence = wrap(printable(alert.sentence), room, indent).slice(indent.length)
  const facts = [
    whose(alert, colours),
    `${printable(alert.destination)} ${printable(alert.service)}`,
    `rule ${printable(alert.rule)}`,
    `attribution ${printable(alert.grade)}`,
    count(alert.flows, 'flow'),
  ]
  const followed = [
    ...alert.deliveries.map((one) => deliveryWords(one, colours)),
    ...alert.revocations.map(({ state }) => `revocation ${revocationWords(state, colours)}`),
  ]
  const lines = [
    `${head}${colours.bold(sentence)}`,
    wrap(facts.join(', '), room, indent),
    ...(followed.length === 0 ? [] : [wrap(followed.join(', '), room, indent)]),
    `${indent}${colours.dim(alert.id)}`,
  ]
  return `${lines.join('\n')}\n`
}

const SHOWN_FLOWS = 20

/** Everything that is known of one alert. */
export function detailText(detail: AlertDetail, colours: Colours, width: number): string {
  const { alert, evidence, flows } = detail
  const worst = flows[0]
  const direction = evidence?.direction ?? worst?.direction ?? ''
  const sure = evidence?.direction_sure === false ? ' (not sure who began)' : ''
  const facts: [string, string][] = [
    ['agent', alert.agent === '' ? `none known; the host is ${alert.subject}` : alert.agent],
    ['owner', alert.owner],
    ['rule', `${alert.rule}${worst ? ` of scope version ${worst.scope_version}` : ''}`],
    ['destination', `${alert.destination} ${alert.service}`],
    ['name', evidence?.peer_name || worst?.server_name || ''],
    ['address', evidence?.peer || worst?.peer || ''],
    ['direction', direction === '' ? '' : `${direction}${sure}`],
    ['handshake', evidence?.handshake || worst?.handshake || ''],
    ['attribution', attributionWords(detail)],
    ['first seen', clockText(alert.first)],
    ['last seen', clockText(alert.last)],
    ['raised', alert.raised_at === null ? '' : clockText(alert.raised_at)],
    ['sensor', evidence?.sensor || worst?.sensor || ''],
  ]
  const shown = facts.filter(([, value]) => value !== '')
  const parts = [
    alertText(alert, colours, width),
    shown.map(([name, value]) => `  ${colours.dim(name.padEnd(12))}${printable(value)}\n`).join(''),
    reasonsText(worst, colours),
    followedText(alert, colours),
    flowTable(alert, flows, colours),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

function attributionWords({ alert, evidence, flows }: AlertDetail): string {
  const method = flows[0]?.method || evidence?.method || ''
  return `${alert.grade}${method === '' ? '' : ` by ${method.replaceAll('_', ' ')}`}`
}

function reasonsText(worst: FlowShown | undefined, colours: Colours): string {
  if (worst === undefined || worst.reasons.length + worst.evidence.length === 0) return ''
  const lines = [
    ...worst.evidence.map((line) => `  = ${printable(line)}`),
    ...worst.reasons.map(
      ({ code, weight, evidence }) =>
        `  ${colours.bold(`+${weight}`)} ${printable(code.replaceAll('_', ' '))}: ${printable(evidence)}`,
    ),
  ]
  return `why\n${lines.join('\n')}\n`
}

function followedText(alert: AlertShown, colours: Colours): string {
  const lines = [
    ...alert.deliveries.map((one) => {
      const next = one.next_at === null ? '' : `, next try ${clockText(one.next_at)}`
      const error = one.last_error === null ? '' : `: ${printable(one.last_error)}`
      return `  ${deliveryWords(one, colours)}${next}${error}`
    }),
    ...alert.revocations.map(
      ({ id, state }) => `  revocation ${printable(id)} ${revocationWords(state, colours)}`,
    ),
  ]
  return lines.length === 0 ? '' : `what followed\n${lines.join('\n')}\n`
}

function flowTable(alert: AlertShown, flows: readonly FlowShown[], colours: Colours): string {
  if (flows.length === 0) return 'its flows are not stored yet\n'
  const rows = flows
    .slice(0, SHOWN_FLOWS)
    .map((flow) => [
      clockText(flow.began),
      endpointText(flow.orig_h, flow.orig_p, flow.protocol),
      endpointText(flow.resp_h, flow.resp_p, flow.protocol),
      printable(flow.server_name),
      flow.open ? 'open' : printable(flow.conn_state),
      flow.orig_bytes === null ? '' : sizeWords(flow.orig_bytes),
      flow.resp_bytes === null ? '' : sizeWords(flow.resp_bytes),
      printable(flow.verdict.replaceAll('_', ' ')),
    ])
  const more =
    alert.flows > rows.length ? ` (the worst ${rows.length} of ${count(alert.flows, 'flow')})` : ''
  const columns = ['began', 'from', 'to', 'name', 'state', 'sent', 'received', 'verdict']
  return `flows${more}\n${renderTable(
    columns.map((title) => ({ title, right: title === 'sent' || title === 'received' })),
    rows,
    colours,
    '  ',
  )}`
}
