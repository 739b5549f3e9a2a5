// `bailiwick sensor` as a process, with a real broker: from inputs to messages, also when it is killed on the way.

import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { laneKey } from '../../src/bus/bus.ts'
import { chunkPart, decodeChunk } from '../../src/chunk.ts'
import { LEDGER_NAME, parseLedger } from '../../src/ship/ledger-file.ts'
import { kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { describe as describeChunk, range, vpcLines } from './following.ts'
import {
  bailiwick,
  chunkIds,
  headerOf,
  limitMessages,
  makeTopic,
  messagesOn,
  ROOT,
} from './stream.ts'

const available = await kafkaAvailable()
const STORY = path.join(ROOT, 'fixtures', 'told-three-times', 'input')
const CAPTURE = path.join(STORY, 'pcap', 'claims.pcap')
const IPV6 = path.join(ROOT, 'fixtures', 'ipv6', 'input')

let directory = ''
let cluster: Awaited<ReturnType<typeof startCluster>>

describe.skipIf(!available)('a sensor', () => {
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-sensor-'))
    cluster = await startCluster()
  }, 90_000)
  afterAll(async () => {
    if (cluster !== undefined) await stopCluster(cluster.dir)
    await rm(directory, { recursive: true, force: true })
  })

  /** Starts a sensor of this name, which is that of its spool too. */
  const sensor = (name: string, args: readonly string[], failpoints?: string) =>
    bailiwick(
      [
        ...['sensor', ...args, '--sensor-id', name, '--spool', path.join(directory, name)],
        ...['--kafka', cluster.bootstrap.join(',')],
      ],
      failpoints === undefined ? {} : { env: { ...process.env, BAILIWICK_FAILPOINTS: failpoints } },
    )
  const sentBy = async (name: string) =>
    (await messagesOn(cluster.bootstrap)).filter((one) => headerOf(one).sensor === name)
  const ledgerOf = async (name: string) => {
    const file = path.join(directory, name, LEDGER_NAME)
    const bytes = await readFile(file).catch(() => Buffer.alloc(9))
    return parseLedger(bytes)?.entries ?? []
  }

  test('says what is missing where it cannot send, keeps what it read, and sends it the next time', async () => {
    const first = await sensor('local', [STORY]).ended
    expect(first.code).toBe(4)
    expect(first.stderr).toMatch(/no topic bailiwick\.chunks\.v1 .*bailiwick topics creates it/)
    // Who follows does not end for that: it says so, keeps what it reads, and goes on when the topic is there.
    const waiting = sensor('waiting', [IPV6, '--follow'])
    while (!waiting.said.stderr.includes('the stream refuses us')) await sleep(50)
    await makeTopic(cluster.bootstrap)
    while (!waiting.said.stderr.includes('takes chunks again')) await sleep(50)
    waiting.child.kill('SIGTERM')
    expect((await waiting.ended).code).toBe(0)
    // What the spool holds is sent with what comes now.
    const second = await sensor('local', [IPV6, '--lanes', '2']).ended
    expect([second.code, second.stderr]).toEqual([0, expect.stringContaining('is sent')])
    const all = await messagesOn(cluster.bootstrap)
    const sentAll = all.filter((one) => headerOf(one).format !== 'statement')
    expect(sentAll.some((one) => headerOf(one).sensor === 'waiting')).toBe(true)
    const messages = sentAll.filter((one) => headerOf(one).sensor === 'local')
    const expected = [...(await chunkIds([STORY], 'local')), ...(await chunkIds([IPV6], 'local'))]
    expect(messages.map((one) => headerOf(one).id).sort()).toEqual(expected.sort())
    for (const one of messages) {
      const header = headerOf(one)
      expect([8, 2]).toContain(header.lanes)
      expect(one.key).toBe(laneKey(header, header.lanes!))
    }
    expect(new Set(messages.map((one) => headerOf(one).lanes)).size).toBe(2)
  }, 60_000)

  test('killed anywhere it sends everything in the end, at most the last of it twice, and announces it', async () => {
    const points = ['F1_read_journal=kill@3', 'F2_journal_produce=kill@2', 'F3_produce_ack=kill@1']
    await Promise.all(
      points.map(async (point, at) => {
        const killed = await sensor(`k${at}`, [STORY], point).ended
        expect(killed.signal, killed.stderr).toBe('SIGKILL')
        const again = await sensor(`k${at}`, [STORY]).ended
        expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('is sent')])
      }),
    )
    const all = await messagesOn(cluster.bootstrap)
    for (const [at, point] of points.entries()) {
      const messages = all.filter((one) => headerOf(one).sensor === `k${at}`)
      const chunks = messages.filter((one) => headerOf(one).format !== 'statement')
      const ids = chunks.map((one) => headerOf(one).id)
      expect([...new Set(ids)].sort()).toEqual((await chunkIds([STORY], `k${at}`)).sort())
      // Only what was produced and not checkpointed may come twice: no more than was read before it died.
      const before = Number(point.split('@')[1]) - 1
      if (!point.startsWith('F3'))
        expect(ids.length - new Set(ids).size).toBeLessThanOrEqual(before)
      expect(announced(messages)).toEqual(totals(chunks))
    }
  }, 90_000)

  test('killed while it follows it goes on, and every line is there once', async () => {
    const points = ['F1_read_journal=kill@3', 'F2_journal_produce=kill@3', 'F3_produce_ack=kill@2']
    const lines = await Promise.all(points.map((point, at) => followKilled(`f${at}`, point)))
    const all = await messagesOn(cluster.bootstrap)
    for (const at of points.keys()) {
      const messages = all.filter((one) => headerOf(one).sensor === `f${at}`)
      const chunks = messages.filter((one) => headerOf(one).format !== 'statement')
      const once = [...new Map(chunks.map((one) => [headerOf(one).id, one])).values()]
      const sent = once.flatMap(({ bytes }) => describeChunk(bytes).ports)
      expect(sent.sort((a, b) => a - b)).toEqual(range(0, lines[at]!))
      expect(new Set(once.map((one) => headerOf(one).origin)).size).toBe(1)
      const numbers = once.map((one) => headerOf(one).seq).sort((a, b) => a - b)
      expect(numbers).toEqual(range(0, once.length))
      expect(announced(messages)).toEqual(totals(once))
    }
  }, 120_000)

  /** A log that grows while the sensor dies of a failpoint and another one takes over. @returns its lines */
  async function followKilled(name: string, point: string): Promise<number> {
    const logs = path.join(directory, `${name}-logs`)
    await mkdir(logs)
    const log = path.join(logs, 'vpc.log')
    await writeFile(log, vpcLines(0, 50))
    const first = sensor(name, [logs, '--follow'], point)
    let lines = 50
    let killed = false
    void first.ended.then(() => {
      killed = true
    })
    while (!killed) {
      await appendFile(log, vpcLines(lines, lines + 5))
      lines += 5
      await sleep(300)
    }
    const { signal, stderr } = await first.ended
    expect(signal, stderr).toBe('SIGKILL')
    await appendFile(log, vpcLines(lines, lines + 5))
    lines += 5
    const second = sensor(name, [logs, '--follow'])
    while ((await ledgerOf(name))[0]?.total.flow_records !== lines) await sleep(50)
    second.child.kill('SIGTERM')
    expect((await second.ended).code).toBe(0)
    return lines
  }

  test('standard input ends when the process is told to; one that was killed is said to be cut off', async () => {
    const bytes = await readFile(CAPTURE)
    const reading = sensor('in', ['-'])
    reading.child.stdin!.write(bytes.subarray(0, 30_000))
    while ((await ledgerOf('in')).length === 0) await sleep(50)
    await sleep(300)
    reading.child.kill('SIGTERM')
    expect((await reading.ended).code).toBe(0)
    expect(await ledgerOf('in')).toMatchObject([{ kind: 'stdin', over: true }])
    const killed = sensor('in', ['-'])
    killed.child.stdin!.write(bytes.subarray(0, 30_000))
    while ((await ledgerOf('in')).length < 2) await sleep(50)
    killed.child.kill('SIGKILL')
    await killed.ended
    const next = sensor('in', ['-'])
    next.child.stdin!.end(bytes)
    const { code, stderr } = await next.ended
    expect([code, stderr]).toEqual([0, expect.stringContaining('the process before ended')])
    const chunks = (await sentBy('in')).filter((one) => headerOf(one).format === 'pcap')
    const last = chunks.filter((one) => headerOf(one).last).map(({ bytes }) => describeChunk(bytes))
    expect(last.length).toBe(3)
    expect(last.filter(({ metrics }) => metrics.includes('sensor_restart')).length).toBe(1)
  }, 60_000)

  test('chunks too large for the broker go in pieces; what is still too large is kept, and told by the exit code', async () => {
    await limitMessages(cluster.bootstrap, 2600)
    const pieces = await sensor('large', [CAPTURE]).ended
    await limitMessages(cluster.bootstrap, 700)
    const dead = await sensor('larger', [CAPTURE]).ended
    await limitMessages(cluster.bootstrap, 8 << 20)
    expect([pieces.code, pieces.stderr]).toEqual([0, expect.stringContaining('is sent')])
    const [whole] = await chunkIds([CAPTURE], 'large')
    const sent = (await sentBy('large')).filter((one) => headerOf(one).format !== 'statement')
    expect(new Set(sent.map((one) => headerOf(one).piece?.of))).toEqual(new Set([whole]))
    const records = await sentRecords(sent)
    expect(records.length).toBe(new Set(records).size)
    expect(dead.code).toBe(3)
    expect(dead.stderr).toContain('kept in')
    const kept = await readdir(path.join(directory, 'larger', 'dead'))
    const bodies = await Promise.all(
      kept.map((one) => readFile(path.join(directory, 'larger', 'dead', one))),
    )
    const left = await sentRecords(bodies.map((bytes) => ({ bytes })))
    expect(left.length).toBe(records.length)
    expect(await sentRecords(await sentBy('larger'))).toEqual([])
  }, 60_000)

  test('wants to know where to send, and where to keep', async () => {
    const nowhere = await bailiwick(['sensor', CAPTURE, '--spool', directory]).ended
    expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringContaining('--kafka')])
    const noSpool = await bailiwick(['sensor', CAPTURE, '--kafka', 'localhost:1']).ended
    expect([noSpool.code, noSpool.stderr]).toEqual([2, expect.stringContaining('--spool')])
  }, 30_000)
})

