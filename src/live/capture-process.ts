// The capture process: reads the packets of one interface, keeps the flow table, and tells its parent over a socket. It
// opens nothing else and knows no setting that is a secret. Its parent ends it: the addon never lets a process go.

import { getRandomValues } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { captureDecoder } from '../capture/capture.ts'
import { ChunkWriter } from '../chunk.ts'
import type { Decoder } from '../decoder.ts'
import { printable } from '../wire-text.ts'
import { Cutter } from './cutter.ts'
import { FrameReader, sendChunk, sendWords } from './frame.ts'
import { type CaptureCounts, type CaptureOrder, type CaptureWord, STOP, WRITE_FD } from './order.ts'
import { PacketFile } from './packet-file.ts'
import { become, heldRights, isConfined } from './privileges.ts'
import { type Tap, TapError } from './tap.ts'
import { openAddon } from './tap-pcap.ts'
import { openProgram } from './tap-program.ts'

const TICK_MILLIS = 100
/** A tick that is so late: this process stood still. */
const STILL_MILLIS = 2 * TICK_MILLIS
const STATS_MILLIS = 1000
const COVER_MILLIS = 60_000

/** Captures what the first words over the socket say. @param die ends this process at once */
export function captureProcess(socket: Duplex, die: () => void): void {
  let capture: Capture | undefined
  const say = (word: CaptureWord) => sendWords(socket, word)
  const reader = new FrameReader({
    words: (value) => {
      if (value === STOP) void capture?.stop()
      else if (capture === undefined) {
        capture = new Capture(value as CaptureOrder, socket, die)
        capture.run().catch((error: unknown) => {
          const kind = error instanceof TapError ? error.kind : 'lost'
          say({ type: 'failed', kind, detail: printable((error as Error).message) })
          say({ type: 'over' })
        })
      }
    },
    chunk: die,
    garbage: die,
  })
  socket.on('data', (piece: Buffer) => reader.push(piece))
  // Without a parent there is nobody to capture for.
  for (const event of ['end', 'error', 'close'] as const) socket.on(event, die)
}

interface Refused {
  backend: string
  error: TapError
}

const why = (refused: readonly Refused[]) =>
  refused.map(({ backend, error }) => `${backend}: ${error.message}`).join('; ')

class Capture {
  readonly #order: CaptureOrder
  readonly #socket: Duplex
  readonly #die: () => void
  readonly #writer: ChunkWriter
  readonly #decoder: Decoder
  readonly #cutter = new Cutter(performance.now())
  readonly #parent = process.ppid
  readonly #file: PacketFile | undefined
  #tap: Tap | undefined
  #paused = false
  #stopping = false
  #decidedAtCut = 0
  #timer: NodeJS.Timeout | undefined
  #ticking: NodeJS.Timeout | undefined
  /** Packets at the last tick, and when that was. */
  #packetsBefore = 0
  #tickAt = performance.now()
  /** Until then what was captured while this process stood still may be on its way. */
  #behindUntil = 0
  #statsAt = 0
  #coverAt = performance.now()
  /** Until when the coverage that was written speaks, and its counts. Microseconds. */
  #covered = Date.now() * 1000
  #counted: CaptureCounts = { received: 0, dropped: 0, interfaceDropped: 0 }
  #dropsTold = 0

