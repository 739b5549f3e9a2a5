// Faults on command, so that a client can be tested against them. Each command is one line:
//
//   refuse | accept          stop listening and drop all connections; listen again
//   hang | slow MS           take requests and never answer; answer later
//   fail CODE N [AFTER]      refuse N inserts with this code, after AFTER good ones
//   drop N [AFTER]           cut the connection of N inserts before anything is done
//   cut N [AFTER]            do N inserts and cut their connections before the answer
//   stall N [AFTER]          take N inserts, do nothing and never answer
//   mute N [AFTER]           do N inserts and never answer
//   die AFTER | die-late AFTER   kill -9 itself before, or after, the next insert but AFTER
//   calm                     all of this is over
//   count                    tell how many requests and inserts came
//
// Faults of inserts wait for each other: the second begins to count when the first is over.

import { FrontError } from './errors.mjs'

const WORDS = new Map([
  [202, ['TOO_MANY_SIMULTANEOUS_QUERIES', 'Too many simultaneous queries']],
  [209, ['SOCKET_TIMEOUT', 'Timeout exceeded while reading from socket']],
  [241, ['MEMORY_LIMIT_EXCEEDED', 'Memory limit (total) exceeded: would use 1.01 GiB']],
  [242, ['TABLE_IS_READ_ONLY', 'Table is in readonly mode']],
  [243, ['NOT_ENOUGH_SPACE', 'Cannot reserve 1.00 MiB, not enough space']],
  [
    252,
    [
      'TOO_MANY_PARTS',
      'Too many parts (3001). Merges are processing significantly slower than inserts',
    ],
  ],
])

export class Faults {
  hanging = false
  slowMillis = 0
  requests = 0
  inserts = 0
  /** @type {{kind: string, times: number, after: number, code?: number}[]} */
  #plan = []

  /** @returns {{kind: 'good' | 'cut' | 'drop' | 'die' | 'die-late'}} what happens to this insert. @throws FrontError */
  insert() {
    this.inserts++
    const fault = this.#plan[0]
    if (fault === undefined || fault.after-- > 0) return { kind: 'good' }
    if (--fault.times <= 0) this.#plan.shift()
    if (fault.kind !== 'fail') return { kind: fault.kind }
    const [word, text] = WORDS.get(fault.code) ?? ['UNKNOWN_EXCEPTION', 'Made on command']
    throw new FrontError(fault.code, word, text)
  }

  /** Takes a command; false if it is none. */
  command(line) {
    const [kind, ...rest] = line.trim().split(/\s+/)
    const numbers = rest.map(Number)
    if (numbers.some((number) => !Number.isInteger(number) || number < 0)) return false
    const [a, b, c] = numbers
    if (kind === 'hang') this.hanging = true
    else if (kind === 'slow' && a !== undefined) this.slowMillis = a
    else if (kind === 'fail' && b !== undefined)
      this.#plan.push({ kind, code: a, times: b, after: c ?? 0 })
    else if (['cut', 'drop', 'stall', 'mute'].includes(kind) && a !== undefined)
      this.#plan.push({ kind, times: a, after: b ?? 0 })
    else if ((kind === 'die' || kind === 'die-late') && a !== undefined)
      this.#plan.push({ kind, times: 1, after: a })
    else if (kind === 'calm') {
      this.hanging = false
      this.slowMillis = 0
      this.#plan = []
    } else return false
    return true
  }
}
