// Revocation from finding to verified silence, against a real HTTP receiver and a real audit log. Time is the test's.

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkAudit } from '../../src/respond/audit-chain.ts'
import { AUDIT_NAME } from '../../src/respond/audit-log.ts'
import type { FindingEvent } from '../../src/respond/finding.ts'
import { Hub } from '../../src/respond/hub.ts'
import type { RevocationState } from '../../src/respond/revoke-desk.ts'
import { REVOCATION } from '../../src/respond/revoke-settings.ts'
import { type Activity, Revoking, type RevokingParts } from '../../src/respond/revoking.ts'
import type { Log } from '../../src/telemetry.ts'
import { finding } from './one-finding.ts'

const START = finding.decidedAt / 1000 + 1000

describe('revocation', () => {
  let directory: string
  let server: Server
  let desk: Revoking | undefined
  let received: { id: string; body: unknown }[]
  let status: number
  let now: number
  let activity: Activity
  let hub: Hub

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'revoking-'))
    received = []
    status = 200
    now = START
    activity = { lastSeen: undefined, watchedUntil: 0 }
    hub = new Hub(() => {})
    server = createServer((request, response) => {
      let text = ''
      request.on('data', (piece: Buffer) => {
        text += piece.toString()
      })
      request.on('end', () => {
        received.push({ id: String(request.headers['webhook-id']), body: JSON.parse(text) })
        response.writeHead(status).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })

  afterEach(async () => {
    await desk?.close()
    desk = undefined
    server.close()
    rmSync(directory, { recursive: true })
  })

  const open = async (settings: object, parts: Partial<RevokingParts> = {}) => {
    const { port } = server.address() as AddressInfo
    desk = await Revoking.open({
      directory,
      settings: REVOCATION.parse({
        endpoints: [{ name: 'platform', url: `http://127.0.0.1:${port}/revoke` }],
        ...settings,
      }),
      log: () => {},
      hub,
      call: async (_, { method, url, headers, body }, id, signal) => {
        const answer = await fetch(url, {
          ...{ method, body, signal },
          headers: { ...headers, 'webhook-id': id },
        })
        return answer.ok
          ? { kind: 'done', status: answer.status }
          : { kind: 'failed', why: `the API answered ${answer.status}`, final: answer.status < 500 }
      },
      activity: () => Promise.resolve(activity),
      now: () => now,
      pauses: { lookMillis: 10, retryMillis: [5, 5] },
      ...parts,
    })
    return desk
  }

  const reaches = (state: RevocationState, id?: string) =>
    expect
      .poll(() => desk?.list().find((one) => id === undefined || one.id === id)?.state, {
        timeout: 60_000,
      })
      .toBe(state)

  const actions = () => {
    const seen: string[] = []
    const text = readFileSync(join(directory, AUDIT_NAME), 'utf8')
    const { broken } = checkAudit(text, ({ action }) => seen.push(action))
    expect(broken).toBeUndefined()
    return seen
  }

  test('is only observed unless more was asked for', async () => {
    const { take, list } = bound(await open({}))
    await take([finding, finding])
    expect(list()).toMatchObject([{ state: 'observed', agent: finding.agent }])
    expect([received, actions()]).toEqual([[], ['revocation.observed']])
  })

  test('waits for a person, is called once under one id, and verified by silence', async () => {
    const it = await open({ mode: 'approve' })
    await it.take([finding])
    const { id } = it.list()[0]!
    expect((await it.dryRun(id)).body).toContain(finding.agent)
    expect(received).toEqual([])
    await it.approve(id, 'alice')
    await reaches('called')
    expect(received).toMatchObject([{ id: `rev_${id}`, body: { agent: finding.agent } }])
    now += 10_000 + 90_000
    activity = { lastSeen: undefined, watchedUntil: now * 1000 }
    await reaches('verified')
    expect(actions()).toEqual(
      ['waiting', 'approved', 'calling', 'called', 'verified'].map((one) => `revocation.${one}`),
    )
    expect(it.list()[0]).toMatchObject({ decidedBy: 'alice' })
    await expect(it.approve(id, 'bob')).rejects.toMatchObject({ reason: 'too_late' })
  })

  test('has failed when the API said yes and the agent still talks', async () => {
    const it = await open({ mode: 'auto' })
    await it.take([finding])
    await reaches('called')
    activity = { lastSeen: (now + 20_000) * 1000, watchedUntil: (now + 20_000) * 1000 }
    now += 30_000
    await reaches('failed')
    expect(it.list()[0]!.detail).toContain('still talks')
  })

  test('has not been verified when nobody looked', async () => {
    const it = await open({ mode: 'auto' })
    await it.take([finding])
    await reaches('called')
    now += 600_000
    await reaches('failed')
    expect(it.list()[0]!.detail).toContain('no sensor')
  })

  test('is tried again while the API does not work, and given up when it says no', async () => {
    status = 503
    const it = await open({ mode: 'auto' })
    await it.take([finding])
    await reaches('failed')
    expect(received.map(({ id }) => id)).toEqual(Array(3).fill(received[0]!.id))
    status = 403
    await it.take([{ ...finding, agent: 'spiffe://prod/other' }])
    await expect.poll(() => it.list()[0]!.state, { timeout: 60_000 }).toBe('failed')
    expect(received).toHaveLength(4)
  })

  test('goes on where a process died between call and note, under the same id', async () => {
    let asked = 0
    const never = new Promise<never>(() => {})
    const dying = await open(
      { mode: 'auto' },
      { call: () => (asked++ === 0 ? never : never), pauses: { lookMillis: 10, retryMillis: [] } },
    )
    await dying.take([finding])
    await reaches('calling')
    // As after kill -9: nothing is closed, the next process reads what is on the disk.
    desk = undefined
    const it = await open({ mode: 'auto' })
    await reaches('called')
    expect(received).toMatchObject([{ id: `rev_${it.list()[0]!.id}` }])
    expect(actions().filter((one) => one === 'revocation.calling')).toHaveLength(1)
  })

  test('asks a person when the evidence is old or the cap is reached', async () => {
    now = START + 3_600_000
    const it = await open({ mode: 'auto', per_hour: 2 })
    await it.take([finding])
    expect(it.list()[0]).toMatchObject({ state: 'waiting', detail: expect.stringContaining('old') })
    const storm = Array.from(
      { length: 200 },
      (_, i): FindingEvent => ({
        ...finding,
        agent: `spiffe://prod/${i}`,
        decidedAt: now * 1000,
      }),
    )
    await it.take(storm)
    await expect.poll(() => received.length, { timeout: 60_000 }).toBe(2)
    expect(it.list().filter(({ state }) => state === 'waiting')).toHaveLength(199)
    await expect(it.approve(it.list()[0]!.id, 'alice')).rejects.toMatchObject({
      reason: 'not_allowed',
    })
    // Nothing waits for ever.
    now += 3_700_000
    await expect
      .poll(() => it.list().filter(({ state }) => state === 'expired').length, { timeout: 60_000 })
      .toBe(199)
    expect(received).toHaveLength(2)
  })

  test('stops at the kill switch, also after a restart', async () => {
    const it = await open({ mode: 'auto' })
    await it.kill(true, 'alice')
    await it.take([finding])
    expect(it.list()[0]).toMatchObject({ state: 'waiting' })
    await expect(it.approve(it.list()[0]!.id, 'bob')).rejects.toMatchObject({
      reason: 'not_allowed',
    })
    await it.close()
    const again = await open({ mode: 'auto' })
    expect(again.killed()).toBe(true)
    await again.kill(false, 'alice')
    await again.approve(again.list()[0]!.id, 'bob')
    await reaches('called')
  })

  test('asks for nothing new when the audit log is full, ends what was begun, and says so', async () => {
    const other = { ...finding, agent: 'spiffe://acme.example/agents/other' }
    const said: string[] = []
    const log: Log = (_, words) => void said.push(words)
    const it = await open(
      { mode: 'approve' },
      { log, auditLimits: { most: 20_000, reserve: 19_000 } },
    )
    await it.take([finding])
    expect(it.readiness().warning).toContain('nothing new is revoked: the audit log is full')
    await it.take([other, other])
    expect(it.list().map(({ agent }) => agent)).toEqual([finding.agent])
    expect(said).toEqual([expect.stringContaining('move audit.log away and keep it')])
    expect(it.samples().find(({ labels }) => labels?.guard === 'audit_log')?.value).toBe(2)
    // A person's decision, the call and what came of it still have room.
    await it.approve(it.list()[0]!.id, 'alice')
    await reaches('called')
    expect(received).toHaveLength(1)
  })

  test('calls nothing that cannot be written down', async () => {
    const before = await open({ mode: 'approve' })
    await before.take([finding])
    await before.close()
    const { size } = statSync(join(directory, AUDIT_NAME))
    // Room for the decision and for the call, and not for what came of it.
    const it = await open({ mode: 'approve' }, { auditLimits: { most: size + 700, reserve: 0 } })
    await it.approve(it.list()[0]!.id, 'alice')
    await expect.poll(() => received.length).toBe(1)
    await reaches('calling')
    // Many looks later.
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(received).toHaveLength(1)
    expect(it.readiness().warning).toContain('full')
    await expect(it.kill(true, 'alice')).rejects.toThrow('the audit log is full')
    expect(it.killed()).toBe(true)
  })

  test('tells the live stream each step', async () => {
    const it = await open({ mode: 'auto' })
    await it.take([finding])
    await reaches('called')
    expect(
      hub.since(0).map(({ type, data }) => [type, type === 'revocation' && data.state]),
    ).toEqual([
      ['revocation', 'approved'],
      ['revocation', 'calling'],
      ['revocation', 'called'],
    ])
  })
})

function bound(desk: Revoking) {
  return { take: desk.take.bind(desk), list: desk.list.bind(desk) }
}
