// Mails by the time they are due: a binary heap, so that taking the next one does not depend on how many wait.

import type { Mail } from './mail.ts'

export class DueQueue {
  readonly #heap: { mail: Mail; due: number; turn: number }[] = []
  #turns = 0

  get size(): number {
    return this.#heap.length
  }

  /** When the next one is due; undefined if there is none. */
  get nextAt(): number | undefined {
    return this.#heap[0]?.due
  }

  /** Adds a mail, to be taken at that time. Of one moment, those that came first go first. */
  add(mail: Mail, due: number): void {
    const heap = this.#heap
    const one = { mail, due, turn: this.#turns++ }
    let at = heap.push(one) - 1
    for (; at > 0; ) {
      const above = (at - 1) >> 1
      if (!before(one, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = one
  }

  peek(): Mail | undefined {
    return this.#heap[0]?.mail
  }

  take(): Mail | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first?.mail
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const right = left + 1
      if (left >= heap.length) break
      const least = right < heap.length && before(heap[right]!, heap[left]!) ? right : left
      if (!before(heap[least]!, last)) break
      heap[at] = heap[least]!
      at = least
    }
    heap[at] = last
    return first.mail
  }

  /** Takes all, in no order. */
  drain(): Mail[] {
    return this.#heap.splice(0).map(({ mail }) => mail)
  }
}

function before(a: { due: number; turn: number }, b: { due: number; turn: number }): boolean {
  return a.due < b.due || (a.due === b.due && a.turn < b.turn)
}
