// The messages of a slice become what is stored of them: chunks with their judgements, pieces of chunks that killed
// a thread, and those that are given up.
//
// A message is judged when it arrives, as if the store had never seen it, because an alert must not wait for a slice
// to fill nor for a store to answer. When its slice is cut the store is asked; only what it holds under an earlier
// ruling is judged once more, under the next number.

import { decodeChunk } from '../chunk.ts'
import type { ChunkHeader } from '../chunk-header.ts'
import { type JudgeThreads, ThreadDied } from '../judge-threads.ts'
import { rulingOf } from '../pipeline.ts'
import type { ChunkState, SliceChunk, Store } from '../store/store.ts'
import type { AnalyzeTask, Answer } from '../threads.ts'
import { bisect, type Tried } from './bisect.ts'
import type { Dead } from './dead-letters.ts'
import type { FindingSender } from './finding-sender.ts'
import type { Message } from './message.ts'
import type { Patience } from './patience.ts'

/** What judges: agents, scopes and endpoints, compiled, in memory that threads share; and its hash. */
export interface Scopes {
  bytes: Uint8Array
  hash: string
}

export interface JudgingParts {
  threads: Pick<JudgeThreads, 'judge' | 'judgeSuspect' | 'splitSuspect'>
  store: Store
  patience: Patience
  /** What judges now: asked once a message. */
  scopes: () => Scopes
  /** Whether somebody waits for what is found in a chunk; nobody does where undefined. */
  prompt?: ((header: ChunkHeader) => boolean) | undefined
  findings: FindingSender
}

/** A message that is being judged. */
export interface Arrival extends Message {
  /** What judges it, from beginning to end. */
  scopes: Scopes
  /** What came of it under ruling 0; undefined if the bytes are no chunk. */
  first: Promise<Tried<Answer> | undefined>
  /** Resolves when its findings are durable with whoever acts on them. */
  told: Promise<void>
}

/** A chunk, or a piece of one, as it is to be stored. */
export interface JudgedChunk {
  chunk: SliceChunk
  bytes: Uint8Array
  /** Rows of both. */
  judgements: number
  findings: number
}

/** What came of one message. */
export interface JudgedMessage {
  message: Arrival
  /**
   * In the order of its rows; several if it had to be split, none if all of it is dead, or is stored and judged
   * already as it would be now.
   */
  chunks: JudgedChunk[]
  dead: Dead[]
  /** Its findings, and those of its pieces: to be met before the message is committed. */
  told: Promise<void>[]
  /** Memory that can be given back when the slice is stored. */
  owned: Set<Uint8Array>
}

export class Judging {
  readonly #parts: JudgingParts

  constructor(parts: JudgingParts) {
    this.#parts = parts
  }

