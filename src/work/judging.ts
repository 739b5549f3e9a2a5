// The messages of a slice become what is stored of them: chunks with their judgements, pieces of chunks that killed
// a thread, and those that are given up.

import { decodeChunk } from '../chunk.ts'
import { type JudgeThreads, ThreadDied } from '../judge-threads.ts'
import { rulingOf } from '../pipeline.ts'
import type { ChunkState, SliceChunk, Store } from '../store/store.ts'
import type { AnalyzeTask, Answer } from '../threads.ts'
import { bisect, type Tried } from './bisect.ts'
import type { Dead } from './dead-letters.ts'
import type { Message } from './message.ts'
import type { Patience } from './patience.ts'

export interface JudgingParts {
  threads: Pick<JudgeThreads, 'judge' | 'judgeSuspect' | 'splitSuspect'>
  store: Store
  patience: Patience
  snapshot: Uint8Array
  /** Hash of the snapshot. */
  judgedKey: string
}

/** A chunk, or a piece of one, as it is to be stored. */
export interface JudgedChunk {
  chunk: SliceChunk
  bytes: Uint8Array<ArrayBuffer>
  /** Rows of both. */
  judgements: number
  findings: number
}

/** What came of one message. */
export interface JudgedMessage {
  message: Message
  /**
   * In the order of its rows; several if it had to be split, none if all of it is dead, or is stored and judged
   * already as it would be now.
   */
  chunks: JudgedChunk[]
  dead: Dead[]
  /** Memory that can be given back when the slice is stored. */
  owned: Uint8Array<ArrayBuffer>[]
}

export class Judging {
  readonly #parts: JudgingParts

  constructor(parts: JudgingParts) {
    this.#parts = parts
  }

  /**
   * Judges the messages of a slice side by side.
   * @throws the signal's reason; what the store says that waiting cannot mend
   */
  async slice(messages: readonly Message[], signal: AbortSignal): Promise<JudgedMessage[]> {
    const states = await this.states(messages, signal)
    return await Promise.all(messages.map((message) => this.#message(message, states, signal)))
  }

  /** How far the chunks of these messages came, by one question for all. */
  async states(
    messages: readonly Message[],
    signal: AbortSignal,
  ): Promise<Map<string, ChunkState>> {
    const ids = messages.flatMap(({ header }) => (header === undefined ? [] : [header.id]))
    return await this.#states(ids, signal)
  }

  async #states(ids: readonly string[], signal: AbortSignal): Promise<Map<string, ChunkState>> {
    if (ids.length === 0) return new Map()
    const { patience, store } = this.#parts
    return await patience.ask(() => store.completed([...new Set(ids)]), signal)
  }

  async #message(
    message: Message,
    states: ReadonlyMap<string, ChunkState>,
    signal: AbortSignal,
  ): Promise<JudgedMessage> {
    const { header, refused, delivery } = message
    const judged: JudgedMessage = { message, chunks: [], dead: [], owned: [delivery.bytes] }
    if (header === undefined) {
      const { reason, detail } = refused ?? { reason: 'garbage', detail: '' }
      judged.dead.push({ message, reason, detail, bytes: delivery.bytes, header })
      return judged
    }
    const state = states.get(header.id)
    // It came twice, or an earlier attempt had all but committed it.
    const stored = state?.held?.judgedKey === this.#parts.judgedKey
    if (stored && state.restore === undefined) return judged
    const ruling = rulingOf(state, this.#parts.judgedKey)
    try {
      const answer = await this.#parts.threads.judge(this.#task(delivery.bytes, ruling))
      take(judged, delivery.bytes, ruling, answer, this.#parts.judgedKey)
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      await this.#suspect(judged, ruling, signal)
    }
    return judged
  }

  #task(chunk: Uint8Array, ruling: number): AnalyzeTask {
    const { snapshot, judgedKey } = this.#parts
    return { chunk, snapshot, snapshotHash: judgedKey, ruling }
  }

  /** A thread died with it: tried once more alone, then halved. */
  async #suspect(judged: JudgedMessage, ruling: number, signal: AbortSignal): Promise<void> {
    const { bytes } = judged.message.delivery
    const { judgedKey, threads } = this.#parts
    const again = await this.#tryAlone(bytes, ruling)
    if ('value' in again) return take(judged, bytes, ruling, again.value, judgedKey)
    const found = await bisect<{ answer: Answer; ruling: number }>(bytes, again.died, {
      attempt: async (piece) => {
        signal.throwIfAborted()
        const { id } = decodeChunk(piece).header
        const number = rulingOf((await this.#states([id], signal)).get(id), judgedKey)
        const tried = await this.#tryAlone(piece, number)
        return 'value' in tried ? { value: { answer: tried.value, ruling: number } } : tried
      },
      // Whose halves cannot even be made without a death is as small as it gets.
      split: (piece) =>
        threads.splitSuspect({ chunk: piece }).catch((error: unknown) => {
          if (error instanceof ThreadDied) return []
          throw error
        }),
    })
    for (const { bytes: piece, value } of found.alive) {
      judged.owned.push(piece)
      take(judged, piece, value.ruling, value.answer, judgedKey)
    }
    for (const { bytes: piece, died } of found.dead) {
      const { header } = decodeChunk(piece)
      const detail = `it killed the thread that worked on it: ${died}`
      judged.dead.push({
        message: judged.message,
        reason: 'killed_worker',
        detail,
        bytes: piece,
        header,
      })
    }
  }

  async #tryAlone(bytes: Uint8Array, ruling: number): Promise<Tried<Answer>> {
    try {
      return { value: await this.#parts.threads.judgeSuspect(this.#task(bytes, ruling)) }
    } catch (error) {
      if (error instanceof ThreadDied) return { died: error.message }
      throw error
    }
  }
}

/** Adds what came of a chunk or a piece. */
function take(
  judged: JudgedMessage,
  bytes: Uint8Array<ArrayBuffer>,
  ruling: number,
  answer: Answer,
  judgedKey: string,
): void {
  const { header, parts } = decodeChunk(bytes)
  if (answer.refused !== undefined) {
    judged.dead.push({ message: judged.message, ...answer.refused, bytes, header })
    return
  }
  const { judgements, findings, judgementRows, findingRows } = answer.outcome
  judged.owned.push(judgements, findings)
  judged.chunks.push({
    chunk: { header, parts, judgements, findings, ruling, judgedKey },
    bytes,
    judgements: judgementRows,
    findings: findingRows,
  })
}
