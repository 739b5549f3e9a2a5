// A revocation from the packet to the silence, with everything real but the platform: packets on the loopback, a person
// who approves, a signed call, and flows that stop after it. Or do not, though the API said yes.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server as Listener, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { checkAudit } from '../../src/respond/audit-chain.ts'
import { CAPTURES } from '../live/right.ts'
import { SECRET } from '../respond/receiver.ts'
import { Revoked } from '../respond/revoked.ts'
import { Server } from '../serve/server.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })

/** On the loopback, whom nobody else uses. */
const [REVOKED, ANOTHER, PEER] = ['127.0.84.1', '127.0.84.2', '127.0.84.3']

const agentFile = (name: string, address: string) => `id: urn:agent:${name}
owner: ${name}@example.com
purpose: Talks on the loopback, to be watched
environment: test
addresses: [${address}]
scope: {egress: [{ id: none, cidr: 192.0.2.1/32, port: 1 }]}
`

interface Shown {
  revocations: { id: string; agent: string; state: string; detail: string | null }[]
}

describe.skipIf(!CAPTURES)('a revocation', () => {
  let scratch = ''
  let api: Revoked
  let listener: Listener
  let server: Server | undefined
  const sockets = new Set<Socket>()
  const talking = new Map<string, AbortController>()

  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-revocation-'))
    mkdirSync(path.join(scratch, 'agents'))
    writeFileSync(path.join(scratch, 'agents', 'one.yaml'), agentFile('one', REVOKED))
    writeFileSync(path.join(scratch, 'agents', 'other.yaml'), agentFile('other', ANOTHER))
    api = await Revoked.start(SECRET)
    listener = createServer((socket) => {
      socket.on('error', () => {})
      socket.resume()
    })
    await new Promise<void>((resolve) => listener.listen(0, PEER, resolve))
    writeFileSync(
      path.join(scratch, 'settings.yaml'),
      `live: {filter: net 127.0.84.0/24, active_timeout_seconds: 1}
respond:
  allow_targets: [127.0.0.0/8]
  revocation:
    mode: approve
    protected: ["urn:agent:other"]
    grace_seconds: 1
    watch_seconds: 10
    endpoints: [{name: iam, url: "${api.url}", body: {agent: "\${agent}", why: "\${sentence}"}}]
`,
    )
  })
  afterEach(() => {
    for (const one of talking.values()) one.abort()
    for (const socket of sockets) socket.destroy()
    server?.child.kill('SIGKILL')
  })
  afterAll(async () => {
    listener.close()
    await api.stop()
    rmSync(scratch, { recursive: true, force: true })
  })

  /** A new connection every fifth of a second. */
  function talk(from: string): void {
    const ended = new AbortController()
    talking.set(from, ended)
    const { port } = listener.address() as { port: number }
    void (async () => {
      while (!ended.signal.aborted) {
        const socket = connect({ port, host: PEER, localAddress: from })
        sockets.add(socket)
        socket.on('error', () => {}).on('close', () => sockets.delete(socket))
        socket.end('nothing that names a peer\n')
        await sleep(200)
      }
    })()
  }

  async function approveAndCall(data: string): Promise<{ server: Server; id: string }> {
    const env = { BAILIWICK_REVOCATION_SECRET_IAM: SECRET }
    const args = ['--agents', 'agents', '--live', 'lo', '--config', 'settings.yaml', '--data', data]
    const one = new Server(scratch, args, env)
    server = one
    await one.line(/^capturing by /)
    talk(REVOKED)
    talk(ANOTHER)
    const { revocations } = await one.until<Shown>(
      '/api/v1/revocations',
      (shown) => shown.revocations.length > 0,
    )
    expect(revocations).toMatchObject([{ agent: 'urn:agent:one', state: 'waiting' }])
    const { id } = revocations[0]!
    const before = api.calls.length
    await one.tell(`/api/v1/revocations/${id}/approve`)
    await api.until(before + 1)
    expect(JSON.parse(api.calls[before]!.body)).toMatchObject({ agent: 'urn:agent:one' })
    return { server: one, id }
  }

  const ends = (one: Server) =>
    one.until<Shown>('/api/v1/revocations', ({ revocations }) =>
      ['verified', 'failed'].includes(revocations[0]!.state),
    )

  test('is verified when the agent falls silent, while others talk on', async () => {
    const { server: one } = await approveAndCall('silent')
    talking.get(REVOKED)!.abort()
    const { revocations } = await ends(one)
    expect(revocations).toMatchObject([{ state: 'verified', detail: 'silent for 10 s' }])
    expect(await one.end()).toEqual([0, null])
    const actions: string[] = []
    const text = readFileSync(path.join(scratch, 'silent', 'audit', 'audit.log'), 'utf8')
    const { broken } = checkAudit(text, ({ action }) => actions.push(action))
    expect([broken, actions.map((action) => action.replace('revocation.', ''))]).toEqual([
      undefined,
      ['waiting', 'approved', 'calling', 'called', 'verified'],
    ])
  })

  test('has failed when the API said yes and the agent talks on', async () => {
    const { server: one } = await approveAndCall('talking')
    const { revocations } = await ends(one)
    expect(revocations).toMatchObject([
      { state: 'failed', detail: expect.stringContaining('still talks') as string },
    ])
  })
})
