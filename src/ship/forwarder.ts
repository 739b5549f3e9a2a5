// From the spool to the stream: reads chunks off the journal, sends them with several under way, and moves the
// journal's checkpoint over what is acknowledged, in order. What a crash leaves behind is sent again: a chunk may be
// on the stream twice, never not at all.

import {
  BusError,
  type Claim,
  ClaimLost,
  type Delivery,
  type Sink,
  type Source,
} from '../bus/bus.ts'
import { releaseChunk } from '../chunk.ts'
import { splitChunk } from '../chunk-split.ts'
import { failpoint } from '../failpoint.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import type { DeadShelf } from './dead-shelf.ts'
import { PIECE_BYTES, PieceCutter } from './pieces.ts'

export interface ForwarderParts {
  source: Source
  sink: Sink
  dead: DeadShelf
  log: Log
  /**
   * What to do when the stream is not there or refuses us, which waiting does not mend: end with the error, or (a
   * process that nobody watches) say so and try again for ever.
   */
  whenRefused: 'end' | 'wait'
  /** Awaited before the checkpoint passes `next`: whatever must be durable first. */
  beforeCommit?: (next: bigint) => Promise<void>
}

/** Messages, and bytes of them, that are sent and not acknowledged. */
const OPEN_MAX = 16
const OPEN_BYTES_MAX = 32 << 20
/** How long to wait for the next message before looking whether to end. */
const NEXT_MILLIS = 500
/** Waits after a refusal, growing. */
const REFUSED_MILLIS = [1000, 2000, 5000, 10_000, 30_000]
/** Smallest piece that is tried when a broker finds chunks too large. */
const PIECE_BYTES_MIN = 4 << 10

interface Open {
  delivery: Delivery
  state: 'sending' | 'done' | 'refused'
}

export interface ForwarderCounters {
  /** Messages, and bytes of them, that were acknowledged; a chunk in pieces counts once. */
  sent: number
  sentBytes: number
  /** Chunks that went in pieces. */
  split: number
  /** Times that the stream refused us. */
  refused: number
}

export class Forwarder {
  /** Of whom it sends to, in what people are told. */
  readonly name = 'Kafka'
  readonly counters: ForwarderCounters = { sent: 0, sentBytes: 0, split: 0, refused: 0 }
  readonly #parts: ForwarderParts
  readonly #stop = new AbortController()
  /** In the order of the journal; the first is the oldest that is not committed. */
  #open: Open[] = []
  #openBytes = 0
  /** Pieces larger than this are refused by the broker, as far as is known. */
  #pieceBytes = PIECE_BYTES
  readonly #cutter = new PieceCutter()
  #committed = -1n
  #committing: Promise<void> | undefined
  #busy = false
  /** Why the stream refused us last; until it takes something again. */
  #refusal: BusError | undefined
  /** Something was refused and is to be sent again. */
  #again = false
  #failure: unknown
  #wake: (() => void) | undefined
  #waiters: { next: bigint; resolve: () => void }[] = []

  constructor(parts: ForwarderParts) {
    this.#parts = parts
  }

  /** Everything before this offset of the journal is acknowledged and checkpointed; -1 before it runs. */
  get committed(): bigint {
    return this.#committed
  }

  /** Why the stream refuses us now, if it does. */
  get refusal(): string | undefined {
    return this.#refusal?.message
  }

  /** When the oldest message that waits here was spooled, milliseconds since 1970; undefined if none waits. */
  get oldestAt(): number | undefined {
    return this.#open[0]?.delivery.acceptedAt
  }

