// How the server and what feeds it get on, in one line that stays in sight: silence on this page means peace only if
// packets are seen, agents are known and messages go out. Each part opens what stands behind it.

import {
  type Agents,
  ask,
  askReady,
  COVERAGE_MINUTES,
  type Coverage,
  type DeadDelivery,
  type Ready,
  type Revocations,
  ServerError,
  type Webhook,
} from './server.ts'
import {
  agentsPanel,
  coveragePanel,
  fails,
  healthPanel,
  revocationsPanel,
  webhooksPanel,
} from './watch-panels.ts'
import { byId, count, element } from './words.ts'

/** How often the parts are asked; while the page is not looked at, seldom. */
const ASK_MILLIS = 15_000
const ASK_HIDDEN_MILLIS = 60_000
/** What the store has to reckon is asked every fourth time only. */
const SELDOM = 4
/** After something happened the parts that tell of it are asked again, so soon. */
const SOON_MILLIS = 2000
type Tone = 'good' | 'calm' | 'warn' | 'bad'
/** What a part says in the line. */
type Said = readonly [tone: Tone, words: string]

const MARKS: Readonly<Record<Tone, string>> = { good: '✓', calm: '·', warn: '!', bad: '✕' }

interface Part {
  name: string
  seldom?: true
  /** Nothing was told yet: it is asked for each time. */
  unheard?: boolean
  /** Asks, and says in a few words; what it heard is kept for the panel. */
  look: () => Promise<Said>
  panel: () => Node[]
}

const line = byId('watch-line', HTMLElement)
const panel = byId('watch-panel', HTMLElement)

export class Watch {
  readonly #parts: readonly Part[]
  readonly #buttons = new Map<Part, HTMLButtonElement>()
  readonly #onRevocations: (revocations: Revocations) => void
  #open: Part | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #soon: ReturnType<typeof setTimeout> | undefined
  /** Counts sessions: an answer to a question of one before is nobody's. */
  #session = 0
  #round = 0
  #stream = ''
  /** Whether this token may stop and start revoking. */
  mayDecide = false

