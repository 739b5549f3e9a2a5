// Keeps one interface captured: starts its process, starts it again with growing pauses when the process, the backend
// or the interface goes, and tells what nobody saw meanwhile.

import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { ChunkWriter } from '../chunk.ts'
import { printable } from '../wire-text.ts'
import { cannotBegin } from './cannot-begin.ts'
import { startCaptureChild } from './capture-child.ts'
import { FrameReader, sendWords } from './frame.ts'
import { KeptPackets } from './kept-packets.ts'
import { BACKENDS, type LiveEvent, type LiveSettings } from './live-event.ts'
import {
  type CaptureCounts,
  type CaptureOrder,
  type CaptureWord,
  checkWord,
  type FailureKind,
  STOP,
} from './order.ts'

/** Bytes that a capture process may have for us. */
const QUEUE_BYTES_MAX = 16 << 20
const PAUSE_MILLIS_MIN = 250
const PAUSE_MILLIS_MAX = 10_000
/** A process that captured for so long has earned a fresh start. */
const STEADY_MILLIS = 30_000
/** A process that says nothing for so long, while it is listened to, hangs. */
const SILENT_MILLIS = 30_000
/** It may take so long to say everything after it was told to stop. */
const STOP_MILLIS = 8000

export interface KeeperSink {
  event(event: LiveEvent): void
  /** True if nothing more is to be read for now. */
  isFull(): boolean
}

/** What a capture process says while it goes on. */
type SteadyWord = Extract<CaptureWord, { type: 'ready' | 'stats' | 'note' }>

interface Ended {
  kind: FailureKind
  detail: string
}

export class Keeper {
  readonly name: string
  restarts = 0
  state: 'opening' | 'capturing' | 'lost' | 'retrying' | 'stopped' = 'opening'
  detail = 'opening'
  readonly totals: CaptureCounts & { packets: number; flowsOpen: number; queueBytes: number }
  readonly #settings: LiveSettings
  readonly #sink: KeeperSink
  /** Totals of the processes before this one. */
  #base: CaptureCounts & { packets: number }
  #socket: Duplex | undefined
  #stopping = false
  #wake = () => {}
  /** It captured before: whatever fails now may pass. */
  #everReady = false
  #gap: CaptureOrder['gap']
  readonly #kept: KeptPackets | undefined

