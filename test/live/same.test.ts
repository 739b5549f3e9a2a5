// The same packets give the same flows, verdicts and alerts, live and from a file: what a capture decodes is kept in a
// file meanwhile, and read again.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { loadAgents } from '../../src/identity/agent-files.ts'
import { BACKENDS } from '../../src/live/live.ts'
import { compileSnapshot, openSnapshot } from '../../src/snapshot.ts'
import { enhanced, interfaceBlock, joined, option, section } from '../capture/packet-writer.ts'
import { Network } from './network.ts'
import { CAPTURES, NAMESPACES } from './right.ts'
import { Servers } from './servers.ts'
import {
  capture,
  chunksOf,
  chunksOfFile,
  coverageOf,
  findingsOf,
  flowsOf,
  reasonsOf,
} from './watching.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-same-'))
let servers: Servers
let networks: Network[] = []

beforeAll(async () => {
  servers = await Servers.open()
})
afterEach(() => {
  for (const network of networks) network.close()
  networks = []
})
afterAll(() => {
  servers.close()
  rmSync(directory, { recursive: true })
})

function newNetwork(): Network {
  const network = new Network()
  networks.push(network)
  return network
}

/** The files that a capture kept, oldest first. */
function kept(name: string): Buffer[] {
  const files = readdirSync(path.join(directory, name)).sort()
  return files.map((file) => readFileSync(path.join(directory, name, file)))
}

/** An agent that lives at this address and may reach little. */
function snapshotFor(address: string) {
  const text = `id: spiffe://acme.example/agent/talker
owner: talker-team@acme.example
purpose: p
environment: e
addresses: [${address}]
scope:
  version: "1"
  egress:
    - { id: half, domain: talk-0.example, port: any }
    - { id: names, cidr: 100.64.0.0/10, port: 53, protocol: udp }
`
  const { agents, problems } = loadAgents([{ path: 'talker', text }])
  expect(problems).toEqual([])
  return openSnapshot(compileSnapshot(agents, []))
}

