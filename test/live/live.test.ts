// Live capture with real packets on the loopback: what comes is what a file of the same packets gives, whatever they
// were captured with; the process that captures has no right but that; and what ends it is told.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { captureDecoder } from '../../src/capture/capture.ts'
import { ChunkWriter, chunkPart, decodeChunk } from '../../src/chunk.ts'
import { FlowTotals } from '../../src/cli/flow-totals.ts'
import { uidOf } from '../../src/flow-id.ts'
import { BACKENDS, LiveCapture, LiveError, type LiveEvent } from '../../src/live/live.ts'
import type { LiveSettings } from '../../src/live/live-event.ts'
import { CAPTURES } from './right.ts'

const SETTINGS: LiveSettings = {
  interfaces: ['lo'],
  filter: '',
  snaplen: 2048,
  bufferMillis: 2,
  promiscuous: false,
  backend: 'auto',
  activeTimeoutSeconds: 60,
  sensor: 'test',
  localNets: [],
  verifyChecksums: false,
}

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', (asked) =>
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${asked.length}\r\n\r\n${asked}`),
  )
})
let port = 0
const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-live-'))

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as { port: number }).port
})
afterAll(() => {
  server.close()
  rmSync(directory, { recursive: true })
})

async function ask(host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.on('data', () => {})
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  })
}

/** Runs a capture until `during` is over, which is called when packets are captured. */
async function capture(
  settings: Partial<LiveSettings>,
  during: (live: LiveCapture, seen: LiveEvent[]) => Promise<void>,
): Promise<LiveEvent[]> {
  const live = LiveCapture.start({ ...SETTINGS, ...settings }, () => {})
  const seen: LiveEvent[] = []
  let begun = false
  for await (const event of live.events()) {
    seen.push(event)
    if (begun || event.type !== 'state' || event.state !== 'capturing') continue
    begun = true
    void during(live, seen).finally(() => live.stop())
  }
  return seen
}

const chunksOf = (events: readonly LiveEvent[]) =>
  events.flatMap((event) => (event.type === 'chunk' ? [event.chunk] : []))
const statesOf = (events: readonly LiveEvent[]) =>
  events.flatMap((event) => (event.type === 'state' ? [event.state] : []))

/** What judges a flow, and its sums. */
const EVIDENCE = [
  'server_name',
  'name_source',
  'decided_by',
  'handshake',
  'conn_state',
  'history',
  'service',
] as const
const SUMS = [
  'orig_bytes',
  'resp_bytes',
  'orig_pkts',
  'resp_pkts',
  'orig_ip_bytes',
  'resp_ip_bytes',
] as const

/** The last word on every flow, by its name: two sockets give the same packet times that differ by a microsecond. */
function flowsOf(chunks: readonly Uint8Array[]): Map<string, unknown> {
  const flows = new Map<string, unknown>()
  const totals = new FlowTotals()
  for (const chunk of chunks) {
    const block = chunkPart(decodeChunk(chunk), 'flow_records')
    for (let row = 0; row < (block?.rows ?? 0); row++) {
      totals.add(block!, row)
      const c = block!.columns
      flows.set(c.server_name.get(row) || uidOf(c.flow_id, row * 16), {
        words: EVIDENCE.map((name) => c[name].get(row)),
        sums: SUMS.map((name) => c[name][row]),
      })
    }
  }
  return flows
}

function coverageOf(chunks: readonly Uint8Array[]): Map<string, number> {
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

/** The flows of a capture file. */
function flowsOfFile(bytes: Uint8Array): Map<string, unknown> {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 'test', origin: 'test', format: 'pcap' }, (chunk) =>
    chunks.push(chunk),
  )
  const settings = { sensor: 'test', verifyChecksums: false, hashSeed: new Int32Array(4) }
  const decoder = captureDecoder('pcap', settings, writer)
  decoder.push(bytes)
  decoder.end()
  writer.end()
  return flowsOf(chunks)
}

describe.skipIf(!CAPTURES)('packets on the loopback', () => {
  test('give the same flows live, by the addon, as from a file written at the same time', async () => {
    const file = path.join(directory, 'same.pcap')
    const tcpdump = spawn('/usr/bin/tcpdump', [
      '-i',
      'lo',
      '--immediate-mode',
      '-U',
      '-w',
      file,
      `tcp port ${port}`,
    ])
    await new Promise((resolve) => tcpdump.stderr.once('data', resolve))
    const events = await capture({ filter: `tcp port ${port}`, backend: 'pcap' }, async () => {
      for (let at = 0; at < 20; at++) await ask(`host-${at}.example`)
      await sleep(300)
    })
    tcpdump.kill('SIGINT')
    await new Promise((resolve) => tcpdump.once('close', resolve))
    const chunks = chunksOf(events)
    const live = flowsOf(chunks)
    expect(live.size).toBe(20)
    expect(live).toEqual(flowsOfFile(readFileSync(file)))
    // Told of when they were decided, and once more when they ended; in a numbered sequence that has an end.
    const headers = chunks.map((chunk) => decodeChunk(chunk).header)
    expect(headers.map(({ seq }) => seq)).toEqual(headers.map((_, at) => at))
    expect(headers.at(-1)?.last).toBe(true)
    expect(headers[0]!.origin).toMatch(/^test\/live\/lo\/\d+-[0-9a-f]{6}$/)
  })

  for (const backend of BACKENDS)
    test(`by ${backend}: flows come while they are open, as a user with one capability`, async (context) => {
      let rights = ''
      let prompt = false
      const events = await capture({ filter: `tcp port ${port}`, backend }, async (_, seen) => {
        const socket = connect(port, '127.0.0.1')
        socket.write('GET / HTTP/1.1\r\nHost: open.example\r\n\r\n')
        for (let tries = 0; tries < 100 && !prompt; tries++) {
          await sleep(50)
          prompt = seen.some(({ type }) => type === 'chunk')
        }
        socket.destroy()
      }).catch((error: unknown) => {
        if (backend === 'dumpcap' && error instanceof LiveError && error.kind === 'no_backend')
          return context.skip('dumpcap is not installed')
        throw error
      })
      for (const event of events)
        if (event.type === 'state' && event.state === 'capturing') rights = event.detail
      expect(prompt).toBe(true)
      expect(rights).toContain('as uid 65534 with CAP_NET_RAW alone')
      expect([...flowsOf(chunksOf(events)).values()]).toMatchObject([
        { words: expect.arrayContaining(['open.example', 'http_host']) },
      ])
      expect(coverageOf(chunksOf(events)).get('capture_received')).toBeGreaterThan(0)
    })

  test('a process that is killed is replaced, and what nobody saw is a row', async () => {
    const events = await capture({ filter: `tcp port ${port}` }, async (live, seen) => {
      await ask('before.example')
      const socket = connect(port, '127.0.0.1')
      await sleep(1500)
      expect(live.readiness().ready).toBe(true)
      for (const pid of captureProcesses()) process.kill(pid, 'SIGKILL')
      for (let tries = 0; tries < 200; tries++) {
        await sleep(50)
        if (statesOf(seen).filter((one) => one === 'capturing').length === 2) break
      }
      socket.destroy()
      await ask('again.example')
      await sleep(300)
    })
    expect(statesOf(events)).toEqual([
      'opening',
      'capturing',
      'lost',
      'retrying',
      'opening',
      'capturing',
      'stopped',
    ])
    const coverage = coverageOf(chunksOf(events))
    expect(coverage.get('capture_gap_seconds')).toBeGreaterThanOrEqual(1)
    expect(coverage.get('capture_flows_lost')).toBeGreaterThanOrEqual(1)
    expect(new Set(events.flatMap((one) => (one.type === 'chunk' ? [one.origin] : []))).size).toBe(
      2,
    )
  })

  test('a filter that is none, and an interface that is none, are told with the cure', async () => {
    const failure = async (settings: Partial<LiveSettings>) =>
      capture(settings, async () => {}).then(
        () => undefined,
        (error: unknown) => error,
      )
    expect(await failure({ filter: 'tcp prot 80' })).toMatchObject({
      kind: 'filter',
      message: expect.stringContaining('man pcap-filter'),
    })
    expect(await failure({ interfaces: ['nosuch0'] })).toMatchObject({
      kind: 'no_interface',
      message: expect.stringContaining('expected one of lo'),
    })
    expect(await failure({ interfaces: ['-w/etc/passwd'] })).toMatchObject({ kind: 'no_interface' })
  })
})

/** Capture processes that this process has started. */
function captureProcesses(): number[] {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
  return children
    .trim()
    .split(/\s+/)
    .map(Number)
    .filter((pid) => pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('capture.js'))
}
