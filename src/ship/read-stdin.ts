// Standard input: it cannot be read again, so it has a name of its own each time, and ends when the process is told to.

import { createGunzip } from 'node:zlib'
import { explainFileError, HEAD_BYTES } from '../inputs.ts'
import { newZeekDirectory, originOf, sniffInput, unknownFormat } from '../sensor.ts'
import { newEntry } from './ledger-entry.ts'
import { LiveInput, type LiveParts } from './live-input.ts'
import { generationName } from './match.ts'

export interface StdinResult {
  format: string
  bytes: number
  errors: string[]
  /** It could not be read to its end, or is nothing of ours. */
  problem: string | undefined
}

/** The first bytes are taken as they are when nothing more came for so long. */
const HEAD_MILLIS = 1000

/** Reads until the end, or until the signal is aborted: then what is open is written as it is. */
export async function readStandardInput(
  parts: LiveParts,
  signal: AbortSignal,
): Promise<StdinResult> {
  const pieces = new Pieces(signal)
  const result: StdinResult = { format: '', bytes: 0, errors: [], problem: undefined }
  try {
    await readPieces(pieces, parts, signal, result)
  } finally {
    pieces.close()
  }
  result.bytes = pieces.bytes
  result.problem ??= pieces.problem
  return result
}

async function readPieces(
  pieces: Pieces,
  parts: LiveParts,
  signal: AbortSignal,
  result: StdinResult,
): Promise<void> {
  const live = await begin(pieces, parts, signal, result)
  if (live !== undefined) {
    for (;;) {
      const now = performance.now()
      if (live.cutIn(now) <= 0) await live.cut()
      const piece = await pieces.next(live.cutIn(performance.now()))
      if (piece === 'over') break
      if (piece !== 'late') await live.push(piece, performance.now())
    }
    await live.end()
    result.errors = live.stats.errors
    // Told to end, it ends where it is: half a packet is no fault of the input.
    if (live.stats.broken && !signal.aborted) result.problem = live.stats.errors.at(-1)
  }
}

/** Waits for enough to tell what it is. */
async function begin(
  pieces: Pieces,
  parts: LiveParts,
  signal: AbortSignal,
  result: StdinResult,
): Promise<LiveInput | undefined> {
  const taken: Buffer[] = []
  let input: ReturnType<typeof sniffInput>
  let head = Buffer.alloc(0)
  for (;;) {
    const piece = await pieces.next(taken.length === 0 ? Number.POSITIVE_INFINITY : HEAD_MILLIS)
    if (typeof piece !== 'string') taken.push(Buffer.from(piece))
    head = Buffer.concat(taken)
    input = sniffInput(head.subarray(0, HEAD_BYTES), '')
    const capture = input?.format.startsWith('pcap') === true && head.length >= 24
    if (piece === 'over' || head.length >= HEAD_BYTES || capture) break
    // A log says what it is by whole lines.
    if (piece === 'late' && input !== undefined) break
  }
  if (input === undefined) {
    // Told to end before anything came: that nothing came is no fault of the input.
    if (signal.aborted && head.length === 0) return undefined
    result.problem = pieces.problem ?? unknownFormat(head)
    return undefined
  }
  result.format = input.format
  const first = head.subarray(0, HEAD_BYTES)
  const base = originOf(parts.settings.sensor, first)
  const { format } = input
  const entry = newEntry({ origin: generationName(base), base, kind: 'stdin', format, source: '-' })
  await parts.shipper.ledger.begin(entry)
  const live = new LiveInput(input, entry, newZeekDirectory(), parts)
  await live.push(head, performance.now())
  return live
}

/** Standard input in pieces, decompressed; nobody waits for longer than told. */
class Pieces {
  bytes = 0
  problem: string | undefined
  readonly #iterator: AsyncIterator<Buffer>
  readonly #aborted: Promise<'over'>
  #coming: Promise<Buffer | 'over'> | undefined

  constructor(signal: AbortSignal) {
    this.#iterator = this.#read()
    this.#aborted = new Promise((resolve) => {
      if (signal.aborted) resolve('over')
      signal.addEventListener('abort', () => resolve('over'), { once: true })
    })
  }

  /** The next piece; `late` if none came for so long, `over` at the end or when the signal was aborted. */
  async next(millis: number): Promise<Buffer | 'late' | 'over'> {
    this.#coming ??= this.#iterator.next().then(
      ({ done, value }) => (done === true ? 'over' : value),
      (error: unknown) => {
        this.problem = `standard input failed after ${this.bytes} bytes: ${explainFileError(error)}`
        return 'over'
      },
    )
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      if (Number.isFinite(millis)) timer = setTimeout(() => resolve('late'), Math.max(1, millis))
    })
    const piece = await Promise.race([this.#coming, this.#aborted, late])
    clearTimeout(timer)
    if (piece !== 'late') this.#coming = undefined
    return piece
  }

  async *#read(): AsyncGenerator<Buffer, void, void> {
    // Not by its descriptor: a read that waits on a thread of the pool would hold up the end of the process.
    const counted = this.#counted(process.stdin)
    const first = await counted.next()
    if (first.done === true) return
    const whole = joined(first.value, counted)
    if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) yield* whole
    else yield* gunzip(whole)
  }

  /** Nobody reads any more. */
  close(): void {
    process.stdin.destroy()
  }

  async *#counted(raw: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
    for await (const piece of raw) {
      this.bytes += piece.length
      yield piece
    }
  }
}

async function* joined(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first
  yield* rest
}

async function* gunzip(compressed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stream = createGunzip({ chunkSize: 64 << 10 })
  const writing = (async () => {
    for await (const piece of compressed)
      if (!stream.write(Buffer.from(piece)))
        await new Promise((resolve) => stream.once('drain', resolve))
    stream.end()
  })()
  writing.catch((error: unknown) => stream.destroy(error as Error))
  yield* stream as AsyncIterable<Buffer>
}
