// One slice into the store: intent, insert, dead letters, commit. What is written here keeps a row from being lost or
// doubled, whoever dies, stalls or is replaced in the middle of it.
//
// Of a slice there may be several writers in the course of time, called attempts: the first holder of the partition
// (A) and, after it died or lost the partition, the next (B). The argument, step by step:
//
// 1. Nothing is lost. The position moves behind a slice (commit) only after all of it is durable: rows in the store,
//    findings with whoever acts on them, dead letters on their stream. Who dies before that leaves the position where it was.
// 2. B does what A did. Before A writes it records the intent: first and last offset. B is handed it and repeats those
//    messages together, so the rows, the blocks and the tokens are the same (a token is a hash of what is inserted:
//    src/store/slice.ts). The store drops a block whose token it knows, also when both arrive at the same moment.
// 3. A does not write after B began, whatever it thinks. Every INSERT passes the fence: it looks whether the claim is
//    lost, and if the last proof that it was not is older than `fenceMillis`, asks the bus again by renewing the
//    intent, which is refused to a former holder. A member that lives gives its partitions up before another gets
//    them (the claim is lost at that moment); one that was stopped (SIGSTOP) loses them after the session's
//    time-out, three times `fenceMillis`, and finds at the fence, when it goes on, that its proof is too old.
// 4. So when B begins, at most one INSERT of A is under way for each table, and no other will follow. A's go in three
//    steps that do not overlap: intents, rows, complete. B looks what is known of the chunks before it writes:
//    - A's intents are not there: A's INSERT of them may be under way, nothing else. B's is equal: by token one of them.
//    - They are: B counts the rows of each chunk. An INSERT of A under way is counted whole or not at all, because an
//      INSERT is one block into one partition; if it was not counted, B sends the same block with the same token.
//    - All is complete: B writes nothing.
//    A and B may judge by different agent files. Then their rulings have different numbers, unless B looked before A's
//    intents were there; in that case A's next INSERT does not pass the fence, and no judgement of it was written.
// 5. Another cut of the same chunks has other tokens, so it is made only when no INSERT of an earlier one can be under
//    way: after the store has said no to the whole, or after a wait (`recutMillis`) that is longer than an INSERT can
//    take (a server ends it by itself). The first is noted in the intent, so that whoever is next goes on like this.
//
// What remains: A stopped after it passed the fence and before the first byte of an INSERT left it, for longer than
// the session's time-out, and the store has forgotten the token (10,000 blocks of a table) when A goes on. And a
// chunk that is on two partitions (their number was changed while a sensor sent it again) and is stored from both in
// the same second. Neither is silent: the auditor counts every row of every chunk.

import { type Claim, ClaimLost, type IntendedSlice, type Intent } from '../bus/bus.ts'
import { failpoint } from '../failpoint.ts'
import { sha256Hex } from '../hash.ts'
import { recordsOf, sliceKey } from '../pipeline.ts'
import type { SliceChunk } from '../store/store.ts'
import type { ClaimTools } from './claim-work.ts'
import { bury, type Dead } from './dead-letters.ts'
import type { JudgedMessage } from './judging.ts'
import type { Message } from './message.ts'
import { storeTroubleOf } from './store-trouble.ts'

/** Begins the token of a slice whose chunks are inserted one by one. */
const EACH = 'each:'
/** What the store takes as one. */
const CHUNKS_MAX = 64

/** What was stored in the end, and what the store will not take of it. */
interface Inserted {
  judged: readonly JudgedMessage[]
  refused: Dead[]
}

export class SliceWriter {
  readonly #claim: Claim
  readonly #tools: ClaimTools
  readonly #end: AbortSignal
  #fencedAt = Number.NEGATIVE_INFINITY

  /** @param end aborted when the claim is lost or the worker gives up */
  constructor(claim: Claim, tools: ClaimTools, end: AbortSignal) {
    this.#claim = claim
    this.#tools = tools
    this.#end = end
  }

  /**
   * Stores what came of these messages, and commits them.
   * @param before the intent that was found of them, if there was one
   * @param attempt 1, or one more than that of `before`
   * @throws ClaimLost, the end's reason, or what neither waiting nor a dead letter can mend
   */
  async write(
    judged: readonly JudgedMessage[],
    attempt: number,
    before?: IntendedSlice,
  ): Promise<void> {
    const { letters, progress, clock } = this.#tools
    const messages = judged.map(({ message }) => message)
    const each = before?.token.startsWith(EACH) === true
    const inserted = await this.#insert(judged, attempt, each)
    const dead = [...inserted.judged.flatMap((one) => one.dead), ...inserted.refused]
    await bury(dead, letters, this.#end)
    for (const one of dead) this.#told(one)
    await Promise.all(inserted.judged.flatMap(({ told }) => told))
    await this.#claim.commit(messages.at(-1)!.delivery.offset + 1n)
    this.#tools.unfinished.delete(this.#claim.partition)
    progress.counts.commits++
    progress.lastCommit = clock()
    this.#count(inserted)
  }

  /** Intent and rows. */
  async #insert(
    judged: readonly JudgedMessage[],
    attempt: number,
    each: boolean,
  ): Promise<Inserted> {
    if (judged.every(({ chunks }) => chunks.length === 0)) return { judged, refused: [] }
    const { progress, clock, log } = this.#tools
    const messages = judged.map(({ message }) => message)
    const slice = intendedSlice(messages)
    const together: Intent = { attempt, slices: [slice] }
    const oneByOne: Intent = { attempt, slices: [{ ...slice, token: EACH + slice.token }] }
    await failpoint('F4_fetch_intent')
    await this.#intend(each ? oneByOne : together)
    await failpoint('F5_intent_insert')
    const begun = clock()
    let now = judged
    let refused: Dead[] = []
    if (each) refused = await this.#insertEach(now, oneByOne)
    else
      try {
        await this.#insertTogether(now, together)
      } catch (error) {
        const trouble = storeTroubleOf(error)
        if (trouble !== 'contradicted' && trouble !== 'refused') throw error
        const reason = (error as Error).message
        log('warn', 'the store does not take the slice; its chunks are tried one by one', {
          reason,
        })
        await this.#intend(oneByOne)
        // The rulings may have moved on since they were looked up: a worker with other agent files was here.
        if (trouble === 'contradicted') now = await this.#tools.judging.slice(messages, this.#end)
        refused = await this.#insertEach(now, oneByOne)
      }
    progress.counts.insertSeconds += (clock() - begun) / 1000
    await failpoint('F7_insert_commit')
    return { judged: now, refused }
  }