  constructor(onRevocations: (revocations: Revocations) => void) {
    this.#onRevocations = onRevocations
    this.#parts = this.#makeParts()
    for (const part of this.#parts) {
      const button = element('button', {
        type: 'button',
        class: 'watched',
        'aria-expanded': 'false',
        'aria-controls': 'watch-panel',
      })
      button.addEventListener('click', () => this.#toggle(part))
      this.#buttons.set(part, button)
      line.append(button)
      this.#show(part, ['calm', 'asked…'])
    }
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#timer !== undefined) this.refresh()
    })
  }

  start(): void {
    this.#session++
    this.refresh()
  }

  stop(): void {
    this.#session++
    clearTimeout(this.#timer)
    clearTimeout(this.#soon)
    this.#timer = undefined
    this.#soon = undefined
    this.#stream = ''
    if (this.#open !== undefined) this.#toggle(this.#open)
    for (const part of this.#parts) this.#show(part, ['calm', 'asked…'])
  }

  /** Asks all parts now. */
  refresh(): void {
    this.#round = 0
    this.#ask()
  }

  /** Something was sent or decided: what the line says of it is old. */
  moved(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      for (const part of this.#parts)
        if (part.seldom === undefined) void this.#look(part, this.#session)
    }, SOON_MILLIS)
  }

  #ask(): void {
    clearTimeout(this.#timer)
    const session = this.#session
    const all = document.hidden || this.#round++ % SELDOM === 0
    for (const part of this.#parts)
      if (all || part.seldom === undefined || part.unheard === true) void this.#look(part, session)
    const pause = document.hidden ? ASK_HIDDEN_MILLIS : ASK_MILLIS
    this.#timer = setTimeout(() => this.#ask(), pause)
  }

  /** What the server says of its own source of alerts; '' if it comes. */
  set stream(words: string) {
    this.#stream = words
    this.refresh()
  }

  async #look(part: Part, session: number): Promise<void> {
    let said: Said
    try {
      said = await part.look()
    } catch (error) {
      // That nobody answers stands above, in the line of the connection.
      const silent = error instanceof ServerError && [0, 401].includes(error.status)
      const words = error instanceof Error ? error.message : String(error)
      said = silent ? ['calm', 'not known'] : ['warn', words]
    }
    if (session !== this.#session) return
    this.#show(part, said)
    // What somebody reads or points at is not changed under the hand.
    if (this.#open === part && !panel.matches(':focus-within')) this.#fill(part)
  }

  #show(part: Part, [tone, words]: Said): void {
    const button = this.#buttons.get(part)!
    button.dataset.tone = tone
    button.replaceChildren(
      element('span', { class: 'mark', 'aria-hidden': 'true' }, MARKS[tone]),
      element('span', { class: 'part' }, part.name),
      element('span', { class: 'said' }, words),
    )
  }

  #toggle(part: Part): void {
    const before = this.#open
    if (before !== undefined) this.#buttons.get(before)!.setAttribute('aria-expanded', 'false')
    this.#open = before === part ? undefined : part
    panel.hidden = this.#open === undefined
    panel.replaceChildren()
    if (this.#open === undefined) return
    this.#buttons.get(part)!.setAttribute('aria-expanded', 'true')
    this.#fill(part)
  }

  #fill(part: Part): void {
    panel.replaceChildren(element('h3', {}, part.name), ...part.panel())
  }

  #makeParts(): Part[] {
    const heard: {
      ready?: Ready
      coverage?: Coverage[]
      agents?: Agents
      webhooks?: Webhook[]
      dead?: DeadDelivery[]
      revocations?: Revocations
    } = {}
    const again = () => this.refresh()
    const seen: Part = {
      name: 'Seen',
      seldom: true,
      look: async () => {
        const from = new Date(Date.now() - COVERAGE_MINUTES * 60_000).toISOString()
        const { coverage } = await ask<{ coverage: Coverage[] }>(
          `coverage?from=${encodeURIComponent(from)}`,
        )
        seen.unheard = coverage.length === 0
        return coverageSaid((heard.coverage = coverage))
      },
      panel: () => coveragePanel(heard.coverage ?? []),
    }
    return [
      {
        name: 'Server',
        look: async () => healthSaid((heard.ready = await askReady()), this.#stream),
        panel: () => healthPanel(heard.ready, this.#stream),
      },
      seen,
      {
        name: 'Agents',
        seldom: true,
        look: async () => agentsSaid((heard.agents = await ask<Agents>('agents?days=1'))),
        panel: () => agentsPanel(heard.agents),
      },
      {
        name: 'Webhooks',
        look: async () => {
          const [{ webhooks }, { dead }] = await Promise.all([
            ask<{ webhooks: Webhook[] }>('webhooks'),
            ask<{ dead: DeadDelivery[] }>('deliveries/dead'),
          ])
          Object.assign(heard, { webhooks, dead })
          return webhooksSaid(webhooks)
        },
        panel: () => webhooksPanel(heard.webhooks ?? [], heard.dead ?? [], again),
      },
      {
        name: 'Revoking',
        look: async () => {
          heard.revocations = await ask<Revocations>('revocations')
          this.#onRevocations(heard.revocations)
          return revocationsSaid(heard.revocations)
        },
        panel: () => revocationsPanel(heard.revocations, this.mayDecide, again),
      },
    ]
  }
}

function healthSaid({ ready, reason, warning }: Ready, stream: string): Said {
  if (!ready) return ['bad', `not ready: ${reason}`]
  if (stream !== '') return ['bad', 'new alerts do not come']
  return warning === undefined ? ['good', 'ready'] : ['warn', warning]
}

function coverageSaid(coverage: readonly Coverage[]): Said {
  const lost = coverage.filter(({ loss }) => loss)
  if (coverage.length === 0) return ['warn', `nothing told in ${COVERAGE_MINUTES} min`]
  if (lost.length === 0) return ['good', `nothing lost in ${COVERAGE_MINUTES} min`]
  const dropped = lost
    .filter(({ metric }) => /dropped$|_drops$/.test(metric))
    .reduce((sum, { value }) => sum + value, 0)
  return dropped > 0
    ? ['bad', `${count(dropped, 'packet')} dropped in ${COVERAGE_MINUTES} min`]
    : ['warn', `${count(lost.length, 'gap')} in ${COVERAGE_MINUTES} min`]
}

function agentsSaid({ problem, agents }: Agents): Said {
  if (problem !== null) return ['bad', 'the last change is not used']
  const strayed = agents.filter(({ out_of_scope }) => out_of_scope > 0).length
  if (agents.length === 0) return ['warn', 'none known here']
  return ['good', `${agents.length} known${strayed === 0 ? '' : `, ${strayed} left scope today`}`]
}

function webhooksSaid(webhooks: readonly Webhook[]): Said {
  if (webhooks.length === 0) return ['calm', 'none here']
  const dead = webhooks.reduce((sum, one) => sum + one.dead, 0)
  const queued = webhooks.reduce((sum, one) => sum + one.queued, 0)
  const bad = webhooks.find(({ state }) => state === 'held' || state === 'disabled')
  if (bad !== undefined) return ['bad', `${bad.name} ${bad.state}, ${queued} wait`]
  if (dead > 0) return ['bad', `${dead} not delivered`]
  const failing = webhooks.find(fails)
  if (failing !== undefined) return ['bad', `${failing.name} fails, ${queued} wait`]
  return ['good', queued === 0 ? 'all delivered' : `${queued} wait`]
}

function revocationsSaid({ killed, here, revocations }: Revocations): Said {
  if (!here) return ['calm', 'decided elsewhere']
  if (killed) return ['warn', 'all stopped']
  const failed = revocations.filter(({ state }) => state === 'failed').length
  const waiting = revocations.filter(({ state }) => state === 'waiting').length
  if (failed > 0) return ['bad', `${failed} failed`]
  return waiting > 0 ? ['warn', `${waiting} wait for a decision`] : ['good', 'nothing waits']
}
