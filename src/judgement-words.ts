// The words of judgements. A judgement holds for many flows of many chunks, and its words are the same each time: they are
// numbered once, and a chunk's block asks for the code of a number, which it has made at most once. So interning a
// judgement in a block is thirteen look-ups in arrays, instead of as many in maps of text.

import type { Block, Dictionary } from './block.ts'
import type { JudgementColumns } from './flow.ts'
import type { Judgement } from './judge.ts'

/** The columns that are the judgement's, not the flow's. */
export const WORD_COLUMNS = [
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
export type WordColumn = Dictionary<Value>

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

/** Values of one column. */
class Vocabulary {
  readonly values: Value[] = []
  readonly #numbers = new Map<string, number>()
  /** Which chunk's block gave the code. */
  #chunkOf = new Int32Array(64)
  #codes = new Int32Array(64)

  number(value: Value): number {
    const key = typeof value === 'string' ? value : value.join(UNIT_SEPARATOR)
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.values.push(value) - 1
      this.#numbers.set(key, number)
      if (number === this.#codes.length) {
        this.#chunkOf = longer(this.#chunkOf)
        this.#codes = longer(this.#codes)
      }
    }
    return number
  }

  code(number: number, chunk: number, column: WordColumn): number {
    if (this.#chunkOf[number] === chunk) return this.#codes[number]!
    const code = column.code(this.values[number]!)
    this.#chunkOf[number] = chunk
    this.#codes[number] = code
    return code
  }
}

function longer(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}

/** The words of the judgements of a book. */
export class JudgementWords {
  #vocabularies = WORD_COLUMNS.map(() => new Vocabulary())
  /** By the number of the judgement in its book: the numbers of its words. */
  #numbers: (Int32Array | undefined)[] = []
  #chunk = 0

  /** Another block begins, whose dictionaries are empty. */
  begin(): void {
    this.#chunk++
  }

  /** Forgets all. */
  clear(): void {
    this.#vocabularies = WORD_COLUMNS.map(() => new Vocabulary())
    this.#numbers = []
  }

  /**
   * Writes the codes of a judgement's words to `to` at `at`, in the order of WORD_COLUMNS.
   * @param number the judgement's own, for as long as nothing is cleared
   * @param columns of the block that was begun, in the same order
   */
  codes(
    number: number,
    judgement: Judgement,
    columns: readonly WordColumn[],
    to: Int32Array,
    at: number,
  ): void {
    const vocabularies = this.#vocabularies
    let numbers = this.#numbers[number]
    if (numbers === undefined) {
      numbers = Int32Array.from(valuesOf(judgement), (value, i) => vocabularies[i]!.number(value))
      this.#numbers[number] = numbers
    }
    for (let i = 0; i < numbers.length; i++)
      to[at + i] = vocabularies[i]!.code(numbers[i]!, this.#chunk, columns[i]!)
  }
}

/** The columns of a block in the order of WORD_COLUMNS. */
export function wordColumns({ columns }: Block<JudgementColumns>): WordColumn[] {
  return WORD_COLUMNS.map((name) => columns[name] as unknown as WordColumn)
}
