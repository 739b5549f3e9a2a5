// `bailiwick serve --live` with real packets on the loopback: the alert and the webhook while the connection is open,
// agent files that change without a pause, and a server that is killed amid it all.

import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server as Listener, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { CAPTURES } from '../live/right.ts'
import { Receiver, SECRET } from '../respond/receiver.ts'
import { Server } from '../serve/server.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })

/** On the loopback, of this process alone: another one that runs this beside it would be seen, too. */
const NET = `127.${64 + (process.pid % 128)}.${process.pid % 251}`
const AGENT_ADDRESS = `${NET}.1`
const PEER = `${NET}.2`

const agentFile = (ports: readonly number[]) => `id: urn:agent:looper
owner: looper@example.com
purpose: Talks on the loopback, to be watched
environment: test
addresses: [${AGENT_ADDRESS}]
scope:
  egress:
${ports.map((port) => `    - { id: p${port}, cidr: ${PEER}/32, port: ${port} }`).join('\n')}
`

interface Alert {
  id: string
  destination: string
  port: number
  flows: number
  deliveries: { endpoint: string; state: string }[]
}

let scratch = ''
let receiver: Receiver
let listener: Listener
let server: Server
const sockets: Socket[] = []

beforeAll(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-serve-live-'))
  mkdirSync(path.join(scratch, 'agents'))
  receiver = await Receiver.start()
  writeFileSync(
    path.join(scratch, 'settings.yaml'),
    `respond:
  webhooks: [{ name: soc, url: "${receiver.url}" }]
  allow_targets: [127.0.0.0/8]
live:
  filter: net ${NET}.0/24
`,
  )
})
afterEach(() => {
  server?.child.kill('SIGKILL')
  for (const socket of sockets.splice(0)) socket.destroy()
  listener?.close()
})
afterAll(async () => {
  await receiver.stop()
  rmSync(scratch, { recursive: true, force: true })
})

function writeAgent(...ports: number[]): void {
  const file = path.join(scratch, 'agents', 'looper.yaml')
  writeFileSync(`${file}.new`, agentFile(ports))
  renameSync(`${file}.new`, file)
}

async function start(data: string): Promise<Server> {
  const env = { BAILIWICK_WEBHOOK_SECRET_SOC: SECRET }
  const args = ['--agents', 'agents', '--live', 'lo', '--config', 'settings.yaml', '--data', data]
  server = new Server(scratch, args, env)
  // Ready is it once packets are captured, not when the API answers.
  await server.until<{ ready: boolean }>('/ready', ({ ready }) => ready)
  expect(await server.metric('bailiwick_capture_up')).toBe(1)
  return server
}

/** A port of the peer where somebody listens. */
async function freshPort(): Promise<number> {
  listener = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => {})
  })
  await new Promise<void>((resolve) => listener.listen(0, PEER, resolve))
  return (listener.address() as { port: number }).port
}

/** The agent opens a connection, says something, and stays. */
async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: PEER, localAddress: AGENT_ADDRESS })
  sockets.push(socket)
  await new Promise<void>((resolve, reject) => socket.on('connect', resolve).on('error', reject))
  socket.write('nothing that names a peer\n')
  return socket
}

const alertsOf = async (one: Server) =>
  (await one.ask<{ alerts: Alert[] }>('/api/v1/alerts?limit=100')).alerts

async function alertAt(port: number): Promise<Alert> {
  const wanted = (alert: Alert) => alert.destination === PEER && alert.port === port
  const { alerts } = await server.until<{ alerts: Alert[] }>('/api/v1/alerts?limit=100', (answer) =>
    answer.alerts.some(wanted),
  )
  return alerts.find(wanted)!
}

describe.skipIf(!CAPTURES)('packets on the loopback', () => {
  test('the alert and its webhook come while the connection is open', async () => {
    const port = await freshPort()
    writeAgent(1)
    await start('open')
    const socket = await open(port)
    const { id } = await alertAt(port)
    while (!receiver.alerts.includes(id)) await sleep(20)
    expect(socket.readyState).toBe('open')
    expect(receiver.wrong).toEqual([])

    // Its end adds what went over it, and is no second alert.
    socket.end()
    await server.until<{ flows: { open: boolean }[] }>(
      '/api/v1/flows?limit=10',
      ({ flows }) => flows.length === 1 && !flows[0]!.open,
    )
    expect(await server.end()).toEqual([0, null])
    expect(server.words).toEqual([])
    expect(receiver.alerts.filter((one) => one === id)).toHaveLength(1)
  })

  test('agent files that change hold for the next connection, broken ones for none', async () => {
    const port = await freshPort()
    writeAgent(1)
    await start('reload')
    await open(port)
    const before = await alertAt(port)
    expect(before.flows).toBe(1)

    // Now it may: what comes is in scope, and capture never paused.
    writeAgent(1, port)
    await server.line(/^agent files were read again$/)
    await open(port)
    const second = await freshPort()
    await open(second)
    await alertAt(second)
    expect((await alertAt(port)).flows).toBe(1)

    // A mistake: what held before holds on, and it is said.
    writeFileSync(path.join(scratch, 'agents', 'looper.yaml'), 'id: [')
    await server.until<{ warning?: string }>('/ready', ({ warning }) => warning !== undefined)
    const third = await freshPort()
    await open(third)
    await alertAt(third)
    expect((await alertAt(port)).flows).toBe(1)
    const lost = await server.metric('bailiwick_capture_dropped_total')
    const restarts = await server.metric('bailiwick_capture_restarts_total')
    expect([lost, restarts]).toEqual([0, 0])
  })

  test('killed between two connections: both are alerts, each once, and the gap is coverage', async () => {
    const first = await freshPort()
    writeAgent(1)
    await start('killed')
    await open(first)
    const { id } = await alertAt(first)
    await server.end('SIGKILL')

    await start('killed')
    const second = await freshPort()
    await open(second)
    const { id: other } = await alertAt(second)
    while (![id, other].every((one) => receiver.alerts.includes(one))) await sleep(20)
    const held = await alertsOf(server)
    expect(held.map((alert) => alert.id).sort()).toEqual([id, other].sort())
    expect(held.map(({ flows }) => flows)).toEqual([1, 1])
    await server.until<{ coverage: { metric: string }[] }>('/api/v1/coverage', ({ coverage }) =>
      coverage.some(({ metric }) => metric === 'sensor_restart'),
    )
    expect(await server.end()).toEqual([0, null])
    expect(receiver.wrong).toEqual([])
  })
})
