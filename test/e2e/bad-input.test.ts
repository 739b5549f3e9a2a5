// What goes wrong around the whole path, with the real commands: what is said, how each ends or whether it is ready, and
// that nothing is lost. Where Kafka refuses: test/cli/kafka-commands.test.ts.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { CHUNK_STREAM } from '../../src/bus/bus.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { type ChunkHeader, decodeChunk, encodeChunk } from '../../src/chunk.ts'
import { recordsOf } from '../../src/pipeline.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { runProgram } from '../faults/program.ts'
import { ROOT, bailiwick as start } from '../ship/stream.ts'
import { type Front, startFront } from '../store/front.ts'
import { chunksOf } from '../work/working.ts'

// Each starts processes, which takes its time where others use the processors.
vi.setConfig({ testTimeout: 120_000 })
const AGENTS = path.join(ROOT, 'fixtures', 'two-agents', 'agents')

/** The same chunk as another version of the program writes it. */
function ofVersion(v: number, chunk: Uint8Array): Uint8Array {
  const { header, parts } = decodeChunk(chunk)
  const { hours, ...rest } = header
  const other = v === 1 ? { ...rest, v } : { ...rest, hours, v }
  return encodeChunk(other as unknown as ChunkHeader, [...parts.values()])
}

describe.skipIf(!(await kafkaAvailable()))('the whole path', () => {
  let directory = ''
  let cluster: Cluster
  let front: Front
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-bad-input-'))
    cluster = await startCluster()
    front = await startFront({ path: path.join(directory, 'store') })
    await runProgram(['topics', ...kafka(), '--partitions', '2'])
    await runProgram(['migrate', '--store', front.store])
  }, 120_000)
  afterAll(async () => {
    await front?.kill('SIGKILL')
    if (cluster !== undefined) await stopCluster(cluster.dir)
    await rm(directory, { recursive: true, force: true })
  })

  const kafka = () => ['--kafka', cluster.bootstrap.join(',')]
  const worker = (store: string, ...more: string[]) => [
    ...['worker', '--agents', AGENTS, ...kafka(), '--store', store, '--threads', '1', ...more],
  ]
  /** The last line of a log. */
  const last = (stderr: string) => JSON.parse(stderr.trimEnd().split('\n').at(-1)!)

  test('chunks of the version before are stored; those of a later one, and what is none, are dead letters', async () => {
    const chunks = await chunksOf('two-agents', 'old')
    const [newer] = await chunksOf('ipv6', 'new')
    const sink = new KafkaSink(
      { brokers: cluster.bootstrap, clientId: 'test', topic: CHUNK_STREAM },
      () => {},
    )
    for (const chunk of chunks) await sink.send({ key: 'old/0', bytes: ofVersion(1, chunk) })
    await sink.send({ key: 'new/0', bytes: ofVersion(3, newer!) })
    await sink.send({ key: 'nobody/0', bytes: Buffer.from('no chunk') })
    await sink.send({ key: 'nobody/0', bytes: chunks[0]!.subarray(0, 200) })
    await sink.close()

    const { stderr } = await runProgram(worker(front.store, '--until-idle', '2'))
    expect(last(stderr).msg).toBe('ended')
    const records = chunks.reduce((sum, chunk) => sum + recordsOf(decodeChunk(chunk).header), 0)
    expect(
      await front.rows('SELECT sensor, toUInt32(count()) AS n FROM flow_records GROUP BY 1'),
    ).toEqual([{ sensor: 'old', n: records }])
    const { stdout } = await runProgram(['dlq', 'ls', ...kafka(), '--json'])
    const { letters } = JSON.parse(stdout) as { letters: { reason: string; detail: string }[] }
    expect(letters.map(({ reason, detail }) => `${reason}: ${detail}`).sort()).toEqual([
      'garbage: chunk header is cut or too large',
      'garbage: not a chunk: the first bytes are not BWC1',
      'version: chunk version 3 is not known',
    ])
  })

  test.each([
    [
      'a wrong password',
      (store: string) => store.replace(/:[^:@]*@/, ':wrong@'),
      /refused the user or the password \(code 516\): correct them in the URL$/,
    ],
    [
      'no such database',
      (store: string) => store.replace(/\w+$/, 'nowhere'),
      /has no such database: create it or name another in the URL$/,
    ],
    [
      'TLS where there is none',
      (store: string) => store.replace('http:', 'https:'),
      /speaks no TLS there: write http:\/\/ in its URL, or give its other port$/,
    ],
  ])('the store: %s is said, exit 4', async (_, changed, words) => {
    const { stderr } = await runProgram(worker(changed(front.store)), { codes: [4] })
    const msg = expect.stringMatching(words)
    expect(last(stderr)).toMatchObject({ level: 'error', exit: 4, msg })
    expect(stderr).not.toMatch(/:wrong@|p%20w|p w/)
  })

  test('the store is not there: the worker waits, is not ready, says why, goes on when it is, and ends well', async () => {
    const late = await startFront({ path: path.join(directory, 'late') })
    await runProgram(['migrate', '--store', late.store])
    await late.tell('refuse')
    const { child, said, ended } = start(worker(late.store, '--listen', '127.0.0.1:0'))
    const line = async (msg: string) => {
      for (;;) {
        // The first says that others can read the password in a URL.
        const lines = said.stderr.split('\n').slice(1, -1)
        const found = lines.map((text) => JSON.parse(text)).find((one) => one.msg === msg)
        if (found !== undefined) return found
        await sleep(20)
      }
    }
    const { listen } = await line('started')
    const words = 'cannot be reached (ECONNREFUSED): start the ClickHouse server or correct the URL'
    expect((await line('not reachable; trying until it is')).reason).toMatch(words)
    const not = await fetch(`${listen}/ready`)
    expect([not.status, await not.text()]).toEqual([503, expect.stringContaining(words)])
    await late.tell('accept')
    while (!(await fetch(`${listen}/ready`)).ok) await sleep(50)
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
    await late.kill('SIGKILL')
  })
})