  async #insertTogether(judged: readonly JudgedMessage[], intent: Intent): Promise<void> {
    const chunks = judged.flatMap((one) => one.chunks).map(({ chunk }) => chunk)
    const key = keyOf(judged)
    for (let at = 0; at < chunks.length; at += CHUNKS_MAX)
      await this.#insertChunks(key, chunks.slice(at, at + CHUNKS_MAX), intent)
  }

  /** One chunk after the other. @returns those that the store will not take */
  async #insertEach(judged: readonly JudgedMessage[], intent: Intent): Promise<Dead[]> {
    const refused: Dead[] = []
    for (const { message, chunks } of judged)
      for (const { chunk, bytes } of chunks)
        try {
          await this.#insertChunks(sliceKey([chunk]), [chunk], intent)
        } catch (error) {
          const reason = storeTroubleOf(error)
          if (reason !== 'contradicted' && reason !== 'refused') throw error
          const { header } = chunk
          const detail = (error as Error).message
          refused.push({ message, reason, detail, bytes, header })
        }
    return refused
  }

  async #insertChunks(key: string, chunks: readonly SliceChunk[], intent: Intent): Promise<void> {
    const { patience, store } = this.#tools
    const fence = () => this.#fence(intent)
    await patience.ask(() => store.insertSlice({ key, chunks, fence }), this.#end)
  }

  async #intend(intent: Intent): Promise<void> {
    const at = this.#tools.clock()
    await this.#claim.intend(intent)
    // What was true when the question was sent.
    this.#fencedAt = at
    const [slice] = intent.slices
    this.#tools.unfinished.set(this.#claim.partition, {
      attempt: intent.attempt,
      first: slice!.first,
      last: slice!.last,
    })
  }

  /** Passed before each INSERT. @throws ClaimLost */
  async #fence(intent: Intent): Promise<void> {
    if (this.#claim.lost.aborted)
      throw new ClaimLost(`partition ${this.#claim.partition} has another holder`)
    const { clock, fenceMillis } = this.#tools
    if (clock() - this.#fencedAt >= fenceMillis) await this.#intend(intent)
  }

  #count({ judged, refused }: Inserted): void {
    const { counts } = this.#tools.progress
    // What was not stored, and what was counted: a chunk may be twice in a slice.
    const without = new Set(refused.map(({ header }) => header?.id))
    if (judged.some(({ chunks }) => chunks.length > 0)) counts.slices++
    for (const { chunk, judgements, findings } of judged.flatMap(({ chunks }) => chunks)) {
      if (without.has(chunk.header.id)) continue
      without.add(chunk.header.id)
      counts.chunks++
      counts.records += recordsOf(chunk.header)
      counts.judgements += judgements
      counts.findings += findings
    }
  }

  #told({ reason, detail, message }: Dead): void {
    const { progress, log } = this.#tools
    progress.dead.set(reason, (progress.dead.get(reason) ?? 0) + 1)
    const { stream, partition, offset } = message.delivery
    const at = `${stream}:${partition}:${offset}`
    log('warn', 'message given up: it is a dead letter', { reason, detail, at })
  }
}

/** Whether these are the messages of an earlier intent. */
export function isSameSlice(messages: readonly Message[], { token }: IntendedSlice): boolean {
  return intendedSlice(messages).token === token.replace(EACH, '')
}

/** The place of a slice, and a hash of what stands there: a repetition can be told from something else. */
function intendedSlice(messages: readonly Message[]): IntendedSlice {
  const ids = messages.map(({ header, delivery }) => header?.id ?? `no chunk at ${delivery.offset}`)
  return {
    first: messages[0]!.delivery.offset,
    last: messages.at(-1)!.delivery.offset,
    rows: messages.reduce((sum, { records }) => sum + records, 0),
    token: sha256Hex(ids.join('\n')).slice(0, 32),
  }
}

/** A function of the messages, not of what is left to be done of them. */
function keyOf(judged: readonly JudgedMessage[]): string {
  return sliceKey(
    judged.flatMap(({ message: { header } }) => (header === undefined ? [] : [{ header }])),
  )
}
