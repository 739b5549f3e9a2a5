// Runs live captures for tests, and puts together what came of them.

import { setTimeout as sleep } from 'node:timers/promises'
import { analyze } from '../../src/analyze.ts'
import { captureDecoder } from '../../src/capture/capture.ts'
import { ChunkWriter, chunkPart, decodeChunk } from '../../src/chunk.ts'
import { flowFormat } from '../../src/cli/flow-format.ts'
import { FlowTotals } from '../../src/cli/flow-totals.ts'
import { FlowWriter } from '../../src/cli/flow-writer.ts'
import { LiveCapture, type LiveEvent } from '../../src/live/live.ts'
import type { LiveSettings } from '../../src/live/live-event.ts'
import { findingEvents } from '../../src/respond/finding.ts'
import type { Snapshot } from '../../src/snapshot.ts'

export const SETTINGS: LiveSettings = {
  interfaces: ['lo'],
  filter: '',
  snaplen: 2048,
  bufferMillis: 2,
  promiscuous: false,
  backend: 'auto',
  activeTimeoutSeconds: 60,
  ringBytes: 64 << 20,
  sensor: 'test',
  localNets: [],
  verifyChecksums: false,
}

export interface Watched {
  live: LiveCapture
  /** What came so far. */
  seen: LiveEvent[]
}

/**
 * Runs a capture until `during` is over, which is called when packets are captured on every interface.
 * @throws what the capture, or `during`, throws
 */
export async function capture(
  settings: Partial<LiveSettings>,
  during: (watched: Watched) => Promise<void>,
  reader: (event: LiveEvent) => Promise<void> = async () => {},
): Promise<LiveEvent[]> {
  const live = LiveCapture.start({ ...SETTINGS, ...settings }, () => {})
  const seen: LiveEvent[] = []
  let doing: Promise<void> | undefined
  const wanted = settings.interfaces?.length ?? 1
  try {
    for await (const event of live.events()) {
      seen.push(event)
      await reader(event)
      if (doing !== undefined || event.type !== 'state' || event.state !== 'capturing') continue
      if (statesOf(seen).filter((state) => state === 'capturing').length < wanted) continue
      doing = during({ live, seen }).finally(() => live.stop())
      // It is waited for below: until then nobody looks at its failure.
      doing.catch(() => {})
    }
  } finally {
    await live.stop()
  }
  await doing
  return seen
}

/** Waits until something holds. @throws if it never does */
export async function until(holds: () => boolean, what: string, millis = 20_000): Promise<void> {
  for (let waited = 0; !holds(); waited += 50) {
    if (waited > millis) throw new Error(`waited in vain: ${what}`)
    await sleep(50)
  }
}

export const chunksOf = (events: readonly LiveEvent[], name?: string) =>
  events.flatMap((event) =>
    event.type === 'chunk' && event.interface === (name ?? event.interface) ? [event.chunk] : [],
  )
export const statesOf = (events: readonly LiveEvent[], name?: string) =>
  events.flatMap((event) =>
    event.type === 'state' && event.interface === (name ?? event.interface) ? [event.state] : [],
  )

/** The last word on every flow, by its id, as a line of data; without how often it was told of. */
export function flowsOf(chunks: readonly Uint8Array[]): Map<string, Record<string, unknown>> {
  const flows = new Map<string, Record<string, unknown>>()
  const totals = new FlowTotals()
  const writer = new FlowWriter(flowFormat('ndjson', false), [])
  for (const chunk of chunks) {
    const block = chunkPart(decodeChunk(chunk), 'flow_records')
    if (block === undefined) continue
    const write = writer.bind(block, '')
    for (let row = 0; row < block.rows; row++) {
      totals.add(block, row)
      write(row)
      const line = JSON.parse(writer.take().toString()) as Record<string, unknown>
      delete line.rec_no
      flows.set(String(line.flow_id), line)
    }
  }
  return flows
}

/** Records of every kind: `open`, `active`, … */
export function reasonsOf(chunks: readonly Uint8Array[]): Map<string, number> {
  const reasons = new Map<string, number>()
  for (const chunk of chunks) {
    const block = chunkPart(decodeChunk(chunk), 'flow_records')
    for (let row = 0; row < (block?.rows ?? 0); row++) {
      const reason = block!.columns.end_reason.get(row)
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    }
  }
  return reasons
}

/** What was found, each once: alert, flow, verdict and sentence. */
export function findingsOf(chunks: readonly Uint8Array[], snapshot: Snapshot): string[] {
  const found = new Set<string>()
  for (const chunk of chunks) {
    const { findings } = analyze(chunk, snapshot, 0)
    for (const one of findingEvents(decodeChunk(chunk).header, findings))
      found.add([one.alertId, one.flowId, one.side, one.kind, one.rule, one.sentence].join(' '))
  }
  return [...found].sort()
}

export function coverageOf(chunks: readonly Uint8Array[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const chunk of chunks) {
    const block = chunkPart(decodeChunk(chunk), 'coverage')
    for (let row = 0; row < (block?.rows ?? 0); row++) {
      const metric = block!.columns.metric.get(row)
      sums.set(metric, (sums.get(metric) ?? 0) + block!.columns.value[row]!)
    }
  }
  return sums
}

/** The chunks that a capture file gives. */
export function chunksOfFile(bytes: Uint8Array, format: 'pcap' | 'pcapng' = 'pcap'): Uint8Array[] {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 'test', origin: 'test', format }, (chunk) =>
    chunks.push(chunk),
  )
  const settings = { sensor: 'test', verifyChecksums: false, hashSeed: new Int32Array(4) }
  const decoder = captureDecoder(format, settings, writer)
  decoder.push(bytes)
  decoder.end()
  writer.end()
  return chunks
}