  constructor(name: string, settings: LiveSettings, sink: KeeperSink) {
    this.name = name
    this.#settings = settings
    this.#sink = sink
    if (settings.write !== undefined) this.#kept = new KeptPackets(settings.write)
    this.#base = { received: 0, dropped: 0, interfaceDropped: 0, packets: 0 }
    this.totals = { ...this.#base, flowsOpen: 0, queueBytes: 0 }
  }

  /** Captures until it is stopped. @throws LiveError if it cannot begin */
  async run(): Promise<void> {
    let pause = PAUSE_MILLIS_MIN
    while (!this.#stopping) {
      this.#tell('opening', '', '')
      const began = performance.now()
      const ended = await this.#capture()
      this.#base = { ...this.totals }
      this.totals.flowsOpen = 0
      if (this.#stopping) break
      if (!this.#everReady && ended.kind !== 'lost')
        throw cannotBegin(ended.kind, this.name, this.#settings.filter, ended.detail)
      this.restarts++
      if (performance.now() - began > STEADY_MILLIS) pause = PAUSE_MILLIS_MIN
      this.#tell('lost', '', ended.detail)
      this.#tell('retrying', '', `${ended.detail}; again in ${pause / 1000} s`)
      await this.#sleep(pause)
      pause = Math.min(PAUSE_MILLIS_MAX, pause * 2)
    }
    this.#tellLastGap()
    this.#tell('stopped', '', '')
  }

  stop(): void {
    this.#stopping = true
    this.#wake()
    if (this.#socket !== undefined) {
      sendWords(this.#socket, STOP)
      this.#socket.resume()
    }
  }

  /** There is room again. */
  resume(): void {
    this.#socket?.resume()
  }

  #tell(state: Keeper['state'], backend: string, detail: string): void {
    this.state = state
    this.detail = detail
    this.#sink.event({ type: 'state', interface: this.name, state, backend, detail })
  }

  async #sleep(millis: number): Promise<void> {
    if (this.#stopping) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, millis)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #newOrigin(): string {
    // The clock may be set back: the rest is random.
    const epoch = `${Date.now()}-${randomBytes(3).toString('hex')}`
    return `${this.#settings.sensor}/live/${this.name}/${epoch}`
  }

  #order(origin: string): CaptureOrder {
    const { name } = this
    const settings = this.#settings
    const { interfaces, backend } = settings
    return {
      interface: name,
      filter: settings.filter,
      snaplen: settings.snaplen,
      bufferMillis: settings.bufferMillis,
      promiscuous: settings.promiscuous,
      backends: backend === 'auto' ? BACKENDS : [backend],
      programs: settings.programs ?? {},
      sensor: settings.sensor,
      origin,
      verifyChecksums: settings.verifyChecksums,
      activeTimeout: settings.activeTimeoutSeconds * 1e6,
      ringBytes: settings.ringBytes,
      queueBytes: settings.queueBytes ?? QUEUE_BYTES_MAX,
      ...(this.#kept?.fd !== undefined && { writeBytes: this.#kept.room }),
      ...(interfaces.length > 1 && {
        vantages: { names: interfaces, index: interfaces.indexOf(name) },
      }),
      ...(this.#gap && { gap: this.#gap }),
    }
  }

  /** Opens the file of the process to come. Once packets were captured, they matter more than their file. */
  #keepPackets(origin: string): void {
    try {
      this.#kept?.open(origin)
    } catch (error) {
      if (!this.#everReady) throw error
      this.#sink.event({ type: 'note', interface: this.name, detail: (error as Error).message })
    }
  }

  /** One process, from its start to its end. */
  async #capture(): Promise<Ended> {
    const origin = this.#newOrigin()
    this.#keepPackets(origin)
    const started = startCaptureChild(this.#settings.user, this.#kept?.fd)
    if (started === undefined)
      return { kind: 'permission', detail: `no user ${printable(this.#settings.user ?? '')}` }
    const { socket, become } = started
    this.#socket = socket
    const kill = () => started.kill()
    const heard = { at: performance.now(), begun: false }
    let ended: Ended | undefined
    const reader = new FrameReader({
      words: (value) => {
        heard.at = performance.now()
        heard.begun = true
        const word = checkWord(value)
        if (word === undefined) {
          ended ??= { kind: 'lost', detail: 'the capture process said what nobody understands' }
          kill()
        } else if (word.type === 'failed') ended = { kind: word.kind, detail: word.detail }
        else if (word.type === 'over') {
          ended ??= { kind: 'lost', detail: 'stopped' }
          kill()
        } else this.#hear(word)
      },
      chunk: (chunk) => {
        heard.at = performance.now()
        this.totals.queueBytes += chunk.length
        this.#sink.event({ type: 'chunk', interface: this.name, origin, chunk })
      },
      garbage: (words) => {
        ended ??= { kind: 'lost', detail: `the capture process said ${words}` }
        kill()
      },
    })
    socket.on('data', (piece: Buffer) => {
      reader.push(piece)
      if (!this.#stopping && this.#sink.isFull()) socket.pause()
    })
    socket.on('error', () => {})
    sendWords(socket, { ...this.#order(origin), ...(become && { become }) })
    if (this.#stopping) sendWords(socket, STOP)
    const watch = setInterval(() => {
      if (socket.isPaused()) heard.at = performance.now()
      const limit = this.#stopping ? STOP_MILLIS : SILENT_MILLIS
      if (performance.now() - heard.at < limit) return
      ended ??= { kind: 'lost', detail: `the capture process was silent for ${limit / 1000} s` }
      kill()
    }, 500)
    const { words, started: ran } = await started.ended
    // It could not even be started, and that will not pass.
    ended ??= { kind: ran || heard.begun ? 'lost' : 'no_backend', detail: words }
    clearInterval(watch)
    kill()
    this.#kept?.close()
    this.#socket = undefined
    return ended
  }

  #hear(word: SteadyWord): void {
    if (word.type === 'note') {
      this.#sink.event({ type: 'note', interface: this.name, detail: word.detail })
      return
    }
    if (word.type === 'ready') {
      this.#everReady = true
      this.#gap = { from: Date.now() * 1000, flowsLost: 0 }
      this.#tell('capturing', word.backend, word.detail)
      return
    }
    this.#gap = { from: word.until, flowsLost: word.flowsOpen }
    const { totals } = this
    const base = this.#base
    totals.received = base.received + word.received
    totals.dropped = base.dropped + word.dropped
    totals.interfaceDropped = base.interfaceDropped + word.interfaceDropped
    totals.packets = base.packets + word.packets
    totals.flowsOpen = word.flowsOpen
    totals.queueBytes = word.queueBytes
    this.#sink.event({ type: 'stats', interface: this.name, ...totals })
  }

  /** It was stopped while nobody captured, or before a new process could: none is left to say so. */
  #tellLastGap(): void {
    if (this.#gap === undefined || this.state === 'capturing') return
    const { sensor, interfaces } = this.#settings
    const origin = this.#newOrigin()
    const writer = new ChunkWriter({ sensor, origin, format: 'pcap' }, (chunk) =>
      this.#sink.event({ type: 'chunk', interface: this.name, origin, chunk }),
    )
    const to = Date.now() * 1000
    const from = Math.min(this.#gap.from, to)
    const vantage = interfaces.length > 1 ? this.name : ''
    const row = (metric: string, value: number) =>
      writer.cover({ vantage, kind: 'pcap', metric, value, from, to })
    row('capture_gap_seconds', Math.max(1, Math.round((to - from) / 1e6)))
    if (this.#gap.flowsLost > 0) row('capture_flows_lost', this.#gap.flowsLost)
    writer.end()
  }
}
