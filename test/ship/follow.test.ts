// Files that grow, are renamed, cut shorter, copied, removed: every line is sent once, and soon.

import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { range, startSensor, vpcLine, vpcLines } from './following.ts'
import { ROOT } from './stream.ts'

let root = ''
let here = ''
let logs = ''
let count = 0
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-follow-'))
})
afterAll(() => rm(root, { recursive: true }))
beforeEach(async () => {
  here = path.join(root, String(count++))
  logs = path.join(here, 'logs')
  await mkdir(logs, { recursive: true })
})

const log = (name = 'vpc.log') => path.join(logs, name)

test('what is appended is sent soon; half a line waits for the rest of it', async () => {
  await writeFile(log(), vpcLines(0, 5))
  const sensor = await startSensor(here, [logs])
  await sensor.until(() => sensor.ports().length === 5)
  const [start, rest] = [vpcLine(6).slice(0, 40), vpcLine(6).slice(40)]
  await appendFile(log(), vpcLine(5) + start)
  await sensor.until(() => sensor.ports().length === 6)
  await appendFile(log(), rest)
  await sensor.until(() => sensor.ports().length === 7)
  const { drained } = await sensor.stop()
  expect(drained).toBe(true)
  expect(sensor.ports()).toEqual(range(0, 7))
  const headers = sensor.records().map(({ header }) => header)
  expect(headers.map(({ seq }) => seq)).toEqual(range(0, headers.length))
  expect(new Set(headers.map(({ origin }) => origin)).size).toBe(1)
  expect(headers.some(({ last }) => last)).toBe(false)
}, 20_000)

test('after a restart it goes on behind what was sent, under the same name', async () => {
  await writeFile(log(), vpcLines(0, 100))
  const first = await startSensor(here, [logs])
  await first.until(() => first.ports().length === 100)
  await appendFile(log(), vpcLines(100, 150))
  await first.until(() => first.ports().length === 150)
  await first.stop()
  await appendFile(log(), vpcLines(150, 170))
  const second = await startSensor(here, [logs])
  await second.until(() => second.ports().includes(169))
  await second.stop()
  // The stream begins with what the first one sent.
  expect(second.ports()).toEqual(range(0, 170))
  const headers = second.records().map(({ header }) => header)
  expect(headers.map(({ seq }) => seq)).toEqual(range(0, headers.length))
  expect(new Set(headers.map(({ origin }) => origin)).size).toBe(1)
}, 20_000)

test('a file that is renamed is read to its end; its name goes to the next one', async () => {
  await writeFile(log(), vpcLines(0, 10))
  const sensor = await startSensor(here, [logs])
  await sensor.until(() => sensor.ports().length === 10)
  await appendFile(log(), vpcLines(10, 12))
  await rename(log(), log('vpc.log.1'))
  await appendFile(log('vpc.log.1'), vpcLines(12, 15))
  await writeFile(log(), vpcLines(15, 20))
  await sensor.until(() => sensor.ports().length === 20)
  // In the end the renamed one is over.
  await sensor.until(() => sensor.records().some(({ header }) => header.last))
  await sensor.stop()
  expect(sensor.ports()).toEqual(range(0, 20))
  expect(new Set(sensor.records().map(({ header }) => header.origin)).size).toBe(2)
}, 20_000)

test('a file that is copied and cut shorter goes on in its copy, from where it was', async () => {
  await writeFile(log(), vpcLines(0, 10))
  const sensor = await startSensor(here, [logs])
  await sensor.until(() => sensor.ports().length === 10)
  // At once, so that nobody sees the two lines before they are in the copy alone.
  await appendFile(log(), vpcLines(10, 12))
  await copyFile(log(), log('vpc.log.1'))
  await truncate(log(), 0)
  await appendFile(log(), vpcLines(12, 14))
  await sensor.until(() => sensor.ports().length === 14)
  await sensor.stop()
  expect(sensor.ports()).toEqual(range(0, 14))
}, 20_000)

test('what is left of a removed file is lost only if nobody had it open: it ends, and is whole', async () => {
  await writeFile(log(), vpcLines(0, 10))
  const sensor = await startSensor(here, [logs])
  await sensor.until(() => sensor.ports().length === 10)
  await appendFile(log(), vpcLines(10, 12))
  await rm(log())
  await sensor.until(() => sensor.records().some(({ header }) => header.last))
  await sensor.stop()
  expect(sensor.ports()).toEqual(range(0, 12))
  expect([...sensor.ledger.entries()]).toMatchObject([{ over: true, total: { flow_records: 12 } }])
}, 20_000)

test('compressed files are read when they are whole, and not if they hold what was read before', async () => {
  await writeFile(log(), vpcLines(0, 10))
  const sensor = await startSensor(here, [logs])
  await sensor.until(() => sensor.ports().length === 10)
  const whole = gzipSync(vpcLines(100, 110))
  await writeFile(log('other.log.gz'), whole.subarray(0, 50))
  // What `gzip` does to a log that was rotated.
  await writeFile(log('vpc.log.1.gz'), gzipSync(await readFile(log())))
  await rm(log())
  await sensor.until(() => sensor.records().some(({ header }) => header.last))
  await writeFile(log('other.log.gz'), whole)
  await sensor.until(() => sensor.ports().length === 20)
  await sensor.stop()
  expect(sensor.ports()).toEqual([...range(0, 10), ...range(100, 110)])
}, 30_000)