describe.skipIf(!CAPTURES)('packets that are captured and kept', () => {
  for (const backend of BACKENDS)
    test.skipIf(!NAMESPACES)(
      `by ${backend}: live and from the file they are the same flows, verdicts and alerts`,
      async () => {
        const network = newNetwork()
        const events = await capture(
          {
            interfaces: [network.interface],
            backend,
            activeTimeoutSeconds: 1,
            write: { directory: path.join(directory, backend), bytes: 1 << 30 },
          },
          async () => {
            await network.traffic({ ...servers.ports, count: 40, name: 'talk', longMillis: 2400 })
            await sleep(500)
          },
        )
        const chunks = chunksOf(events)
        const [file, ...others] = kept(backend)
        expect(others).toEqual([])
        const again = chunksOfFile(file!)
        const flows = flowsOf(chunks)
        // 40 by HTTP, 40 by TLS, 40 datagrams, DNS, a long one, one refused and one unanswered; and what kernels say.
        expect(flows.size).toBeGreaterThanOrEqual(84)
        const names = [...flows.values()].map((flow) => flow.server_name)
        expect(names).toEqual(expect.arrayContaining(['talk-39.example', 'talk-tls-39.example']))
        expect(reasonsOf(chunks).get('active')).toBeGreaterThanOrEqual(1)
        expect(flows).toEqual(flowsOf(again))
        const snapshot = snapshotFor(network.peer)
        const found = findingsOf(chunks, snapshot)
        expect(found.length).toBeGreaterThanOrEqual(80)
        expect(found).toEqual(findingsOf(again, snapshot))
      },
    )

  test('on the loopback, where each packet passes twice and is captured once', async () => {
    const { http } = servers.ports
    const events = await capture(
      {
        filter: `tcp port ${http}`,
        write: { directory: path.join(directory, 'lo'), bytes: 1 << 30 },
      },
      async () => {
        for (let at = 0; at < 5; at++)
          await fetch(`http://127.0.0.1:${http}/`, { headers: { connection: 'close' } })
        await sleep(300)
      },
    )
    const flows = flowsOf(chunksOf(events))
    expect(flows.size).toBe(5)
    for (const flow of flows.values()) {
      expect(flow.conn_state).toBe('SF')
      expect(flow.orig_pkts).toBeLessThan(8)
    }
    expect(flows).toEqual(flowsOf(chunksOfFile(kept('lo')[0]!)))
  })

  test.skipIf(!NAMESPACES)('of two interfaces: flows are those of one file of both', async () => {
    const [one, two] = [newNetwork(), newNetwork()]
    const names = [one.interface, two.interface]
    const events = await capture(
      { interfaces: names, write: { directory: path.join(directory, 'two'), bytes: 1 << 30 } },
      async () => {
        const order = { ...servers.ports, count: 5, longMillis: 0 }
        await Promise.all([
          one.traffic({ ...order, name: 'one' }),
          two.traffic({ ...order, name: 'two' }),
        ])
        await sleep(300)
      },
    )
    const live = flowsOf(chunksOf(events))
    for (const [name, letter] of [
      [one.interface, 'one'],
      [two.interface, 'two'],
    ] as const) {
      const flow = [...live.values()].find((flow) => flow.server_name === `${letter}-0.example`)
      expect(flow?.vantage).toBe(name)
    }
    const files = readdirSync(path.join(directory, 'two'))
    const both = names.map((name) => files.find((file) => file.startsWith(`${name}-`))!)
    const bytes = both.map((file) => readFileSync(path.join(directory, 'two', file)))
    expect(live).toEqual(flowsOf(chunksOfFile(together(names, bytes), 'pcapng')))
  })

  test.skipIf(!NAMESPACES)(
    'keeping ends at the size that was asked for, with whole packets; capture goes on',
    async () => {
      const network = newNetwork()
      const where = path.join(directory, 'little')
      const events = await capture(
        { interfaces: [network.interface], write: { directory: where, bytes: 5000 } },
        async () => {
          await network.traffic({ ...servers.ports, count: 30, name: 'talk', longMillis: 0 })
          await sleep(300)
        },
      )
      const [file] = kept('little')
      expect(file!.length).toBeGreaterThan(3000)
      expect(file!.length).toBeLessThanOrEqual(5000)
      const mode = statSync(path.join(where, readdirSync(where)[0]!)).mode & 0o777
      expect(mode).toBe(0o600)
      const notes = events.flatMap((event) => (event.type === 'note' ? [event.detail] : []))
      expect(notes).toEqual([expect.stringContaining('as large as it may become')])
      expect(flowsOf(chunksOf(events)).size).toBeGreaterThan(60)
      const again = chunksOfFile(file!)
      expect(flowsOf(again).size).toBeGreaterThan(2)
      // A capture that was cut off says so; here no packet is cut in two.
      expect([...coverageOf(again).keys()].filter((name) => /parse_error/.test(name))).toEqual([])
    },
  )
})

/** One capture file of what several interfaces captured, in the order of time. */
function together(names: readonly string[], files: readonly Buffer[]): Uint8Array {
  const packets: { face: number; time: number; bytes: Uint8Array; wire: number }[] = []
  for (const [face, file] of files.entries())
    for (let at = 24; at < file.length; ) {
      const time = file.readUInt32LE(at) * 1e6 + file.readUInt32LE(at + 4)
      const length = file.readUInt32LE(at + 8)
      const bytes = file.subarray(at + 16, at + 16 + length)
      packets.push({ face, time, bytes, wire: file.readUInt32LE(at + 12) })
      at += 16 + length
    }
  packets.sort((a, b) => a.time - b.time)
  return joined(
    section(),
    ...names.map((name) => interfaceBlock(1, [option(2, Buffer.from(name))])),
    ...packets.map(({ face, time, bytes, wire }) =>
      enhanced(face, BigInt(time), bytes, false, wire),
    ),
  )
}
