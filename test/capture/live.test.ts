// A capture that goes on tells of its flows while they do. Whatever it tells adds up to what the same packets give as a
// file, and every record of a flow carries the same evidence: so a live flow is judged as it would be afterwards.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sniffCapture } from '../../src/capture/capture-file.ts'
import { anyCapture, T } from './any-capture.ts'
import { type RunSettings, run, type SeenFlow } from './capture-run.ts'
import { pcap, type Timed, tcp } from './packet-writer.ts'

/** What judgement rests on. */
const evidence = (flow: SeenFlow) => [
  [flow.ts, flow.orig, flow.resp, flow.protocol, flow.sure, flow.handshake],
  [flow.decidedBy, flow.decidedAt, flow.name, flow.nameSource, flow.nameProof, flow.dnsNames],
]

const CLIENT = '10.0.0.1:40000'
const SERVER = '192.0.2.7:80'

/** A connection that asks for api.example.com, and then sends a little at these seconds. */
function conversation(seconds: readonly number[]): Timed[] {
  const at = (time: number, bytes: Uint8Array): Timed => ({ time: T + time * 1e6, bytes })
  const request = 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n'
  const sent = (i: number) => 1 + request.length + i
  return [
    at(0, tcp({ from: CLIENT, to: SERVER, flags: 'S', seq: 0 })),
    at(0.01, tcp({ from: SERVER, to: CLIENT, flags: 'SA', seq: 0, ack: 1 })),
    at(0.02, tcp({ from: CLIENT, to: SERVER, flags: 'A', seq: 1, ack: 1 })),
    at(0.03, tcp({ from: CLIENT, to: SERVER, flags: 'PA', seq: 1, ack: 1, data: request })),
    ...seconds.map((time, i) =>
      at(time, tcp({ from: CLIENT, to: SERVER, flags: 'PA', seq: sent(i), ack: 1, data: 'x' })),
    ),
  ]
}

const plus = (a: number | undefined, b: number | undefined) =>
  a === undefined ? b : b === undefined ? a : a + b

/** Records of each flow put together; also holds them to what is promised of records. */
function merged(flows: readonly SeenFlow[]): Map<string, SeenFlow> {
  const whole = new Map<string, SeenFlow>()
  for (const flow of flows) {
    const before = whole.get(flow.uid)
    if (before === undefined) {
      expect(flow.recNo).toBe(0)
      whole.set(flow.uid, flow)
      continue
    }
    expect(flow.recNo).toBe(before.recNo + 1)
    expect(evidence(flow)).toEqual(evidence(before))
    whole.set(flow.uid, {
      ...flow,
      origPackets: before.origPackets + flow.origPackets,
      respPackets: before.respPackets + flow.respPackets,
      origIpBytes: before.origIpBytes + flow.origIpBytes,
      respIpBytes: before.respIpBytes + flow.respIpBytes,
      missed: before.missed + flow.missed,
      origBytes: plus(before.origBytes, flow.origBytes),
      respBytes: plus(before.respBytes, flow.respBytes),
    })
  }
  return whole
}

/** The same capture as a file and as it comes: flow by flow. False if the file has two flows of one moment and key. */
function compare(file: Uint8Array, settings: RunSettings): boolean {
  const expected = run(file)
  if (new Set(expected.flows.map(({ uid }) => uid)).size < expected.flows.length) return false
  const live = merged(run(file, settings).flows)
  expect(live.size).toBe(expected.flows.length)
  for (const flow of expected.flows) {
    const { recNo, ...rest } = live.get(flow.uid)!
    const { recNo: only, ...before } = flow
    expect(only).toBe(0)
    expect(recNo).toBeGreaterThanOrEqual(0)
    expect(rest).toEqual(before)
  }
  return true
}

/** Times of the packets of a pcap file by the place where each ends, and the earliest of all that follow. */
function timesOf(file: Uint8Array): { end: number; next: number }[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const packets: { end: number; time: number }[] = []
  for (let at = 24; at + 16 <= file.length; ) {
    const time = view.getUint32(at, true) * 1e6 + view.getUint32(at + 4, true)
    at += 16 + view.getUint32(at + 8, true)
    packets.push({ end: at, time })
  }
  let next = Number.POSITIVE_INFINITY
  const times: { end: number; next: number }[] = []
  for (const { end, time } of packets.toReversed()) {
    times.push({ end, next })
    next = Math.min(next, time)
  }
  return times.toReversed()
}