test('a file that is not what it was is sent again, under another name', async () => {
  await writeFile(log(), vpcLines(0, 30))
  const first = await startSensor(here, [logs])
  await first.until(() => first.ports().length === 30)
  await first.stop()
  // The same beginning, and then other lines where some were sent.
  await writeFile(log(), vpcLines(0, 28) + vpcLines(50, 60))
  const second = await startSensor(here, [logs])
  await second.until(() => second.ports().includes(59))
  await second.stop()
  expect(second.said.some((words) => words.includes('not what it was'))).toBe(true)
  const { origin } = first.records()[0]!.header
  const again = second.records().filter(({ header }) => header.origin !== origin)
  expect(again.flatMap(({ ports }) => ports)).toEqual([...range(0, 28), ...range(50, 60)])
}, 20_000)

test('a file that went, or was replaced, while nobody followed it is an input that ended, and a row says so', async () => {
  await writeFile(log('a.log'), vpcLines(0, 30))
  await writeFile(log('b.log'), vpcLines(100, 130))
  const first = await startSensor(here, [logs])
  await first.until(() => first.ports().length === 60)
  await first.stop()
  await rm(log('a.log'))
  await writeFile(log('b.log'), vpcLines(200, 230))
  const second = await startSensor(here, [logs])
  await second.until(() => second.ports().includes(229))
  await second.stop()
  const ended = second.records().filter(({ header }) => header.last)
  expect(ended.map(({ metrics }) => metrics)).toEqual([['input_gone'], ['input_gone']])
  expect(ended.map(({ header }) => header.origin).sort()).toEqual(
    first
      .records()
      .map(({ header }) => header.origin)
      .sort(),
  )
  expect(second.ports()).toEqual([...range(0, 30), ...range(100, 130), ...range(200, 230)])
}, 20_000)

test('a capture that grows keeps its open flows back, also over a restart', async () => {
  const story = path.join(ROOT, 'fixtures', 'told-three-times', 'input', 'pcap', 'claims.pcap')
  const bytes = await readFile(story)
  const name = log('live.pcap')
  await writeFile(name, bytes.subarray(0, 20_001))
  const first = await startSensor(here, [name], { quietMillis: 60_000 })
  await first.until(() => first.openFlows() > 0)
  await first.stop()
  expect(first.said).toContain('flows that have not ended stay in their files for the next start')
  await appendFile(name, bytes.subarray(20_001))
  const second = await startSensor(here, [name], { quietMillis: 60_000 })
  await second.until(() => second.openFlows() > 0)
  await rm(name)
  await second.until(() => second.records().some(({ header }) => header.last))
  await second.stop()
  const whole = await startSensor(path.join(here, 'whole'), [story], { follow: false })
  await whole.ended
  await whole.stop()
  expect(second.ids()).toEqual(whole.ids())
  expect(whole.ids().length).toBeGreaterThan(10)
}, 20_000)

test('a capture that grows no more is over after a while; if it grows after all, it is read anew', async () => {
  const story = path.join(ROOT, 'fixtures', 'told-three-times', 'input', 'pcap', 'claims.pcap')
  const bytes = await readFile(story)
  const whole = await startSensor(path.join(here, 'whole'), [story], { follow: false })
  await whole.ended
  await whole.stop()
  const name = log('dropped.pcap')
  await writeFile(name, bytes.subarray(0, 20_001))
  const one = await startSensor(here, [logs])
  const ended = () => one.records().filter(({ header }) => header.last)
  await one.until(() => ended().length === 1)
  expect(one.openFlows()).toBe(0)
  await appendFile(name, bytes.subarray(20_001))
  await one.until(
    () => new Set(one.ids()).size === new Set(whole.ids()).size || one.openFlows() > 0,
  )
  await rm(name)
  await one.until(() => ended().length === 2)
  await one.stop()
  expect(new Set(one.ids())).toEqual(new Set(whole.ids()))
}, 20_000)

test('Zeek logs that grow side by side give each other names, and a restart sends nothing twice', async () => {
  const story = path.join(ROOT, 'fixtures', 'told-three-times', 'input', 'zeek', 'triage')
  const lines = (await readFile(path.join(story, 'conn.log'), 'utf8')).split('\n')
  const half = lines.slice(0, lines.length - 4).join('\n')
  for (const name of ['dns.log', 'ssl.log', 'http.log'])
    await copyFile(path.join(story, name), log(name))
  await writeFile(log('conn.log'), `${half}\n`)
  const first = await startSensor(here, [logs])
  await first.until(() => first.names().length > 0)
  await first.stop()
  // A name that comes only now changes nothing of what was sent.
  await appendFile(log('ssl.log'), (await readFile(log('ssl.log'), 'utf8')).split('\n').at(-3)!)
  await appendFile(log('conn.log'), lines.slice(lines.length - 4).join('\n'))
  const second = await startSensor(here, [logs])
  const whole = await startSensor(path.join(here, 'whole'), [story], { follow: false })
  await whole.ended
  await whole.stop()
  await second.until(() => second.ids().length === whole.ids().length)
  await second.stop()
  expect(second.ids()).toEqual(whole.ids())
  expect(second.names().sort()).toEqual(whole.names().sort())
  expect(second.said.filter((words) => words.includes('not what it was'))).toEqual([])
}, 20_000)
