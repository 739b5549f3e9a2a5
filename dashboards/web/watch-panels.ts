// What stands behind each part of the line that watches: tables, and the few things that can be done there.

import { chip, revocationChip } from './alert-row.ts'
import {
  type Agents,
  ask,
  COVERAGE_MINUTES,
  type Coverage,
  type DeadDelivery,
  type Ready,
  type Revocations,
  type Webhook,
} from './server.ts'
import { count, element, localTime, shortName } from './words.ts'

/** Rows of a panel; of more, only the number is said. */
const ROWS_MAX = 200

export function healthPanel(ready: Ready | undefined, stream: string): Node[] {
  if (ready === undefined) return [fine('Not known yet.')]
  const words = [
    ready.ready ? 'The server is ready.' : `The server is not ready: ${ready.reason}`,
    ...(ready.warning === undefined ? [] : [ready.warning]),
    ...(stream === '' ? [] : [`New alerts do not come: ${stream}`]),
  ]
  return words.map((one) => element('p', {}, one))
}

export function coveragePanel(coverage: readonly Coverage[]): Node[] {
  if (coverage.length === 0)
    return [
      fine(
        `No sensor told of anything in the last ${COVERAGE_MINUTES} minutes. One that captures tells once a minute, so the first minute of a server looks like this, too.`,
      ),
    ]
  const sorted = [...coverage].sort((a, b) => Number(b.loss) - Number(a.loss))
  return [
    table(
      ['Sensor', 'Where', 'Counted', 'How many', 'Last', 'Meaning'],
      sorted.map((row) => [
        row.sensor,
        [row.source_kind, row.vantage].filter(Boolean).join(' '),
        row.loss ? chip('bad', '✕', row.metric) : row.metric,
        row.value.toLocaleString('en'),
        clock(row.last),
        row.meaning,
      ]),
    ),
  ]
}

export function agentsPanel(heard: Agents | undefined): Node[] {
  if (heard === undefined) return [fine('Not known yet.')]
  const { agents, problem, loaded_at } = heard
  const sorted = [...agents].sort((a, b) => b.out_of_scope - a.out_of_scope)
  return [
    ...(problem === null
      ? []
      : [
          element(
            'p',
            { class: 'problem' },
            `The last change of the files is not used: ${problem}`,
          ),
          fine('What held before holds on until they are mended.'),
        ]),
    fine(
      `Read ${clock(loaded_at)}; what they did in the last day. A flow is judged with each of its records: of one that was seen live there are two at least.`,
    ),
    table(
      ['Agent', 'Owner', 'State', 'Scope', 'Judgements', 'Out of scope', 'Last seen'],
      sorted.map((agent) => [
        element('span', { title: agent.id }, shortName(agent.id)),
        agent.owner,
        agent.state,
        `version ${agent.scope_version}${agent.scope_expires === null ? '' : `, until ${clock(agent.scope_expires)}`}`,
        agent.judgements.toLocaleString('en'),
        agent.out_of_scope > 0 ? chip('bad', '✕', agent.out_of_scope.toLocaleString('en')) : '0',
        agent.last_seen === null ? 'not lately' : clock(agent.last_seen),
      ]),
    ),
  ]
}

const WEBHOOK_TONES: Readonly<Record<string, [mark: string, tone: string]>> = {
  working: ['✓', 'good'],
  throttled: ['…', 'warn'],
  held: ['❚❚', 'bad'],
  disabled: ['✕', 'bad'],
}

/** Takes what is sent, as far as is known, but not the last of it. */
export function fails({ state, queued, last_error }: Webhook): boolean {
  return state === 'working' && queued > 0 && last_error !== null
}