  /**
   * Runs until it is stopped.
   * @throws BusError `refused` or `no_stream` as the parts say · BusFault when the journal fails
   */
  async run(): Promise<void> {
    for await (const claim of this.#parts.source.claims()) {
      this.#moved(claim.committed)
      await this.#consume(claim)
      if (this.#stop.signal.aborted) return
    }
  }

  /** Resolves when everything before `next` is committed. */
  untilCommitted(next: bigint): Promise<void> {
    if (this.#committed >= next) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ next, resolve }))
  }

  /** Ends `run` soon; what is under way may still be acknowledged. */
  stop(): void {
    this.#stop.abort()
    this.#wake?.()
  }

  /** Resolves when no checkpoint is under way. */
  async settled(): Promise<void> {
    await this.#committing
  }

  async #consume(claim: Claim): Promise<void> {
    const { signal } = this.#stop
    let refusals = 0
    while (!claim.lost.aborted && !signal.aborted && this.#failure === undefined) {
      if (this.#again) {
        await this.#pause(REFUSED_MILLIS[Math.min(refusals++, REFUSED_MILLIS.length - 1)]!)
        await this.#sendAgain(claim)
        continue
      }
      if (this.#refusal === undefined) refusals = 0
      if (this.#open.length >= OPEN_MAX || this.#openBytes >= OPEN_BYTES_MAX) {
        await this.#untilWoken()
        continue
      }
      const delivery = await claim.next(NEXT_MILLIS)
      if (delivery === undefined) continue
      await failpoint('F2_journal_produce')
      const open: Open = { delivery, state: 'sending' }
      this.#open.push(open)
      this.#openBytes += delivery.bytes.length
      await this.#send(claim, open)
    }
    await this.#committing
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Hands it to the sink in its turn; messages of one key stay in order. Does not wait for the acknowledgement. */
  async #send(claim: Claim, open: Open): Promise<void> {
    const { key, bytes } = open.delivery
    const pieces = await this.#cutter.pieces(bytes, this.#pieceBytes)
    if (pieces.length > 1) this.counters.split++
    const sending = pieces.map((piece) => this.#sendPiece(key, piece))
    Promise.all(sending).then(
      () => {
        open.state = 'done'
        this.#taken()
        this.counters.sent++
        this.counters.sentBytes += bytes.length
        this.#advance(claim)
      },
      (error: unknown) => this.#failed(open, error),
    )
  }

  async #sendPiece(key: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.#parts.sink.send({ key, bytes })
    } catch (error) {
      if (!(error instanceof BusError) || error.kind !== 'too_large') throw error
      await this.#sendHalves(key, bytes, error.message)
    }
  }

  /** What the broker found too large goes in halves, and so does what comes later; in the end it goes to the shelf. */
  async #sendHalves(key: string, bytes: Uint8Array, reason: string): Promise<void> {
    const halves = splitChunk(bytes)
    if (halves === undefined) return await this.#parts.dead.put(bytes, reason)
    this.#pieceBytes = Math.max(PIECE_BYTES_MIN, Math.min(this.#pieceBytes, bytes.length >> 1))
    await Promise.all(halves.map((half) => this.#sendPiece(key, half)))
  }

  #taken(): void {
    if (this.#refusal === undefined) return
    this.#refusal = undefined
    this.#parts.log('info', 'the stream takes chunks again')
  }

  #failed(open: Open, error: unknown): void {
    open.state = 'refused'
    // Stopped: it stays in the journal for the next process.
    const stopped =
      this.#stop.signal.aborted || (error instanceof BusError && error.kind === 'closed')
    if (stopped || this.#failure !== undefined) return
    const refused = error instanceof BusError && ['refused', 'no_stream'].includes(error.kind)
    if (refused && this.#parts.whenRefused === 'wait') {
      this.counters.refused++
      if (this.#refusal === undefined)
        this.#parts.log('error', 'the stream refuses us; trying again', {
          reason: printable(error.message),
        })
      this.#refusal = error
      this.#again = true
    } else this.#failure = error
    this.#wake?.()
  }

  /** Once nothing is under way, sends what was refused again, in order. */
  async #sendAgain(claim: Claim): Promise<void> {
    while (this.#open.some(({ state }) => state === 'sending') && !this.#stop.signal.aborted)
      await this.#untilWoken()
    const refused = this.#open.filter(({ state }) => state === 'refused')
    this.#again = false
    for (const open of refused) {
      open.state = 'sending'
      await this.#send(claim, open)
    }
  }

  /** Moves the checkpoint over what is done; one commit at a time takes all that came meanwhile. */
  #advance(claim: Claim): void {
    this.#wake?.()
    if (this.#busy) return
    this.#busy = true
    this.#committing = this.#commitAll(claim).catch((error: unknown) => {
      this.#busy = false
      // The claim is lost only when the journal is closed.
      if (!(error instanceof ClaimLost)) this.#failure ??= error
      this.#wake?.()
    })
  }

  async #commitAll(claim: Claim): Promise<void> {
    for (;;) {
      const undone = this.#open.findIndex(({ state }) => state !== 'done')
      const count = undone < 0 ? this.#open.length : undone
      if (count === 0) {
        // In the same turn as the last look.
        this.#busy = false
        return
      }
      const next = this.#open[count - 1]!.delivery.offset + 1n
      await failpoint('F3_produce_ack')
      await this.#parts.beforeCommit?.(next)
      await claim.commit(next)
      for (const { delivery } of this.#open.splice(0, count)) {
        this.#openBytes -= delivery.bytes.length
        giveBack(delivery.bytes)
      }
      this.#moved(next)
      this.#wake?.()
    }
  }

  #moved(next: bigint): void {
    this.#committed = next
    const reached = this.#waiters.filter((waiter) => waiter.next <= next)
    this.#waiters = this.#waiters.filter((waiter) => waiter.next > next)
    for (const { resolve } of reached) resolve()
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined
        resolve()
      }
      if (this.#stop.signal.aborted || this.#failure !== undefined) this.#wake()
    })
  }

  async #pause(millis: number): Promise<void> {
    const { signal } = this.#stop
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, millis)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }
}

/** Gives the memory of a chunk that is done with back, if it is the chunk's alone. */
function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength)
    releaseChunk(new Uint8Array(buffer))
}
