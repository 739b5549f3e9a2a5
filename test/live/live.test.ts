// Live capture with real packets on the loopback: flows come while they are open; whoever captures has no right but
// that; what ends it is told, and what nobody saw is counted.

import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../src/live/live.ts'
import type { LiveSettings } from '../../src/live/live-event.ts'
import { captureProcesses, statusOf } from './processes.ts'
import { CAPTURES } from './right.ts'
import { capture, chunksOf, coverageOf, flowsOf, reasonsOf, statesOf, until } from './watching.ts'

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', (asked) =>
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${asked.length}\r\n\r\n${asked}`),
  )
})
let port = 0

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as { port: number }).port
})
afterEach(() => expect(captureProcesses(), 'processes that are left').toEqual([]))
afterAll(() => void server.close())

async function ask(host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.on('data', () => {})
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  })
}

const namesOf = (chunks: readonly Uint8Array[]) =>
  [...flowsOf(chunks).values()].map((flow) => flow.server_name)

describe.skipIf(!CAPTURES)('packets on the loopback', () => {
  for (const backend of BACKENDS)
    test(`by ${backend}: flows come while they are open, as a user with one capability`, async () => {
      let said = ''
      const events = await capture({ filter: `tcp port ${port}`, backend }, async ({ seen }) => {
        const socket = connect(port, '127.0.0.1')
        await until(() => captureProcesses().length > 0, 'a capture process')
        for (const { pid, name } of captureProcesses()) {
          const status = statusOf(pid)
          // CAP_NET_RAW is bit 13; dumpcap gives up even that once the interface is open.
          const held = name.startsWith('/usr/bin/dumpcap') ? '0000000000000000' : '0000000000002000'
          const rights = ['Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs']
          expect(
            rights.map((right) => status.get(right)?.trim()),
            name,
          ).toEqual([
            '65534\t65534\t65534\t65534',
            '65534\t65534\t65534\t65534',
            '',
            held,
            held,
            '0000000000002000',
            '1',
          ])
        }
        expect(captureProcesses()).toHaveLength(backend === 'pcap' ? 1 : 2)
        socket.write('GET / HTTP/1.1\r\nHost: open.example\r\n\r\n')
        await until(() => seen.some(({ type }) => type === 'chunk'), 'a flow that is open')
        socket.destroy()
      })
      for (const event of events)
        if (event.type === 'state' && event.state === 'capturing') said = event.detail
      expect(said).toContain('as uid 65534 with CAP_NET_RAW alone')
      expect(namesOf(chunksOf(events))).toEqual(['open.example'])
      expect(reasonsOf(chunksOf(events)).get('open')).toBe(1)
      expect(coverageOf(chunksOf(events)).get('capture_received')).toBeGreaterThan(0)
    })

  test('a process that is killed is replaced, and what nobody saw is a row', async () => {
    const events = await capture({ filter: `tcp port ${port}` }, async ({ live, seen }) => {
      await ask('before.example')
      const socket = connect(port, '127.0.0.1')
      await sleep(1500)
      expect(live.readiness().ready).toBe(true)
      const page = readFileSync(path.join(import.meta.dirname, '../../docs/live.md'), 'utf8')
      const shown = page.slice(page.indexOf('`/metrics` shows'), page.indexOf('with the prefix'))
      const names = [...shown.matchAll(/`(capture_\w+)`/g)].map((match) => match[1])
      expect(live.samples().map(({ name }) => name)).toEqual(expect.arrayContaining(names))
      expect(names).toHaveLength(live.samples().length)
      for (const { pid } of captureProcesses()) process.kill(pid, 'SIGKILL')
      await until(() => statesOf(seen).includes('lost'), 'that it is lost')
      expect(live.readiness()).toMatchObject({
        ready: false,
        reason: expect.stringMatching(/^lo: /),
      })
      await until(() => statesOf(seen).filter((one) => one === 'capturing').length === 2, 'again')
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
    const names = namesOf(chunksOf(events))
    expect(names).toEqual(expect.arrayContaining(['before.example', 'again.example']))
    const origins = new Set(events.flatMap((one) => (one.type === 'chunk' ? [one.origin] : [])))
    expect(origins.size).toBe(2)
  })

  test('tcpdump that is killed is started again; the flows that were open are told of', async () => {
    const events = await capture(
      { filter: `tcp port ${port}`, backend: 'tcpdump' },
      async ({ seen }) => {
        const socket = connect(port, '127.0.0.1')
        socket.write('GET')
        await sleep(500)
        for (const { pid, name } of captureProcesses())
          if (!name.includes('capture.js')) process.kill(pid, 'SIGKILL')
        await until(() => statesOf(seen).filter((one) => one === 'capturing').length === 2, 'again')
        await ask('again.example')
        socket.destroy()
        await sleep(300)
      },
    )
    const retry = events.find((one) => one.type === 'state' && one.state === 'retrying')
    expect(retry).toMatchObject({
      detail: expect.stringContaining('tcpdump ended: signal SIGKILL'),
    })
    const coverage = coverageOf(chunksOf(events))
    expect(coverage.get('capture_gap_seconds')).toBeGreaterThanOrEqual(1)
    expect(coverage.has('capture_flows_lost')).toBe(false)
    expect(namesOf(chunksOf(events))).toContain('again.example')
  })

  test('a filter that is none, and an interface that is none, are told with the cure', async () => {
    const failure = async (settings: Partial<LiveSettings>) =>
      capture(settings, async () => {}).then(
        () => undefined,
        (error: unknown) => error,
      )
    for (const backend of BACKENDS)
      expect(await failure({ filter: 'tcp prot 80', backend }), backend).toMatchObject({
        kind: 'filter',
        message: expect.stringMatching(
          /tcp prot 80.*(syntax error|can't parse filter).*man pcap-filter/,
        ),
      })
    expect(await failure({ filter: 'host no-such-name.invalid' })).toMatchObject({
      kind: 'filter',
      message: expect.stringContaining('unknown host'),
    })
    for (const backend of BACKENDS)
      expect(await failure({ interfaces: ['nosuch0'], backend }), backend).toMatchObject({
        kind: 'no_interface',
        message: expect.stringMatching(/no interface nosuch0: expected one of .*\blo\b/),
      })
    expect(await failure({ interfaces: ['-w/etc/passwd'] })).toMatchObject({ kind: 'no_interface' })
    expect(await failure({ write: { directory: '/dev/null/no', bytes: 1e6 } })).toMatchObject({
      kind: 'write',
      message: expect.stringContaining('give another --write DIR'),
    })
  })

  test('what cannot capture is passed over with a word', async () => {
    const events = await capture(
      { filter: `tcp port ${port}`, programs: { pcap: '/no/pcap.js', dumpcap: '/no/dumpcap' } },
      async () => ask('later.example'),
    )
    expect(events.find(({ type }) => type === 'note')).toMatchObject({
      detail: expect.stringMatching(
        /^captured by tcpdump, because pcap: the package pcap is not built .*npm rebuild pcap; dumpcap: dumpcap is not installed$/,
      ),
    })
    expect(namesOf(chunksOf(events))).toEqual(['later.example'])
  })
})
