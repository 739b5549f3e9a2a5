// The harness against a real broker: it starts processes again as systemd does, sees what is on the bus, and finds an
// offset that was committed before its chunk was stored. And every kind of poison is poison.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHUNK_STREAM, DEAD_STREAM } from '../../src/bus/bus.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { KafkaSource } from '../../src/bus/kafka-source.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { ChunkWriter, chunkPart, decodeChunk, verifyChunk } from '../../src/chunk.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { firstClaim, take } from '../bus/contract.ts'
import { type Front, startFront } from '../store/front.ts'
import { BusWatch, GROUP } from './bus-watch.ts'
import { passedTooFar } from './invariants.ts'
import { uniformNumbers } from './many-flows.ts'
import { ask } from './oracle.ts'
import { POISON_KINDS, poison } from './poison.ts'
import { Supervised } from './supervised.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-watch-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** What is wrong with a message, as a worker would find it; undefined if nothing is. */
function wrongWith(bytes: Uint8Array): string | undefined {
  try {
    const chunk = decodeChunk(bytes)
    verifyChunk(chunk)
    const block = chunkPart(chunk, 'flow_records')
    const rows = chunk.header.parts.find(({ table }) => table === 'flow_records')?.rows
    return block?.rows === rows ? undefined : 'miscounted'
  } catch (error) {
    return String(error)
  }
}

test('poison of every kind is poison, the same for the same seed', () => {
  const made = (seed: number) => {
    const random = uniformNumbers(seed)
    return Array.from({ length: 4 * POISON_KINDS.length }, (_, i) => poison(i, random))
  }
  for (const { kind, bytes } of made(7)) expect(wrongWith(bytes), kind).toBeDefined()
  expect(made(7)).toEqual(made(7))
})

describe('a supervised process', () => {
  test('is started again when it is killed, and stays down when it is done', async () => {
    const doctor = new Supervised({ name: 'doctor', args: ['--version'], directory })
    await doctor.ended
    expect(doctor.exits).toMatchObject([{ code: 0, signal: null }])

    const args = ['replay', '-', '--agents', '/nowhere']
    const wrong = new Supervised({ name: 'wrong', args, directory, startsMax: 3 })
    await wrong.ended
    expect(wrong.exits).toMatchObject([{ code: 2 }])
    expect(wrong.tail()).toContain('/nowhere')
  })

  test('is killed, stopped and continued', async () => {
    // Waits for ever: a server that takes the connection and says nothing.
    const front = await startFront({ path: path.join(directory, 'silent') })
    await front.tell('hang')
    const args = ['replay', directory, '--agents', directory, '--store', front.store]
    const hung = new Supervised({ name: 'hung', args, directory, under: ['nice'], startsMax: 2 })
    hung.signal('SIGSTOP')
    await expect.poll(() => hung.stopped).toBe(true)
    hung.signal('SIGKILL')
    await expect.poll(() => hung.starts).toBe(2)
    expect(hung.kills).toBe(1)
    await hung.stop('SIGKILL')
    expect(hung).toMatchObject({ kills: 2, running: false, starts: 2 })
    await front.kill('SIGKILL')
  })
})

const available = await kafkaAvailable()

describe.skipIf(!available)('the watch', () => {
  let cluster: Cluster
  let front: Front
  beforeAll(async () => {
    cluster = await startCluster()
    front = await startFront({ path: path.join(directory, 'store') })
    await ask(front, 'CREATE TABLE chunks (chunk_id UUID, state String) ENGINE = Memory')
  }, 60_000)
  afterAll(async () => {
    await front?.kill('SIGKILL')
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  test('finds an offset that passed what is not stored', async () => {
    const settings = { brokers: cluster.bootstrap, clientId: 'test' }
    const wish = { partitions: 1, replicas: 1, retentionMillis: 3_600_000 }
    await ensureTopics(settings, [
      { ...wish, topic: CHUNK_STREAM },
      { ...wish, topic: DEAD_STREAM },
    ])
    const watch = await BusWatch.open(cluster.bootstrap)
    const sink = new KafkaSink({ ...settings, topic: CHUNK_STREAM }, () => {})
    const ids: string[] = []
    const sending: Promise<unknown>[] = []
    const writer = new ChunkWriter({ sensor: 's', origin: 's/o', format: 'pcap' }, (bytes) => {
      const { id } = decodeChunk(bytes).header
      ids.push(id)
      sending.push(sink.send({ key: 's/0', bytes }))
    })
    for (let i = 0; i < 3; i++) {
      writer.flow()
      writer.cut()
    }
    await Promise.all(sending)
    expect(await watch.lag()).toBe(3)

    const source = await KafkaSource.open(
      { ...settings, topic: CHUNK_STREAM, groupId: GROUP, inFlightBytes: 1 << 20 },
      () => {},
    )
    const claim = await firstClaim(source)
    const taken = await take(claim, 3)
    await ask(front, `INSERT INTO chunks SELECT toUUID('${ids[0]}'), 'complete'`)
    await claim.commit(taken[0]!.offset + 1n)
    expect(await passedTooFar(watch, front)).toEqual([])
    await claim.commit(taken[1]!.offset + 1n)
    expect(await passedTooFar(watch, front)).toEqual([
      `0:1 is committed, but ${ids[1]} is not stored`,
    ])
    expect(await watch.lag()).toBe(1)
    expect(await watch.members()).toBe(1)

    // Who cannot be asked says nothing.
    await front.kill('SIGKILL')
    expect(await passedTooFar(watch, front)).toBeUndefined()
    await source.close()
    await sink.close()
    await watch.close()
  }, 60_000)
})