  /** Has a message judged, and its findings sent. @param signal aborted when nobody wants that any more */
  arrive(message: Message, signal: AbortSignal): Arrival {
    const scopes = this.#parts.scopes()
    const { header } = message
    const first =
      header === undefined
        ? Promise.resolve(undefined)
        : this.#first(message, scopes, this.#parts.prompt?.(header) === true, signal)
    const told = first.then((tried) => this.#tell(header, tried, signal))
    // Both are met when the slice is judged and stored; until then a failure must not count as unhandled.
    for (const promise of [first, told]) promise.catch(() => {})
    return { ...message, scopes, first, told }
  }

  /**
   * What is to be stored of the messages of a slice.
   * @throws the signal's reason; what the store says that waiting cannot mend
   */
  async slice(messages: readonly Arrival[], signal: AbortSignal): Promise<JudgedMessage[]> {
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

  /** What is still waiting for a thread when its partition goes is the next holder's to judge. */
  #first(
    { delivery }: Message,
    scopes: Scopes,
    prompt: boolean,
    signal: AbortSignal,
  ): Promise<Tried<Answer>> {
    return tried(this.#parts.threads.judge(task(delivery.bytes, scopes, 0), prompt, signal))
  }

  async #tell(
    header: ChunkHeader | undefined,
    judged: Tried<Answer> | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (header === undefined || judged === undefined || !('value' in judged)) return
    const { outcome } = judged.value
    if (outcome !== undefined) await this.#parts.findings.send(header, outcome, signal)
  }

  async #message(
    message: Arrival,
    states: ReadonlyMap<string, ChunkState>,
    signal: AbortSignal,
  ): Promise<JudgedMessage> {
    const { header, refused, delivery, scopes } = message
    const first = await message.first
    const told = [message.told]
    const owned = new Set([delivery.bytes])
    const judged: JudgedMessage = { message, chunks: [], dead: [], told, owned }
    if (header === undefined || first === undefined) {
      const { reason, detail } = refused ?? { reason: 'garbage', detail: '' }
      judged.dead.push({ message, reason, detail, bytes: delivery.bytes, header })
      return judged
    }
    const state = states.get(header.id)
    const ruling = rulingOf(state, scopes.hash)
    if ('value' in first) own(judged, first.value)
    // It came twice, or an earlier attempt had all but committed it. What only has its id is not it.
    const itself = !('value' in first) || first.value.refused === undefined
    const stored = state?.held?.judgedKey === scopes.hash
    if (stored && itself && state.restore === undefined) return judged
    const opinion =
      ruling === 0 || 'died' in first
        ? first
        : await tried(this.#parts.threads.judge(task(delivery.bytes, scopes, ruling)))
    if ('value' in opinion) take(judged, delivery.bytes, ruling, opinion.value)
    else {
      // A thread that was given up may still read what it was given.
      owned.delete(delivery.bytes)
      await this.#suspect(judged, ruling, signal)
    }
    return judged
  }

  /** A thread died with it: tried once more alone, then halved. */
  async #suspect(judged: JudgedMessage, ruling: number, signal: AbortSignal): Promise<void> {
    const { threads } = this.#parts
    const { scopes, delivery } = judged.message
    const alone = (bytes: Uint8Array, number: number) =>
      tried(threads.judgeSuspect(task(bytes, scopes, number)))
    const again = await alone(delivery.bytes, ruling)
    if ('value' in again) return this.#takeSuspect(judged, delivery.bytes, ruling, again, signal)
    const found = await bisect<{ again: { value: Answer }; ruling: number }>(
      delivery.bytes,
      again.died,
      {
        attempt: async (piece) => {
          signal.throwIfAborted()
          const { id } = decodeChunk(piece).header
          const number = rulingOf((await this.#states([id], signal)).get(id), scopes.hash)
          const one = await alone(piece, number)
          return 'value' in one ? { value: { again: one, ruling: number } } : one
        },
        // Whose halves cannot even be made without a death is as small as it gets.
        split: (piece) =>
          threads.splitSuspect({ chunk: piece }).catch((error: unknown) => {
            if (error instanceof ThreadDied) return []
            throw error
          }),
      },
    )
    for (const { bytes, value } of found.alive)
      this.#takeSuspect(judged, bytes, value.ruling, value.again, signal)
    for (const { bytes, died } of found.dead) {
      const { header } = decodeChunk(bytes)
      const detail = `it killed the thread that worked on it: ${died}`
      judged.dead.push({ message: judged.message, reason: 'killed_worker', detail, bytes, header })
    }
  }

  /** Adds what came of a suspect that is none, or of a piece; nobody has heard of its findings. */
  #takeSuspect(
    judged: JudgedMessage,
    bytes: Uint8Array,
    ruling: number,
    { value }: { value: Answer },
    signal: AbortSignal,
  ): void {
    take(judged, bytes, ruling, value)
    if (bytes !== judged.message.delivery.bytes) judged.owned.add(bytes)
    const told = this.#tell(decodeChunk(bytes).header, { value }, signal)
    told.catch(() => {})
    judged.told.push(told)
  }
}

function task(chunk: Uint8Array, { bytes, hash }: Scopes, ruling: number): AnalyzeTask {
  return { chunk, snapshot: bytes, snapshotHash: hash, ruling }
}

/** What a thread answers, or that it died. */
async function tried(answer: Promise<Answer>): Promise<Tried<Answer>> {
  try {
    return { value: await answer }
  } catch (error) {
    if (error instanceof ThreadDied) return { died: error.message }
    throw error
  }
}

function own(judged: JudgedMessage, { outcome }: Answer): void {
  if (outcome === undefined) return
  judged.owned.add(outcome.judgements)
  judged.owned.add(outcome.findings)
}

/** Adds what came of a chunk or a piece. */
function take(judged: JudgedMessage, bytes: Uint8Array, ruling: number, answer: Answer): void {
  const { header, parts } = decodeChunk(bytes)
  if (answer.refused !== undefined) {
    judged.dead.push({ message: judged.message, ...answer.refused, bytes, header })
    return
  }
  own(judged, answer)
  const { judgements, findings, judgementRows, findingRows } = answer.outcome
  const judgedKey = judged.message.scopes.hash
  judged.chunks.push({
    chunk: { header, parts, judgements, findings, ruling, judgedKey },
    bytes,
    judgements: judgementRows,
    findings: findingRows,
  })
}
