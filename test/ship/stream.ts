// A topic for chunks on a real broker, and what lies on it, for the tests of the sensor.

import { type SpawnOptions, spawn } from 'node:child_process'
import path from 'node:path'
import type { Delivery } from '../../src/bus/bus.ts'
import { CHUNK_STREAM } from '../../src/bus/bus.ts'
import { kafkaClient } from '../../src/bus/kafka-client.ts'
import { KafkaSource } from '../../src/bus/kafka-source.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { type ChunkHeader, decodeChunk } from '../../src/chunk.ts'
import { readInputs, type SensorSettings } from '../../src/sensor.ts'

export const ROOT = path.join(import.meta.dirname, '..', '..')
const MAIN = path.join(ROOT, 'dist', 'src', 'cli', 'main.js')

export async function makeTopic(brokers: readonly string[], partitions = 3): Promise<void> {
  const wish = { topic: CHUNK_STREAM, partitions, replicas: 1, retentionMillis: 3_600_000 }
  await ensureTopics({ brokers, clientId: 'test' }, [wish])
}

/** Largest batch that the topic of chunks takes from now on. */
export async function limitMessages(brokers: readonly string[], bytes: number): Promise<void> {
  const admin = kafkaClient({ brokers, clientId: 'test' }, 5).admin()
  await admin.connect()
  const configEntries = [{ name: 'max.message.bytes', value: String(bytes) }]
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: 2, name: CHUNK_STREAM, configEntries }],
  })
  await admin.disconnect()
}

/** Everything on the topic of chunks, of all partitions, in the order of each. */
export async function messagesOn(brokers: readonly string[]): Promise<Delivery[]> {
  const source = await KafkaSource.open(
    {
      brokers,
      clientId: 'test',
      topic: CHUNK_STREAM,
      groupId: `look-${process.pid}-${looks++}`,
      inFlightBytes: 64 << 20,
    },
    () => {},
  )
  const messages: Delivery[] = []
  const ends: Promise<void>[] = []
  for await (const claim of source.claims()) {
    ends.push(
      (async () => {
        for (;;) {
          const one = await claim.next(1500)
          if (one === undefined) break
          messages.push(one)
        }
      })(),
    )
    if (ends.length === source.lag().length) break
  }
  await Promise.all(ends)
  await source.close()
  return messages
}
let looks = 0

export const headerOf = (message: { bytes: Uint8Array }): ChunkHeader =>
  decodeChunk(message.bytes).header

/** The chunks that decoding these inputs gives, as ids. */
export async function chunkIds(paths: readonly string[], sensor: string): Promise<string[]> {
  const settings: SensorSettings = {
    sensor,
    verifyChecksums: false,
    hashSeed: new Int32Array(4),
    localNets: [],
  }
  const ids: string[] = []
  for await (const event of readInputs(paths, settings, () => {}))
    if (event.type === 'chunk') ids.push(decodeChunk(event.chunk).header.id)
  return ids
}

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** A running `bailiwick`; `ended` resolves when it is over. */
export function bailiwick(args: readonly string[], options: SpawnOptions = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], { ...options, stdio: 'pipe' })
  const said = { stdout: '', stderr: '' }
  child.stdout!.on('data', (piece) => {
    said.stdout += piece
  })
  child.stderr!.on('data', (piece) => {
    said.stderr += piece
  })
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, ...said })),
  )
  return { child, said, ended }
}
