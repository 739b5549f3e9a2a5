// One alert as a row of the list: its sentence, whose it is, where it went, and how far what follows from it has come.

import type { Alert, Delivery } from './server.ts'
import { count, element, localTime, seen, shortName, timeElement, utcTime } from './words.ts'

/** Said by shape and word, never by colour alone. */
const LEVELS = [
  { from: 80, name: 'high', shape: '▲' },
  { from: 50, name: 'medium', shape: '◆' },
  { from: 0, name: 'low', shape: '●' },
] as const

const DELIVERY_WORDS: Readonly<Record<string, [mark: string, word: string, tone: string]>> = {
  queued: ['…', 'waits', 'calm'],
  sending: ['…', 'is sent', 'calm'],
  delivered: ['✓', 'delivered', 'good'],
  held: ['❚❚', 'held', 'warn'],
  dead: ['✕', 'not delivered', 'bad'],
}
const REVOCATION_WORDS: Readonly<Record<string, [mark: string, word: string, tone: string]>> = {
  observed: ['○', 'only observed', 'calm'],
  waiting: ['!', 'waits for approval', 'warn'],
  approved: ['…', 'approved', 'calm'],
  rejected: ['–', 'rejected', 'calm'],
  calling: ['…', 'is called', 'calm'],
  called: ['…', 'called; silence is awaited', 'calm'],
  verified: ['✓', 'verified by silence', 'good'],
  failed: ['✕', 'failed', 'bad'],
  expired: ['–', 'expired', 'calm'],
  blocked: ['–', 'blocked by a guard', 'warn'],
}

export function chip(tone: string, mark: string, text: string, title = ''): HTMLSpanElement {
  const attributes = title === '' ? {} : { title }
  return element(
    'span',
    { class: `chip ${tone}`, ...attributes },
    element('span', { 'aria-hidden': 'true', class: 'mark' }, mark),
    text,
  )
}

export function deliveryChip({ endpoint, state, attempts, last_error }: Delivery): HTMLSpanElement {
  const [mark, word, tone] = DELIVERY_WORDS[state] ?? ['?', state, 'calm']
  const tries = attempts > 1 ? ` after ${attempts} tries` : ''
  return chip(tone, mark, `${endpoint} ${word}${tries}`, last_error ?? '')
}

export function revocationChip(state: string): HTMLSpanElement {
  const [mark, word, tone] = REVOCATION_WORDS[state] ?? ['?', state, 'calm']
  return chip(tone, mark, `revocation ${word}`)
}

/** What the filter looks into, in lower case. */
export function haystackOf(alert: Alert): string {
  const { sentence, agent, owner, subject, destination, service, rule, kind, grade } = alert
  return [sentence, agent, owner, subject, destination, service, rule, kind, grade]
    .join('\n')
    .toLowerCase()
}

export class AlertRow {
  readonly element: HTMLLIElement
  readonly opener: HTMLButtonElement
  readonly panel: HTMLDivElement
  /** Where it stands in the list: later ones come first. */
  readonly key: string
  alert: Alert
  haystack: string
  readonly #level = element('div', { class: 'level' })
  readonly #when = element('div', { class: 'when' })
  readonly #meta = element('p', { class: 'meta' })
  readonly #state = element('div', { class: 'state' })

  constructor(alert: Alert) {
    this.alert = alert
    this.key = `${alert.raised_at ?? alert.last} ${alert.id}`
    this.haystack = haystackOf(alert)
    this.opener = element('button', {
      type: 'button',
      class: 'open',
      'aria-expanded': 'false',
      'aria-controls': `evidence-${alert.id}`,
    })
    this.panel = element('div', { class: 'evidence', id: `evidence-${alert.id}` })
    this.panel.hidden = true
    this.element = element(
      'li',
      { class: 'alert' },
      element(
        'div',
        { class: 'row' },
        this.#level,
        this.#when,
        element('div', { class: 'what' }, element('h3', {}, this.opener), this.#meta),
        this.#state,
      ),
      this.panel,
    )
    this.update(alert)
  }

  update(alert: Alert): void {
    this.alert = alert
    this.haystack = haystackOf(alert)
    const level = LEVELS.find(({ from }) => alert.score >= from) ?? LEVELS[2]
    this.element.dataset.level = level.name
    this.#level.replaceChildren(
      element('span', { class: 'shape', 'aria-hidden': 'true' }, level.shape),
      element('span', { class: 'score' }, String(alert.score)),
      element('span', { class: 'word' }, level.name),
    )
    const { day, clock } = localTime(alert.last)
    const time = element(
      'time',
      { datetime: alert.last, title: timeElement(alert.last).textContent },
      clock,
    )
    this.#when.replaceChildren(
      ...(day === '' ? [] : [element('span', { class: 'day' }, day)]),
      time,
      element('span', { class: 'utc' }, `${utcTime(alert.last).slice(11, 19)} UTC`),
    )
    this.opener.replaceChildren(seen(alert.sentence))
    const whose =
      alert.agent === ''
        ? [element('span', { class: 'agent none' }, `no agent: ${alert.subject}`)]
        : [element('span', { class: 'agent', title: alert.agent }, shortName(alert.agent))]
    if (alert.owner !== '') whose.push(element('span', {}, alert.owner))
    this.#meta.replaceChildren(
      ...whose,
      element('span', { class: 'mono' }, `${alert.destination} ${alert.service}`),
      element('span', {}, `rule ${alert.rule}`),
      element('span', { class: `grade ${alert.grade}` }, `attribution ${alert.grade}`),
      element('span', {}, count(alert.flows, 'flow')),
    )
    this.#state.replaceChildren(
      ...alert.deliveries.map(deliveryChip),
      ...alert.revocations.map(({ state }) => revocationChip(state)),
    )
  }
}
