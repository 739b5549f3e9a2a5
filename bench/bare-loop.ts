// What the pipeline is compared with: kafkajs and INSERT ... FORMAT Native, and nothing else. The same chunks are
// produced (lz4, acknowledged by all replicas in sync), consumed, and their flow records inserted in batches of the
// same size together with judgements that were made beforehand; then offsets are committed. It decodes no log, judges
// nothing, verifies nothing, keeps no journal and no intents, and would lose and repeat rows if it were killed.
//
//   node bare-loop.js prepare LOG AGENTS FILE    chunks and judgements of a log, once
//   node bare-loop.js produce FILE BROKER TOPIC
//   node bare-loop.js consume FILE BROKER TOPIC GROUP URL DATABASE CHUNKS   until its stdin ends

import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { createClient } from '@clickhouse/client'
import { CompressionTypes } from 'kafkajs'
import { readAgentEndpoints, readAgentFiles } from '../src/agent-files.ts'
import { analyze } from '../src/analyze.ts'
import { kafkaClient } from '../src/bus/kafka-client.ts'
import { partitionOf } from '../src/bus/kafka-sink.ts'
import { decodeChunk } from '../src/chunk.ts'
import { TABLES } from '../src/flow.ts'
import { loadAgents } from '../src/identity/agent-files.ts'
import { loadEndpoints } from '../src/identity/endpoint-file.ts'
import { readInputs } from '../src/sensor.ts'
import { compileSnapshot, openSnapshot } from '../src/snapshot.ts'

const FETCH_BYTES = 8 << 20

export interface Prepared {
  /** Where the bytes of each chunk and of its judgements lie in the file. */
  chunks: { seq: number; at: number; bytes: number; judgements: number; records: number }[]
}

/** Decodes and judges a log and writes what comes of it to `file`, with a list of places as JSON beside it. */
async function prepare(log: string, agents: string, file: string): Promise<void> {
  const loaded = loadAgents(await readAgentFiles([agents]))
  const { endpoints } = loadEndpoints(await readAgentEndpoints())
  const snapshot = openSnapshot(compileSnapshot(loaded.agents, endpoints))
  const out = openSync(file, 'w')
  const chunks: Prepared['chunks'] = []
  let at = 0
  const settings = {
    sensor: 'bench',
    verifyChecksums: false,
    hashSeed: Int32Array.of(1, 2, 3, 4),
    localNets: [],
  }
  for await (const event of readInputs([log], settings, () => {})) {
    if (event.type !== 'chunk') continue
    const { header } = decodeChunk(event.chunk)
    const { judgements } = analyze(event.chunk, snapshot, 0)
    const records = header.parts.find(({ table }) => table === 'flow_records')?.rows ?? 0
    const { length: bytes } = event.chunk
    chunks.push({ seq: header.seq, at, bytes, judgements: judgements.length, records })
    at += writeSync(out, event.chunk) + writeSync(out, judgements)
  }
  closeSync(out)
  const index = openSync(`${file}.json`, 'w')
  writeSync(index, JSON.stringify({ chunks } satisfies Prepared))
  closeSync(index)
}

function readIndex(file: string): Prepared {
  const index = openSync(`${file}.json`, 'r')
  const pieces: Buffer[] = []
  for (;;) {
    const piece = Buffer.alloc(1 << 20)
    const length = readSync(index, piece)
    if (length === 0) break
    pieces.push(piece.subarray(0, length))
  }
  closeSync(index)
  return JSON.parse(Buffer.concat(pieces).toString()) as Prepared
}

function readAt(file: number, at: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  readSync(file, buffer, 0, bytes, at)
  return buffer
}

async function produce(path: string, broker: string, topic: string): Promise<void> {
  const { chunks } = readIndex(path)
  const file = openSync(path, 'r')
  const kafka = kafkaClient({ brokers: [broker], clientId: 'bare' }, 3)
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  const admin = kafka.admin()
  await Promise.all([producer.connect(), admin.connect()])
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  await admin.disconnect()
  const partitions = topics[0]?.partitions.length ?? 1
  // One request per partition at a time, so that the broker is never waited for with idle hands.
  const open = new Map<number, Promise<unknown>>()
  for (const { seq, at, bytes } of chunks) {
    const key = `bench/${seq % partitions}`
    const partition = partitionOf(key, partitions)
    await open.get(partition)
    const messages = [{ key, partition, value: readAt(file, at, bytes) }]
    open.set(
      partition,
      producer.send({ topic, messages, acks: -1, compression: CompressionTypes.LZ4 }),
    )
  }
  await Promise.all(open.values())
  await producer.disconnect()
}