  constructor(order: CaptureOrder, socket: Duplex, die: () => void) {
    this.#order = order
    this.#socket = socket
    this.#die = die
    const { sensor, origin, verifyChecksums, activeTimeout, vantages } = order
    this.#writer = new ChunkWriter({ sensor, origin, format: 'pcap' }, (chunk) =>
      sendChunk(socket, chunk),
    )
    this.#decoder = captureDecoder(
      'pcap',
      {
        sensor,
        verifyChecksums,
        hashSeed: getRandomValues(new Int32Array(4)),
        live: { activeTimeout },
        ...(vantages && { vantages }),
      },
      this.#writer,
    )
    if (order.writeBytes !== undefined)
      this.#file = new PacketFile(WRITE_FD, order.writeBytes, (words) => this.#note(words))
  }

  /** Opens the interface. @throws TapError */
  async run(): Promise<void> {
    const order = this.#order
    const tap = await this.#open()
    this.#tap = tap
    if (order.become !== undefined) {
      become(order.become)
      if (!isConfined(order.become))
        throw new TapError('permission', `rights were not given up: ${heldRights().words}`)
    }
    const detail = `by ${tap.detail}, ${heldRights().words}`
    this.#say({ type: 'ready', backend: tap.backend, detail: printable(detail) })
    this.#tellGap()
    this.#ticking = setInterval(() => this.#tick(), TICK_MILLIS)
    if (this.#stopping) await this.#end()
  }

  async #open(): Promise<Tap> {
    const { backends, programs, become: ids } = this.#order
    const sink = {
      bytes: (piece: Uint8Array) => this.#take(piece),
      ended: (words: string) => void this.#lost(words),
    }
    const refused: Refused[] = []
    for (const backend of backends)
      try {
        const tap =
          backend === 'pcap'
            ? await openAddon(this.#order, sink, programs.pcap)
            : await openProgram(backend, this.#order, sink, programs[backend], ids)
        if (refused.length > 0) this.#note(`captured by ${backend}, because ${why(refused)}`)
        return tap
      } catch (error) {
        if (!(error instanceof TapError)) throw error
        // Others would say the same of the filter and of the interface.
        if (error.kind !== 'permission' && error.kind !== 'no_backend') throw error
        refused.push({ backend, error })
      }
    const kind = refused.find(({ error }) => error.kind === 'permission')?.error.kind
    throw new TapError(kind ?? 'no_backend', why(refused))
  }

  #say(word: CaptureWord): void {
    sendWords(this.#socket, word)
  }

  #note(words: string): void {
    this.#say({ type: 'note', detail: printable(words) })
  }

  #take(piece: Uint8Array): void {
    this.#file?.push(piece)
    this.#decoder.push(piece)
    const { errorCount, errors } = this.#decoder.stats
    if (errorCount > 0 && !this.#stopping)
      void this.#lost(`what it hands over cannot be read: ${errors.at(-1)}`)
    this.#turn(performance.now())
  }

  /** What is due: a chunk to cut, a pause, numbers. Also called amid packets, which may hold up the event loop. */
  #turn(now: number): void {
    if (this.#stopping) return
    const pending = this.#writer.pending
    const decided = this.#decoder.decided ?? 0
    // A chunk that was full has taken what was urgent with it, or nearly so.
    const urgent = Math.min(decided - this.#decidedAtCut, pending)
    if (this.#cutter.isDue(pending, urgent, now)) {
      this.#writer.cut()
      this.#cutter.cut(urgent)
      this.#decidedAtCut = decided
    } else this.#arm(this.#cutter.wait(urgent, now))
    const queued = this.#socket.writableLength
    const most = this.#order.queueBytes
    if (!this.#paused && queued > most) {
      this.#paused = true
      this.#tap?.pause()
    } else if (this.#paused && queued < most / 2) {
      this.#paused = false
      this.#tap?.resume()
    }
    if (now - this.#statsAt >= STATS_MILLIS) this.#stats(now)
  }

  #arm(wait: number): void {
    if (this.#timer !== undefined || wait > TICK_MILLIS) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#turn(performance.now())
    }, Math.ceil(wait))
  }

  /** Nothing may have come: then time goes on by the clock, behind everything that may still be on its way. */
  #tick(): void {
    const tap = this.#tap!
    const at = Date.now()
    const now = performance.now()
    if (this.#paused || now - this.#tickAt > STILL_MILLIS)
      this.#behindUntil = now + 2 * tap.slackMillis
    this.#tickAt = now
    tap.look()
    const { packets } = this.#decoder.stats
    if (packets !== this.#packetsBefore) this.#packetsBefore = packets
    else if (now >= this.#behindUntil) this.#decoder.tick?.((at - tap.slackMillis) * 1000)
    this.#turn(performance.now())
  }

  #stats(now: number): void {
    // Amid a flood nobody else sees that the parent has gone.
    if (process.ppid !== this.#parent) this.#die()
    this.#statsAt = now
    const counts = this.#tap?.counts() ?? this.#counted
    if (counts.dropped + counts.interfaceDropped > this.#dropsTold) this.#cover(counts)
    else if (now - this.#coverAt >= COVER_MILLIS) this.#cover(counts)
    this.#say({
      type: 'stats',
      ...counts,
      packets: this.#decoder.stats.packets,
      flowsOpen: this.#decoder.open ?? 0,
      queueBytes: this.#socket.writableLength,
      until: Date.now() * 1000,
    })
  }

  /** Coverage of the interval that is over: how long somebody watched, and what the kernel counted. */
  #cover(counts: CaptureCounts): void {
    const now = Date.now() * 1000
    const from = Math.min(this.#covered, now)
    const row = (metric: string, value: number) => {
      if (value > 0) this.#row(metric, value, from, now)
    }
    const before = this.#counted
    row('capture_seconds', Math.round((now - from) / 1e6))
    row('capture_received', counts.received - before.received)
    row('capture_dropped', counts.dropped - before.dropped)
    row('capture_interface_dropped', counts.interfaceDropped - before.interfaceDropped)
    this.#counted = { ...counts }
    this.#dropsTold = counts.dropped + counts.interfaceDropped
    this.#covered = now
    this.#coverAt = performance.now()
  }

  #row(metric: string, value: number, from: number, to: number): void {
    const { vantages, interface: name } = this.#order
    const vantage = vantages === undefined ? '' : name
    this.#writer.cover({ vantage, kind: 'pcap', metric, value, from, to })
  }

  #tellGap(): void {
    const now = Date.now() * 1000
    this.#covered = now
    const { gap } = this.#order
    if (gap === undefined) return
    const from = Math.min(gap.from, now)
    this.#row('capture_gap_seconds', Math.max(1, Math.round((now - from) / 1e6)), from, now)
    if (gap.flowsLost > 0) this.#row('capture_flows_lost', gap.flowsLost, from, now)
  }

  async #lost(words: string): Promise<void> {
    if (this.#stopping) return
    if (this.#tap !== undefined) await this.#end({ type: 'failed', kind: 'lost', detail: words })
  }

  async stop(): Promise<void> {
    if (this.#tap === undefined) {
      this.#stopping = true
      return
    }
    if (!this.#stopping) await this.#end()
  }

  /** Takes what is left, writes flows that are open, says everything. */
  async #end(why?: CaptureWord): Promise<void> {
    clearInterval(this.#ticking)
    clearTimeout(this.#timer)
    this.#stopping = true
    await this.#tap!.close()
    const counts = this.#tap!.counts()
    this.#cover(counts)
    const { packets } = this.#decoder.stats
    const flowsOpen = 0
    const queueBytes = this.#socket.writableLength
    this.#say({
      type: 'stats',
      ...counts,
      packets,
      flowsOpen,
      queueBytes,
      until: Date.now() * 1000,
    })
    this.#decoder.end()
    this.#writer.end()
    if (why !== undefined) this.#say(why)
    this.#say({ type: 'over' })
  }
}
