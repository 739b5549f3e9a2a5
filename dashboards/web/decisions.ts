// Revocations that wait for somebody's yes or no: what would be sent is shown before anything is.

import { ask, type Revocation, ServerError } from './server.ts'
import { byId, element, localTime, shortName, utcTime } from './words.ts'

interface Request {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}

const section = byId('decisions', HTMLElement)
const list = byId('decision-list', HTMLUListElement)
const counted = byId('decisions-count', HTMLElement)
const dialog = byId('decide', HTMLDialogElement)
const form = byId('decide-form', HTMLFormElement)
const why = byId('decide-why', HTMLInputElement)
const yes = byId('decide-yes', HTMLButtonElement)
const problem = byId('decide-problem', HTMLElement)

const SHOWN_MAX = 100

const order = ({ deadline, asked_at, id }: Revocation) => `${deadline ?? asked_at} ${id}`

export class Decisions {
  readonly #onDecided: (revocation: Revocation) => void
  readonly #waiting = new Map<string, Revocation>()
  #mayDecide = false
  #asked: { revocation: Revocation; verb: 'approve' | 'reject' } | undefined

  constructor(onDecided: (revocation: Revocation) => void) {
    this.#onDecided = onDecided
    byId('decide-no', HTMLButtonElement).addEventListener('click', () => dialog.close())
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#decide()
    })
    list.addEventListener('click', (event) => {
      const button = event.target instanceof Element ? event.target.closest('button') : null
      const revocation = this.#waiting.get(button?.dataset.id ?? '')
      if (revocation === undefined) return
      void this.#open(revocation, button?.dataset.verb === 'approve' ? 'approve' : 'reject')
    })
  }

  set role(role: string) {
    this.#mayDecide = role === 'approver' || role === 'admin'
    this.#draw()
  }

  /** What the server holds now. */
  replace(revocations: readonly Revocation[]): void {
    this.#waiting.clear()
    for (const one of revocations) if (one.state === 'waiting') this.#waiting.set(one.id, one)
    this.#draw()
  }

  take(revocation: Revocation): void {
    if (revocation.state === 'waiting') this.#waiting.set(revocation.id, revocation)
    else this.#waiting.delete(revocation.id)
    this.#draw()
  }

  #draw(): void {
    section.hidden = this.#waiting.size === 0
    counted.replaceChildren(String(this.#waiting.size))
    // Whose time is over first stands first, however it came here.
    const sorted = [...this.#waiting.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1))
    const rows = sorted.slice(0, SHOWN_MAX).map((revocation) => {
      const { id, agent, sentence, asked_at, deadline } = revocation
      const until = deadline === null ? '' : `, until ${localTime(deadline).clock}`
      const button = (verb: string, words: string, kind: string) => {
        const made = element(
          'button',
          { type: 'button', class: kind, 'data-id': id, 'data-verb': verb },
          words,
        )
        made.disabled = !this.#mayDecide
        if (made.disabled) made.title = 'This needs the token of an approver'
        return made
      }
      return element(
        'li',
        {},
        element(
          'div',
          {},
          element('strong', {}, sentence),
          element(
            'p',
            { class: 'fine', title: utcTime(asked_at) },
            element('span', { class: 'agent', title: agent }, shortName(agent)),
            ` asked ${localTime(asked_at).clock}${until}`,
          ),
        ),
        element(
          'div',
          { class: 'buttons' },
          button('reject', 'Reject…', ''),
          button('approve', 'Approve…', 'danger'),
        ),
      )
    })
    list.replaceChildren(...rows)
  }

  async #open(revocation: Revocation, verb: 'approve' | 'reject'): Promise<void> {
    this.#asked = { revocation, verb }
    const approving = verb === 'approve'
    byId('decide-title', HTMLElement).replaceChildren(
      element('span', {}, approving ? 'Revoke the access of ' : 'Leave the access of '),
      element('span', { class: 'agent' }, shortName(revocation.agent)),
    )
    byId('decide-sentence', HTMLElement).replaceChildren(element('span', {}, revocation.sentence))
    byId('decide-why-part', HTMLElement).hidden = approving
    byId('decide-request-part', HTMLElement).hidden = !approving
    why.value = ''
    why.required = !approving
    problem.replaceChildren()
    yes.replaceChildren(approving ? 'Revoke now' : 'Reject it')
    yes.classList.toggle('danger', approving)
    yes.disabled = approving
    const request = byId('decide-request', HTMLElement)
    request.replaceChildren('…')
    dialog.showModal()
    if (!approving) return
    try {
      const { method, url, headers, body } = await ask<Request>(
        `revocations/${encodeURIComponent(revocation.id)}/dry-run`,
      )
      const lines = [
        `${method} ${url}`,
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ]
      const texts = [...lines, '', ...body.split('\n')]
      request.replaceChildren(
        ...texts.flatMap((line) => [element('span', {}, line), element('br')]),
      )
      // Nobody says yes to what he did not see.
      yes.disabled = false
    } catch (error) {
      request.replaceChildren()
      this.#say(error)
    }
  }

  async #decide(): Promise<void> {
    if (this.#asked === undefined) return
    const { revocation, verb } = this.#asked
    yes.disabled = true
    try {
      const body = verb === 'approve' ? {} : { why: why.value }
      const decided = await ask<Revocation>(
        `revocations/${encodeURIComponent(revocation.id)}/${verb}`,
        body,
      )
      dialog.close()
      this.take(decided)
      this.#onDecided(decided)
    } catch (error) {
      this.#say(error)
    } finally {
      yes.disabled = false
    }
  }

  #say(error: unknown): void {
    const words = error instanceof ServerError ? error.message : String(error)
    problem.replaceChildren(element('span', {}, words))
  }
}