/** Flow records with their number, of statements left out. */
async function sentRecords(messages: readonly { bytes: Uint8Array }[]): Promise<string[]> {
  return messages
    .filter((one) => headerOf(one).format !== 'statement')
    .flatMap(({ bytes }) => describeChunk(bytes).ids)
    .sort()
}

interface Totals {
  [origin: string]: { chunks: number; records: number; hours: Record<number, number> }
}

/** What statements say: of two rows about the same thing the larger one holds. */
function announced(messages: readonly { bytes: Uint8Array }[]): Totals {
  const said: Totals = {}
  for (const { bytes } of messages) {
    const rows = chunkPart(decodeChunk(bytes), 'announced')
    for (let row = 0; rows !== undefined && row < rows.rows; row++) {
      const c = rows.columns
      const about = (said[c.origin.get(row)] ??= { chunks: 0, records: 0, hours: {} })
      const records = c.flow_records[row]!
      if (c.about.get(row) === 'origin') {
        about.chunks = Math.max(about.chunks, c.chunks[row]!)
        about.records = Math.max(about.records, records)
      } else {
        const hour = c.hour[row]! / 3_600_000_000
        about.hours[hour] = Math.max(about.hours[hour] ?? 0, records)
      }
    }
  }
  return said
}

/** What chunks hold, each counted once. */
function totals(messages: readonly { bytes: Uint8Array }[]): Totals {
  const found: Totals = {}
  const seen = new Set<string>()
  for (const one of messages) {
    const { id, origin, parts, hours } = headerOf(one)
    if (seen.has(id)) continue
    seen.add(id)
    const about = (found[origin] ??= { chunks: 0, records: 0, hours: {} })
    about.chunks++
    about.records += parts.find(({ table }) => table === 'flow_records')?.rows ?? 0
    for (const [hour, records] of hours) about.hours[hour] = (about.hours[hour] ?? 0) + records
  }
  return found
}
