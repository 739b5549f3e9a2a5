// What rows have of their judgements, most of it words. A judgement holds for many flows of many chunks, and its words
// are the same each time: they are numbered once, and a chunk's block asks for the code of a number, which it has made at
// most once. So the words of a row are thirteen look-ups in arrays, instead of as many in maps of text, and no object is
// touched for them. Destinations, of which a chunk has thousands, are numbered in the same way.

import type { Block, Dictionary } from './block.ts'
import type { JudgementColumns, Verdict } from './flow.ts'
import type { Judgement } from './judge.ts'

/** The columns that are the judgement's, not the flow's. */
const WORD_COLUMNS = [
  'side',
  'verdict',
  'agent',
  'candidates',
  'method',
  'grade',
  'evidence',
  'direction',
  'rule',
  'scope_version',
  'reason_codes',
  'reason_weights',
  'reason_evidence',
] as const

type Value = string | readonly (string | number)[]
/** A column of the block. Each of them takes the values that a judgement has for it. */
type WordColumn = Dictionary<Value>

/** What a judgement says in each of WORD_COLUMNS. */
function valuesOf(judgement: Judgement): Value[] {
  const { reasons } = judgement
  return [
    judgement.side,
    judgement.verdict,
    judgement.agent,
    judgement.candidates,
    judgement.method,
    judgement.grade,
    judgement.evidence,
    judgement.direction,
    judgement.rule,
    judgement.scopeVersion,
    reasons.map(({ code }) => code),
    reasons.map(({ weight }) => weight),
    reasons.map(({ evidence }) => evidence),
  ]
}

/** Between the items of a list; text from outside is escaped before it comes here, so it cannot hold it. */
const UNIT_SEPARATOR = '\u001f'

/** Values of one column, each of which has a number for as long as the vocabulary is held. */
class Vocabulary<V extends Value> {
  readonly #values: V[] = []
  readonly #numbers = new Map<string, number>()
  /** By number: which chunk's block gave the code, and the code. */
  #codes = new Int32Array(2 * 64)

  get size(): number {
    return this.#values.length
  }

  number(value: V): number {
    const key =
      typeof value === 'string'
        ? value
        : `${value.length}${UNIT_SEPARATOR}${value.join(UNIT_SEPARATOR)}`
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.#values.push(value) - 1
      this.#numbers.set(key, number)
      if (2 * number === this.#codes.length) this.#codes = longer(this.#codes)
    }
    return number
  }

  /** The code in a chunk's column, which nobody else gives values to. */
  code(number: number, chunk: number, column: Dictionary<V>): number {
    const codes = this.#codes
    const at = 2 * number
    if (codes[at] === chunk) return codes[at + 1]!
    codes[at] = chunk
    return (codes[at + 1] = column.append(this.#values[number]!))
  }
}

function longer(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}

/** Destinations with which a chunk may begin; it may add some thousands. */
const DESTINATIONS_MAX = 65_536

/** Numbers of destinations. Another one knows nothing of those of this one. */
export type Destinations = Vocabulary<string>

/** The words of the judgements of a book, and of the destinations of flows. */
export class JudgementWords {
  #vocabularies = vocabularies()
  /** Of each of WORD_COLUMNS, by the number of the judgement in its book: the numbers of its words. */
  #numbers = WORD_COLUMNS.map(() => new Int32Array(1024))
  /** Its port and score, a word each. */
  #ports = new Int32Array(1024)
  #scores = new Int32Array(1024)
  #destinations: Destinations = new Vocabulary()
  #chunk = 0

  /** Whoever keeps numbers of it keeps them for as long as it is the same object. */
  get destinations(): Destinations {
    return this.#destinations
  }

  /** Another block begins, whose dictionaries are empty. */
  begin(): void {
    this.#chunk++
    if (this.#destinations.size >= DESTINATIONS_MAX) this.#destinations = new Vocabulary()
  }

  /** Forgets all judgements. */
  clear(): void {
    this.#vocabularies = vocabularies()
  }

  /** The code of a destination, by its number, in the block that was begun. */
  destination(number: number, column: Dictionary<string>): number {
    return this.#destinations.code(number, this.#chunk, column)
  }

  /** Learns a judgement. @param number its own, for as long as nothing is cleared */
  learn(number: number, judgement: Judgement): void {
    if (number >= this.#ports.length) {
      this.#numbers = this.#numbers.map(longer)
      this.#ports = longer(this.#ports)
      this.#scores = longer(this.#scores)
    }
    for (const [i, value] of valuesOf(judgement).entries())
      this.#numbers[i]![number] = this.#vocabularies[i]!.number(value)
    this.#ports[number] = judgement.port
    this.#scores[number] = judgement.score
  }

  /**
   * Fills the columns of the block that was begun, one after the other; how many rows have which verdict.
   * @param judgements by row: the number of one that was learnt
   */
  fill(judgements: Uint32Array, block: Block<JudgementColumns>): Map<Verdict, number> {
    const { rows, columns: c } = block
    for (const [i, column] of wordColumns(block).entries())
      fillWords(column, judgements, rows, this.#numbers[i]!, this.#vocabularies[i]!, this.#chunk)
    const { peer_port, score, verdict } = c
    const ports = this.#ports
    const scores = this.#scores
    const counts = new Uint32Array(verdict.values.length)
    for (let row = 0; row < rows; row++) {
      const number = judgements[row]!
      peer_port[row] = ports[number]!
      score[row] = scores[number]!
      counts[verdict.codes[row]!]!++
    }
    return new Map(verdict.values.map((value, code) => [value as Verdict, counts[code]!]))
  }
}

function fillWords(
  column: WordColumn,
  judgements: Uint32Array,
  rows: number,
  numbers: Int32Array,
  vocabulary: Vocabulary<Value>,
  chunk: number,
): void {
  const { codes } = column
  for (let row = 0; row < rows; row++)
    codes[row] = vocabulary.code(numbers[judgements[row]!]!, chunk, column)
}

function vocabularies(): Vocabulary<Value>[] {
  return WORD_COLUMNS.map(() => new Vocabulary())
}

/** The columns of a block in the order of WORD_COLUMNS; nobody else gives them values. */
function wordColumns({ columns }: Block<JudgementColumns>): WordColumn[] {
  return WORD_COLUMNS.map((name) => columns[name] as unknown as WordColumn)
}
