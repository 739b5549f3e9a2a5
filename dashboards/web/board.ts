// The list of alerts: newest first, a bounded number of rows, filtered by words; held back while it is paused.

import { AlertRow } from './alert-row.ts'
import { showEvidence } from './evidence.ts'
import type { Alert, Delivery } from './server.ts'

/** Rows in the document. The oldest that is not open goes when there are more. */
export const ROWS_MAX = 500
/** Alerts held back while the list is paused; of more only the number is known. */
export const HELD_MAX = 500

export interface BoardNumbers {
  rows: number
  matching: number
  /** New ones that are not shown yet. */
  held: number
}

export class Board {
  readonly #list: HTMLOListElement
  readonly #onChange: (numbers: BoardNumbers) => void
  readonly #rows = new Map<string, AlertRow>()
  /** Newest first, as in the document. */
  readonly #order: AlertRow[] = []
  readonly #held = new Map<string, Alert>()
  #heldBeyond = 0
  #paused = false
  #words: readonly string[] = []

  constructor(list: HTMLOListElement, onChange: (numbers: BoardNumbers) => void) {
    this.#list = list
    this.#onChange = onChange
    list.addEventListener('click', (event) => {
      const opener = event.target instanceof Element ? event.target.closest('.open') : null
      const row = this.#order.find((one) => one.opener === opener)
      if (row !== undefined) this.#toggle(row)
    })
  }

  get paused(): boolean {
    return this.#paused
  }

  /** More came while it was paused than could be kept: the list must be read anew to be whole. */
  get incomplete(): boolean {
    return this.#heldBeyond > 0
  }

  set paused(paused: boolean) {
    this.#paused = paused
    if (!paused) this.showHeld()
    this.#tell()
  }

  /** Alerts that were read or told: new ones come in, known ones change. `fresh` ones are marked for a moment. */
  take(alerts: readonly Alert[], fresh: boolean): void {
    for (const alert of alerts) {
      const known = this.#rows.get(alert.id)
      if (known !== undefined) {
        known.update(alert)
        this.#filter(known)
      } else if (!this.#paused || !fresh) this.#insert(new AlertRow(alert), fresh)
      else if (this.#held.has(alert.id) || this.#held.size < HELD_MAX)
        this.#held.set(alert.id, alert)
      else this.#heldBeyond++
    }
    this.#trim()
    this.#tell()
  }

  /** What is known of a delivery of some alerts. */
  delivery(ids: readonly string[], delivery: Delivery): void {
    for (const id of ids)
      this.#change(id, (alert) => ({
        ...alert,
        deliveries: [
          ...alert.deliveries.filter(({ endpoint }) => endpoint !== delivery.endpoint),
          delivery,
        ].sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1)),
      }))
  }

  revocation(alertId: string, id: string, state: string): void {
    this.#change(alertId, (alert) => ({
      ...alert,
      revocations: [...alert.revocations.filter((one) => one.id !== id), { id, state }],
    }))
  }

  showHeld(): void {
    const held = [...this.#held.values()]
    this.#held.clear()
    this.#heldBeyond = 0
    for (const alert of held) if (!this.#rows.has(alert.id)) this.#insert(new AlertRow(alert), true)
    this.#trim()
    this.#tell()
  }

  /** Shows rows that hold all of the words. */
  set filter(text: string) {
    this.#words = text.toLowerCase().split(/\s+/).filter(Boolean)
    for (const row of this.#order) this.#filter(row)
    this.#tell()
  }

  /** Moves the focus: 1 to the next row, -1 to the one before. */
  move(step: 1 | -1): void {
    const visible = this.#order.filter((row) => !row.element.hidden)
    const at = visible.findIndex((row) => row.element.contains(document.activeElement))
    const next = visible[at < 0 ? (step === 1 ? 0 : visible.length - 1) : at + step]
    next?.opener.focus()
    next?.element.scrollIntoView({ block: 'nearest' })
  }

  clear(): void {
    this.#rows.clear()
    this.#order.length = 0
    this.#held.clear()
    this.#heldBeyond = 0
    this.#list.replaceChildren()
    this.#tell()
  }

  #change(id: string, change: (alert: Alert) => Alert): void {
    const row = this.#rows.get(id)
    const held = this.#held.get(id)
    if (row !== undefined) row.update(change(row.alert))
    else if (held !== undefined) this.#held.set(id, change(held))
  }

  #insert(row: AlertRow, fresh: boolean): void {
    this.#rows.set(row.alert.id, row)
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#order[middle]!.key > row.key) low = middle + 1
      else high = middle
    }
    const after = this.#order[low]
    this.#order.splice(low, 0, row)
    this.#list.insertBefore(row.element, after?.element ?? null)
    if (fresh) row.element.classList.add('fresh')
    this.#filter(row)
  }

  #trim(): void {
    for (let at = this.#order.length - 1; at >= 0 && this.#order.length > ROWS_MAX; at--) {
      const row = this.#order[at]!
      if (!row.panel.hidden) continue
      this.#order.splice(at, 1)
      this.#rows.delete(row.alert.id)
      row.element.remove()
    }
  }

  #filter(row: AlertRow): void {
    row.element.hidden = !this.#words.every((word) => row.haystack.includes(word))
  }

  #toggle(row: AlertRow): void {
    const open = row.panel.hidden === true
    row.panel.hidden = !open
    row.opener.setAttribute('aria-expanded', String(open))
    row.element.classList.toggle('opened', open)
    if (open) void showEvidence(row.panel, row.alert, () => row.panel.hidden === false)
  }

  #tell(): void {
    this.#onChange({
      rows: this.#order.length,
      matching: this.#order.filter((row) => !row.element.hidden).length,
      held: this.#held.size + this.#heldBeyond,
    })
  }
}