export function webhooksPanel(
  webhooks: readonly Webhook[],
  dead: readonly DeadDelivery[],
  again: () => void,
): Node[] {
  if (webhooks.length === 0) return [fine('This server sends to no webhook.')]
  const shown = table(
    ['Webhook', 'To', 'State', 'Wait', 'Delivered', 'Last', 'What went wrong last'],
    webhooks.map((one) => {
      const [mark, tone] = WEBHOOK_TONES[one.state] ?? ['?', 'calm']
      return [
        one.name,
        one.target,
        fails(one) ? chip('bad', '✕', 'fails') : chip(tone, mark, one.state),
        one.queued.toLocaleString('en'),
        one.delivered.toLocaleString('en'),
        one.last_delivered_at === null ? '' : clock(one.last_delivered_at),
        one.last_error ?? '',
      ]
    }),
  )
  if (dead.length === 0) return [shown]
  return [
    shown,
    element('h4', {}, `${count(dead.length, 'message')} not delivered, and tried no more`),
    table(
      ['Webhook', 'Gave up', 'Tries', 'Why', ''],
      dead.map((letter) => [
        letter.endpoint,
        clock(letter.died_at),
        String(letter.attempts),
        letter.last_error,
        action('Send again', async () => {
          await ask(`deliveries/${encodeURIComponent(letter.id)}/redrive`, {})
          again()
        }),
      ]),
    ),
  ]
}

export function revocationsPanel(
  heard: Revocations | undefined,
  mayDecide: boolean,
  again: () => void,
): Node[] {
  if (heard === undefined) return [fine('Not known yet.')]
  const { killed, here, revocations } = heard
  if (!here)
    return [fine('This server decides about no revocations: the process `bailiwick respond` does.')]
  const stop = action(killed ? 'Let revoking go on' : 'Stop all revoking', async () => {
    await ask('revocations/kill', { on: !killed })
    again()
  })
  const [button] = stop.getElementsByTagName('button')
  if (button !== undefined && !mayDecide) {
    button.disabled = true
    button.title = 'This needs the token of an approver'
  }
  const words = killed ? 'All revoking is stopped.' : 'Revocations are carried out as they are set.'
  return [
    element('p', { class: 'with-action' }, words, ' ', stop),
    revocations.length === 0
      ? fine('No revocations yet.')
      : table(
          ['Asked', 'Agent', 'State', 'Why', 'Decided by', 'What came of it'],
          revocations.map((one) => [
            clock(one.asked_at),
            element('span', { title: one.agent }, shortName(one.agent)),
            revocationChip(one.state),
            one.sentence,
            one.decided_by ?? '',
            one.detail ?? '',
          ]),
        ),
  ]
}

/** A button; what goes wrong stands beside it. */
function action(words: string, act: () => Promise<void>): HTMLElement {
  const button = element('button', { type: 'button' }, words)
  const problem = element('span', { class: 'problem', role: 'alert' })
  button.addEventListener('click', async () => {
    button.disabled = true
    problem.replaceChildren()
    try {
      await act()
      button.blur()
    } catch (error) {
      problem.replaceChildren(
        element('span', {}, error instanceof Error ? error.message : String(error)),
      )
    } finally {
      button.disabled = false
    }
  })
  return element('span', {}, button, ' ', problem)
}

function table(head: readonly string[], rows: readonly (readonly (Node | string)[])[]): Node {
  const body = rows
    .slice(0, ROWS_MAX)
    .map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell))))
  const shown = element(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': head.join(', ') },
    element(
      'table',
      {},
      element(
        'thead',
        {},
        element('tr', {}, ...head.map((name) => element('th', { scope: 'col' }, name))),
      ),
      element('tbody', {}, ...body),
    ),
  )
  if (rows.length <= ROWS_MAX) return shown
  return element('div', {}, shown, fine(`The first ${ROWS_MAX} of ${rows.length}.`))
}

function fine(words: string): HTMLParagraphElement {
  return element('p', { class: 'fine' }, words)
}

/** The local time, with the day where it is not today. */
function clock(iso: string): string {
  const { day, clock: time } = localTime(iso)
  return day === '' ? time : `${day} ${time}`
}
