// What speaks for an alert, under its row: why, by which rule, whose, where, when, its flows, and what followed.

import { chip, deliveryChip, revocationChip } from './alert-row.ts'
import { type Alert, type AlertDetail, ask, type Flow, ServerError } from './server.ts'
import { bytesText, element, localTime, timeElement, utcTime } from './words.ts'

/** Flows are stored a moment after the alert was raised: how often, and after how long, they are asked for again. */
const AGAIN_MILLIS = [1500, 4000, 10_000]

/** Fills the panel, and fills it again until the flows are there or `wanted` says no. */
export async function showEvidence(
  panel: HTMLElement,
  alert: Alert,
  wanted: () => boolean,
): Promise<void> {
  if (panel.childElementCount === 0)
    panel.replaceChildren(element('p', { class: 'fine' }, 'Loading the evidence…'))
  for (const wait of [...AGAIN_MILLIS, 0]) {
    try {
      const detail = await ask<AlertDetail>(`alerts/${alert.id}`)
      if (!wanted()) return
      panel.replaceChildren(...parts(detail))
      if (detail.flows.length > 0) return
    } catch (error) {
      if (!wanted()) return
      const words = error instanceof ServerError ? error.message : String(error)
      panel.replaceChildren(element('p', { class: 'problem' }, words))
    }
    if (wait === 0) return
    await new Promise((resolve) => setTimeout(resolve, wait))
    if (!wanted()) return
  }
}

function parts({ alert, evidence, flows }: AlertDetail): Node[] {
  const worst = flows[0]
  const facts = list([
    ['Agent', alert.agent === '' ? `none known; the host is ${alert.subject}` : alert.agent],
    ['Owner', alert.owner],
    ['Rule', ruleText(alert, worst)],
    ['Destination', `${alert.destination} ${alert.service}`],
    ['Name', evidence?.peer_name || worst?.server_name || ''],
    ['Address', evidence?.peer ?? ''],
    ['Direction', directionOf(evidence?.direction ?? '', evidence?.direction_sure ?? true)],
    ['Handshake', evidence?.handshake || worst?.handshake || ''],
    ['First seen', timeElement(alert.first)],
    ['Last seen', timeElement(alert.last)],
    [
      'Raised',
      alert.raised_at === null ? 'before this server started' : timeElement(alert.raised_at),
    ],
    ['Sensor', evidence?.sensor || worst?.sensor || ''],
    ['Alert id', copyable(alert.id)],
  ])
  const why = section(
    'Why',
    element('p', {}, attributionText(alert, worst, evidence?.method)),
    element(
      'ul',
      { class: 'reasons' },
      ...(worst?.evidence ?? []).map((line) => element('li', {}, chip('calm', '=', line))),
      ...(worst?.reasons ?? []).map(({ code, weight, evidence: words }) =>
        element(
          'li',
          {},
          element('span', { class: 'weight' }, `+${weight}`),
          element('span', { class: 'code' }, code.replaceAll('_', ' ')),
          element('span', {}, words),
        ),
      ),
    ),
  )
  return [
    element(
      'div',
      { class: 'columns' },
      section('Facts', facts),
      element('div', { class: 'side' }, why, followed(alert)),
    ),
    flowSection(alert, flows),
  ]
}

function section(title: string, ...content: Node[]): HTMLElement {
  return element('section', {}, element('h4', {}, title), ...content)
}

function list(entries: [string, Node | string][]): HTMLDListElement {
  const shown = entries.filter(([, value]) => value !== '')
  return element(
    'dl',
    {},
    ...shown.map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value)),
    ),
  )
}

function ruleText({ rule }: Alert, worst: Flow | undefined): string {
  const version = worst?.scope_version ?? ''
  return version === '' ? rule : `${rule} of scope version ${version}`
}

function attributionText(
  alert: Alert,
  worst: Flow | undefined,
  method: string | undefined,
): string {
  const by = worst?.method || method || ''
  const how = by === '' ? '' : ` by ${by.replaceAll('_', ' ')}`
  const score = `Score ${alert.score} of 100.`
  if (alert.agent === '') return `${score} It belongs to no registered agent.`
  return `${score} Attribution is ${alert.grade}${how}.`
}

function directionOf(direction: string, sure: boolean): string {
  if (direction === '') return ''
  const words = direction === 'egress' ? 'from the agent' : 'to the agent'
  return sure ? words : `${words} (not sure who began)`
}

const SHOWN_FLOWS = 20

function flowSection(alert: Alert, flows: readonly Flow[]): HTMLElement {
  if (flows.length === 0)
    return section(
      'Flows',
      element('p', { class: 'fine' }, 'Not stored yet: they follow in a moment.'),
    )
  const head = ['Began', 'From', 'To', 'Name', 'State', 'Sent', 'Received', 'Verdict']
  const rows = flows.slice(0, SHOWN_FLOWS).map((flow) => {
    const { day, clock } = localTime(flow.began)
    const cells: [string, string][] = [
      [`${day} ${clock}`.trim(), utcTime(flow.began)],
      [endpoint(flow.orig_h, flow.orig_p), ''],
      [endpoint(flow.resp_h, flow.resp_p), ''],
      [flow.server_name, [flow.name_source, flow.name_proof].filter(Boolean).join(', ')],
      [flow.open ? 'open' : flow.conn_state, flow.handshake],
      [bytesText(flow.orig_bytes), ''],
      [bytesText(flow.resp_bytes), ''],
      [flow.verdict.replaceAll('_', ' '), flow.grade],
    ]
    return element(
      'tr',
      {},
      ...cells.map(([text, title]) => element('td', title === '' ? {} : { title }, text)),
    )
  })
  const more = alert.flows > rows.length ? ` (the worst ${rows.length} of ${alert.flows})` : ''
  return section(
    `Flows${more}`,
    element(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Flows of this alert' },
      element(
        'table',
        {},
        element(
          'thead',
          {},
          element('tr', {}, ...head.map((name) => element('th', { scope: 'col' }, name))),
        ),
        element('tbody', {}, ...rows),
      ),
    ),
  )
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function followed(alert: Alert): HTMLElement {
  const deliveries = alert.deliveries.map((delivery) =>
    element(
      'li',
      {},
      deliveryChip(delivery),
      delivery.next_at === null ? '' : ` next try ${localTime(delivery.next_at).clock}`,
      delivery.last_error === null ? '' : ` ${delivery.last_error}`,
    ),
  )
  const revocations = alert.revocations.map(({ id, state }) =>
    element('li', {}, revocationChip(state), element('code', {}, id)),
  )
  const nothing = element('li', { class: 'fine' }, 'No webhook and no revocation for this alert.')
  const all = [...deliveries, ...revocations]
  return section(
    'What followed',
    element('ul', { class: 'followed' }, ...(all.length === 0 ? [nothing] : all)),
  )
}

function copyable(text: string): HTMLElement {
  const button = element('button', { type: 'button', class: 'copy', title: 'Copy' }, 'copy')
  button.addEventListener('click', () => {
    void navigator.clipboard
      .writeText(text)
      .then(() => button.replaceChildren('copied'))
      .catch(() => button.replaceChildren('cannot copy'))
  })
  return element('span', {}, element('code', {}, text), ' ', button)
}