interface Batch {
  records: Buffer[]
  judgements: Buffer[]
  chunks: number
  next: string
}

/** Collects by partition, inserts when a batch is full; one insert runs while the next batch is collected. */
async function consume(
  path: string,
  [broker, topic, groupId, url, database]: readonly [string, string, string, string, string],
  batchChunks: number,
): Promise<void> {
  const bySeq = new Map(readIndex(path).chunks.map((chunk) => [chunk.seq, chunk]))
  const file = openSync(path, 'r')
  const client = createClient({ url, database, application: 'bare', request_timeout: 600_000 })
  const columns = {
    flow_records: Object.keys(TABLES.flow_records).join(', '),
    judgements: Object.keys(TABLES.judgements).join(', '),
  }
  const insert = async (table: keyof typeof columns, blocks: readonly Buffer[]) => {
    const { stream } = await client.exec({
      query: `INSERT INTO bare_${table} (${columns[table]}) SETTINGS async_insert = 0, max_insert_block_size = 4194304, min_insert_block_size_rows = 4194304, min_insert_block_size_bytes = 0 FORMAT Native`,
      values: Readable.from(blocks, { objectMode: false }),
    })
    for await (const _ of stream);
  }
  const consumer = kafkaClient({ brokers: [broker], clientId: 'bare' }, 3).consumer({
    groupId,
    maxWaitTimeInMs: 250,
    maxBytesPerPartition: FETCH_BYTES,
    maxBytes: 4 * FETCH_BYTES,
  })
  const batches = new Map<number, Batch>()
  let last = Date.now()
  /** Batches that are inserted, or wait for their turn. */
  let open = 0
  let inserting: Promise<void> = Promise.resolve()
  const flush = async (partition: number) => {
    const batch = batches.get(partition)
    if (batch === undefined || batch.chunks === 0) return
    batches.delete(partition)
    open++
    await inserting
    inserting = (async () => {
      await insert('flow_records', batch.records)
      await insert('judgements', batch.judgements)
      await consumer.commitOffsets([{ topic, partition, offset: batch.next }])
      open--
      last = Date.now()
    })()
    inserting.catch((error) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    })
  }
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch: { partition, messages } }) => {
      last = Date.now()
      for (const { value, offset } of messages) {
        const { header, parts } = decodeChunk(value!)
        let batch = batches.get(partition)
        if (batch === undefined)
          batches.set(partition, (batch = { records: [], judgements: [], chunks: 0, next: '0' }))
        const records = parts.get('flow_records')
        if (records !== undefined) batch.records.push(Buffer.from(records))
        const { at, bytes, judgements } = bySeq.get(header.seq)!
        batch.judgements.push(readAt(file, at + bytes, judgements))
        batch.chunks++
        batch.next = String(BigInt(offset) + 1n)
        if (batch.chunks >= batchChunks) await flush(partition)
      }
    },
  })
  process.stdout.write('consuming\n')
  // What is left when nothing comes any more is inserted as it is. While an INSERT is under way, nothing can come.
  const timer = setInterval(async () => {
    if (open === 0 && Date.now() - last > 400)
      for (const partition of [...batches.keys()]) await flush(partition)
  }, 100)
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.once('end', resolve))
  clearInterval(timer)
  await inserting
  await consumer.disconnect()
  await client.close()
}

const [mode, ...rest] = process.argv.slice(2)
if (mode === 'prepare') await prepare(...(rest as [string, string, string]))
else if (mode === 'produce') await produce(...(rest as [string, string, string]))
else if (mode === 'consume') {
  const [path, broker, topic, group, url, database, chunks] = rest as string[]
  await consume(path!, [broker!, topic!, group!, url!, database!], Number(chunks))
}
