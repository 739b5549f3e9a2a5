// Dead letters on a real broker: listed, shown, sent again once, and what a message is (`inspect`).

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHUNK_STREAM, DEAD_STREAM, type Sink } from '../../src/bus/bus.ts'
import {
  type DeadLetter,
  deadLetterId,
  encodeDeadLetter,
  encodeRedriveMark,
} from '../../src/bus/dead-letter.ts'
import { DeadLetters } from '../../src/bus/dead-letters.ts'
import { KafkaReader } from '../../src/bus/kafka-reader.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { decodeChunk } from '../../src/chunk.ts'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { chunkOf } from '../flows.ts'
import { HOSTILE, Memory, RAW_CONTROL } from './heard.ts'

const available = await kafkaAvailable()

describe.skipIf(!available)('dlq', () => {
  let cluster: Cluster
  let dead: Sink
  const settings = () => ({ brokers: cluster.bootstrap, clientId: 'test' })
  const chunk = chunkOf([{ orig: '10.0.0.1:40000', resp: '192.0.2.7:443', name: 'api.example' }])
  const { header } = decodeChunk(chunk)

  beforeAll(async () => {
    cluster = await startCluster()
    const wish = { partitions: 3, replicas: 1, retentionMillis: 3_600_000 }
    await ensureTopics(
      settings(),
      [CHUNK_STREAM, DEAD_STREAM].map((topic) => ({ ...wish, topic })),
    )
    dead = new KafkaSink({ ...settings(), topic: DEAD_STREAM }, () => {})
    await die(1, 'refused', chunk, { chunk: deadChunk() })
    await die(2, 'garbage', Buffer.from('\u001b[2Jnot a chunk'), { detail: HOSTILE.join('') })
    await die(3, 'refused', chunk, { chunk: deadChunk(), stream: 'elsewhere' })
    // The writer of the second letter died before it knew that it had been taken.
    await die(2, 'garbage', Buffer.from('\u001b[2Jnot a chunk'), { detail: HOSTILE.join('') })
    await dead.send({ key: 'x/1', bytes: Buffer.from('what is this') })
  }, 90_000)
  afterAll(async () => {
    await dead?.close()
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  const deadChunk = (): NonNullable<DeadLetter['chunk']> => ({
    id: header.id,
    sensor: header.sensor,
    origin: header.origin,
    seq: header.seq,
    piece: '',
    flowRecords: 1,
    hours: header.hours,
  })
  const idOf = (offset: number, stream = CHUNK_STREAM) =>
    deadLetterId({ stream, partition: 0, offset: BigInt(offset) }, '')

  async function die(
    offset: number,
    reason: DeadLetter['reason'],
    bytes: Uint8Array,
    more: Partial<DeadLetter> = {},
  ): Promise<void> {
    const letter: DeadLetter = {
      id: idOf(offset, more.stream),
      reason,
      detail: 'as it was',
      stream: CHUNK_STREAM,
      partition: 0,
      offset: String(offset),
      key: `s/${offset}`,
      acceptedAt: 1_750_000_000_000,
      diedAt: 1_750_000_000_000 + offset * 1000,
      version: '0.1.0',
      ...more,
    }
    await dead.send({ key: letter.key, bytes: encodeDeadLetter(letter, bytes) })
  }

  async function bailiwick(...args: string[]) {
    const [stdout, stderr] = [new Memory(), new Memory()]
    const environment = readEnvironment({
      BAILIWICK_KAFKA_BROKERS: cluster.bootstrap.join(','),
      COLUMNS: '160',
    })
    const { signal } = new AbortController()
    const code = await run(args, { stdout, stderr, environment, signal })
    return { code, out: stdout.text, err: stderr.text, bytes: Buffer.concat(stdout.pieces) }
  }

  async function messagesOf(topic: string) {
    const reader = await KafkaReader.open(settings(), topic)
    const found = []
    for (const { partition, first, end } of await reader.ranges())
      for await (const message of reader.read(partition, first, end)) found.push(message)
    await reader.close()
    return found
  }

  test('ls: newest first, each once, strangers named, nothing unprintable', async () => {
    const { code, out, err } = await bailiwick('dlq', 'ls')
    expect([code, err]).toEqual([0, ''])
    const lines = out.trimEnd().split('\n')
    expect(lines.map((line) => line.split(/ {2,}/)[0])).toEqual([
      'id',
      idOf(3, 'elsewhere'),
      idOf(2),
      idOf(1),
      expect.stringMatching(/^not a letter: partition \d, offset \d+: .*does not begin with BWD1$/),
    ])
    expect(out).not.toMatch(RAW_CONTROL)
    const json = JSON.parse((await bailiwick('dlq', 'ls', '--json', '--reason', 'refused')).out)
    expect(json.letters).toMatchObject([
      { id: idOf(3, 'elsewhere'), redriven_at: null },
      {
        id: idOf(1),
        reason: 'refused',
        offset: '1',
        died_at: '2025-06-15T15:06:41',
        chunk: { seq: 0 },
      },
    ])
    const few = JSON.parse((await bailiwick('dlq', 'ls', '--json', '--limit', '1')).out)
    expect(few.letters).toMatchObject([{ id: idOf(3, 'elsewhere') }])
  })

  test('show: where it came from and what it is; a dump of what is no chunk; its bytes', async () => {
    const shown = await bailiwick('dlq', 'show', idOf(1).slice(0, 8))
    expect(shown.out).toContain(`came from ${CHUNK_STREAM}:0:1, key s/1`)
    expect(shown.out).toContain(`chunk ${header.id}  content as its id says`)
    expect(shown.out).toContain('"server_name":"api.example"')
    const garbage = await bailiwick('dlq', 'show', idOf(2))
    expect(garbage.out).toContain('no chunk: not a chunk: the first bytes are not BWC1')
    expect(garbage.out).toContain('1b 5b 32 4a 6e 6f 74 20  61 20 63 68 75 6e 6b')
    expect(garbage.out).not.toMatch(RAW_CONTROL)
    expect((await bailiwick('dlq', 'show', idOf(1), '--raw')).bytes.equals(chunk)).toBe(true)
  })

  test('an id that is none, or of nothing, is said', async () => {
    expect(await bailiwick('dlq', 'show', 'xyz')).toMatchObject({ code: 2 })
    expect(await bailiwick('dlq', 'show', 'ffffffff-0000')).toMatchObject({
      code: 3,
      err: expect.stringContaining('there is no letter ffffffff-0000'),
    })
    expect(await bailiwick('dlq', 'redrive')).toMatchObject({ code: 2 })
    expect(await bailiwick('dlq', 'ls', '--limit', '1e9')).toMatchObject({ code: 2 })
  })

  test('redrive: the bytes under their key to where they came from, once unless told again', async () => {
    const dry = await bailiwick('dlq', 'redrive', '--all', '--reason', 'refused', '--dry-run')
    expect(dry.out).toContain(`${idOf(1)}  would be sent to ${CHUNK_STREAM}`)
    expect(await messagesOf(CHUNK_STREAM)).toEqual([])

    const first = await bailiwick('dlq', 'redrive', '--all', '--reason', 'refused')
    // A letter may claim any stream; only ours is written to.
    expect(first).toMatchObject({
      code: 3,
      err: expect.stringContaining('elsewhere, which is not ours'),
    })
    const [sent, ...more] = await messagesOf(CHUNK_STREAM)
    expect(more).toEqual([])
    expect(sent).toMatchObject({ key: 's/1' })
    expect(Buffer.from(sent!.bytes).equals(chunk)).toBe(true)

    const second = await bailiwick('dlq', 'redrive', idOf(1))
    expect([second.code, second.out]).toEqual([0, expect.stringContaining('was sent again')])
    expect(await messagesOf(CHUNK_STREAM)).toHaveLength(1)
    const again = await bailiwick('dlq', 'redrive', idOf(1), '--again', '--json')
    expect(JSON.parse(again.out).outcomes).toEqual([
      { id: idOf(1), outcome: `sent to ${CHUNK_STREAM}` },
    ])
    expect(await messagesOf(CHUNK_STREAM)).toHaveLength(2)
    const open = JSON.parse((await bailiwick('dlq', 'ls', '--open', '--json')).out)
    expect(open.letters.map(({ id }: { id: string }) => id)).toEqual([
      idOf(3, 'elsewhere'),
      idOf(2),
    ])
  })

  test('killed after the message was taken and before the mark: the letter is open, and is sent again', async () => {
    const before = (await messagesOf(CHUNK_STREAM)).length
    const all = await DeadLetters.open(settings())
    const { letters } = await all.list({ limit: 9, id: idOf(2) })
    // What was done before the kill: the message alone.
    const chunks = new KafkaSink({ ...settings(), topic: CHUNK_STREAM }, () => {})
    await chunks.send({ key: letters[0]!.letter.key, bytes: (await all.bytesOf(letters[0]!))! })
    await chunks.close()
    await all.close()
    await bailiwick('dlq', 'redrive', idOf(2))
    // Twice the same bytes: were they a chunk, its id would be the same, and the store would keep it once.
    const sent = (await messagesOf(CHUNK_STREAM)).filter(({ key }) => key === 's/2')
    expect(sent).toHaveLength(2)
    expect(Buffer.from(sent[0]!.bytes).equals(sent[1]!.bytes)).toBe(true)
    expect((await messagesOf(CHUNK_STREAM)).length).toBe(before + 2)
    expect((await bailiwick('dlq', 'redrive', idOf(2))).out).toContain('was sent again')
  })

  test('redrive of a file that a sensor put aside: a chunk as it is, and nothing else', async () => {
    const scratch = await mkdtemp(path.join(tmpdir(), 'bailiwick-dlq-'))
    const file = path.join(scratch, `${header.id}.chunk`)
    await writeFile(file, chunk)
    const before = (await messagesOf(CHUNK_STREAM)).length
    expect((await bailiwick('dlq', 'redrive', file, '--dry-run')).out).toContain('would be sent')
    expect((await bailiwick('dlq', 'redrive', file)).out).toContain('the file can be removed')
    const sent = await messagesOf(CHUNK_STREAM)
    expect(sent).toHaveLength(before + 1)
    expect(sent.filter(({ key }) => key === 's/0')).toHaveLength(1)
    await writeFile(file, chunk.subarray(0, 100))
    expect(await bailiwick('dlq', 'redrive', file)).toMatchObject({ code: 3 })
    expect(await bailiwick('dlq', 'redrive', `${file}.chunk`)).toMatchObject({ code: 3 })
    expect(await messagesOf(CHUNK_STREAM)).toHaveLength(before + 1)
    await rm(scratch, { recursive: true })
  })

  test('many letters: windows from the end to the beginning, marks before what they are about', async () => {
    for (let i = 100; i < 700; i += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, j) => die(i + j, 'version', Buffer.alloc(10))),
      )
    await dead.send({
      key: 's/100',
      bytes: encodeRedriveMark({ id: idOf(100), at: 1_760_000_000_000 }),
    })
    const all = await DeadLetters.open(settings())
    const { letters, unread } = await all.list({ limit: 10_000, reason: 'version' })
    expect([letters.length, unread]).toEqual([600, 0n])
    const times = letters.map(({ letter }) => letter.diedAt)
    expect(times).toEqual([...times].sort((a, b) => b - a))
    expect(letters.filter(({ redrivenAt }) => redrivenAt !== undefined)).toMatchObject([
      { letter: { id: idOf(100) }, redrivenAt: 1_760_000_000_000 },
    ])
    await all.close()
  })

  test('inspect: a message by its place, also a letter and a mark', async () => {
    const place = (await messagesOf(CHUNK_STREAM)).find(({ key }) => key === 's/1')!
    const seen = await bailiwick('inspect', `${CHUNK_STREAM}:${place.partition}:${place.offset}`)
    expect([seen.code, seen.err]).toEqual([0, ''])
    expect(seen.out).toContain('key s/1\nchunk ')
    const raw = await bailiwick(
      'inspect',
      `${CHUNK_STREAM}:${place.partition}:${place.offset}`,
      '--raw',
    )
    expect(raw.bytes.equals(chunk)).toBe(true)
    const texts = await Promise.all(
      (await messagesOf(DEAD_STREAM))
        .slice(0, 5)
        .map(({ partition, offset }) =>
          bailiwick('inspect', `${DEAD_STREAM}:${partition}:${offset}`),
        ),
    )
    expect(texts.some(({ out }) => out.includes('\nletter '))).toBe(true)
    const none = await bailiwick('inspect', `${CHUNK_STREAM}:0:999`)
    expect(none).toMatchObject({
      code: 3,
      err: expect.stringMatching(/has no message at 999: it holds \d+ to before \d+/),
    })
    expect(await bailiwick('inspect', 'nowhere:0:1')).toMatchObject({ code: 4 })
    expect(await bailiwick('inspect', `${CHUNK_STREAM}:9:1`)).toMatchObject({ code: 3 })
  })
})