describe('a capture that goes on', () => {
  test('adds up to the same as a file, however often it tells', () => {
    fc.assert(
      fc.property(anyCapture, fc.integer({ min: 1, max: 100 }), (file, seconds) => {
        compare(file, { live: { activeTimeout: seconds * 1e6 } })
      }),
      { numRuns: 200 },
    )
  })

  test('is not changed by time that passes between packets', () => {
    fc.assert(
      fc.property(anyCapture, (file) => {
        const times = timesOf(file)
        const tick = (pushed: number) => {
          const { next } = times.findLast(({ end }) => end <= pushed) ?? { next: Number.NaN }
          return Number.isFinite(next) ? next : undefined
        }
        compare(file, { live: { activeTimeout: 20e6 }, pieces: [40], tick })
      }),
      { numRuns: 100 },
    )
  })

  test('tells when a flow is decided, whenever the active timeout has passed, and at its end', () => {
    const file = pcap(conversation([30, 61, 70, 150]))
    const { flows } = run(file, { live: { activeTimeout: 60e6 } })
    expect(
      flows.map(({ recNo, endReason, origPackets, name }) => [recNo, endReason, origPackets, name]),
    ).toEqual([
      [0, 'open', 3, 'api.example.com'],
      [1, 'active', 1, 'api.example.com'],
      [2, 'active', 2, 'api.example.com'],
      [3, 'input_end', 1, 'api.example.com'],
    ])
    compare(file, { live: { activeTimeout: 60e6 } })
  })

  test('says nothing of a flow that was silent since', () => {
    const { flows } = run(pcap(conversation([250])), {
      live: { activeTimeout: 60e6 },
      pieces: [1],
      tick: () => T + 200e6,
    })
    expect(flows.map(({ endReason }) => endReason)).toEqual(['open', 'input_end'])
  })

  test('tells of an attempt that nobody answered once time has passed, though no packet comes', () => {
    const { flows } = run(pcap(conversation([]).slice(0, 1)), {
      live: { activeTimeout: 60e6 },
      tick: () => T + 20e6,
    })
    expect(flows.map(({ recNo, endReason, handshake }) => [recNo, endReason, handshake])).toEqual([
      [0, 'attempt', 'unanswered'],
    ])
  })

  test('keeps the owner that it was decided with: who names itself later does not change it', () => {
    const login = Buffer.from('agent-7:secret').toString('base64')
    const first = 'CONNECT a.example.com:443 HTTP/1.1\r\n\r\n'
    const second = `CONNECT a.example.com:443 HTTP/1.1\r\nProxy-Authorization: Basic ${login}\r\n\r\n`
    const [syn, answer, ack] = conversation([])
    const say = (time: number, seq: number, data: string): Timed => ({
      time: T + time * 1e6,
      bytes: tcp({ from: CLIENT, to: SERVER, flags: 'PA', seq, ack: 1, data }),
    })
    const file = pcap([syn!, answer!, ack!, say(1, 1, first), say(2, 1 + first.length, second)])
    expect(run(file).flows).toMatchObject([{ proxyUser: '' }])
    compare(file, { live: { activeTimeout: 60e6 } })
  })
})

const FIXTURES = resolve('fixtures')
const CORPUS = resolve(process.env.BAILIWICK_CORPUS ?? '../shared/corpus')

describe('captures told of as they come', () => {
  test('the stories that come with the program', () => {
    let compared = 0
    for (const name of readdirSync(FIXTURES, { recursive: true, encoding: 'utf8' })) {
      if (!/\.pcap(ng)?(\.gz)?$/.test(name)) continue
      const bytes = readFileSync(join(FIXTURES, name))
      const file = name.endsWith('.gz') ? gunzipSync(bytes) : bytes
      if (compare(file, { live: { activeTimeout: 5e6 } })) compared++
    }
    expect(compared).toBeGreaterThan(10)
  })

  test.skipIf(!existsSync(join(CORPUS, 'index.json')))('those of others', () => {
    const list = JSON.parse(readFileSync(join(CORPUS, 'index.json'), 'utf8')) as {
      file: string
      size: number
    }[]
    let compared = 0
    for (const { file, size } of list) {
      if (size > 12_000) continue
      const bytes = readFileSync(join(CORPUS, file))
      if (sniffCapture(bytes) === undefined) continue
      try {
        if (compare(bytes, { live: { activeTimeout: 1e6 } })) compared++
      } catch (error) {
        throw new Error(file, { cause: error })
      }
    }
    expect(compared).toBeGreaterThan(300)
  })
})
