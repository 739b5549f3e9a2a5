// What follows a finding, joined: its webhook and its revocation, one after the other and both after a crash.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseNetwork } from '../../src/address.ts'
import type { RespondPart } from '../../src/respond/respond-settings.ts'
import { REVOCATION } from '../../src/respond/revoke-settings.ts'
import type { Activity } from '../../src/respond/revoking.ts'
import { openResponse, type Response } from '../../src/serve/response.ts'
import { finding } from '../respond/made-findings.ts'
import { Receiver, SECRET } from '../respond/receiver.ts'
import { Revoked } from '../respond/revoked.ts'

const AGENT = finding(1).agent

describe('a response', () => {
  let directory: string
  let receiver: Receiver
  let api: Revoked
  let response: Response | undefined
  let logged: string[]

  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-response-'))
    receiver = await Receiver.start()
    logged = []
    api = await Revoked.start(SECRET)
  })

  afterEach(async () => {
    await response?.close()
    response = undefined
    await receiver.stop()
    await api.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const settings = (mode: string): RespondPart => {
    const secret = { source: { text: () => SECRET }, place: 'the test' }
    return {
      webhooks: [{ name: 'soc', url: receiver.url }],
      allowTargets: [parseNetwork('127.0.0.0/8')!],
      revocation: REVOCATION.parse({ mode, endpoints: [{ name: 'platform', url: api.url }] }),
      secrets: {
        webhooks: new Map([['soc', secret]]),
        revocations: new Map([['platform', secret]]),
      },
    }
  }
  const open = async (mode: string, activity: Activity) => {
    response = await openResponse(settings(mode), {
      ...{ directory, version: '1' },
      log: (...line) => void logged.push(JSON.stringify(line)),
      activity: () => Promise.resolve(activity),
    })
    return response
  }
  const silent = { lastSeen: undefined, watchedUntil: 0 }
  /** A finding of this moment. */
  const fresh = () => ({ ...finding(1), decidedAt: Date.now() * 1000 })

  test('tells a webhook and has a person decide; the call is signed and has one id', async () => {
    const { take, revocations, hub, desk } = await open('approve', silent)
    const types: string[] = []
    hub.subscribe(({ type }) => types.push(type))
    await take([fresh()])
    await receiver.untilAlerts(1)
    expect(receiver.wrong).toEqual([])
    const [waiting] = revocations.list()
    expect(waiting).toMatchObject({ state: 'waiting', agent: AGENT })
    const dry = await revocations.dryRun(waiting!.id)
    expect(dry.headers['webhook-id']).toBe(`rev_${waiting!.id}`)
    // The receiver is busy once; the second try is the same request.
    api.statuses.push(503)
    await revocations.approve(waiting!.id, 'alice')
    await api.until(2)
    expect(new Set(api.calls.map(({ id }) => id))).toEqual(new Set([`rev_${waiting!.id}`]))
    for (const { body } of api.calls) expect(body).toEqual(dry.body)
    await expect.poll(() => revocations.list()[0]!.state, { timeout: 30_000 }).toBe('called')
    expect(desk.alerts({ limit: 10 })).toHaveLength(1)
    expect(new Set(types)).toEqual(new Set(['alert', 'delivery', 'revocation']))
    // Neither the secret, nor a URL with one in it, stands anywhere that is shown.
    const shown = JSON.stringify([logged, hub.since(0), desk.endpoints(), revocations.list()])
    for (const secret of [SECRET, 's3cr3t-path']) expect(shown).not.toContain(secret)
  })

  test('goes on where it was: the same findings again are nothing new', async () => {
    const events = [fresh()]
    await (await open('observe', silent)).take(events)
    await receiver.untilAlerts(1)
    await response!.close()
    const again = await open('observe', silent)
    await again.take(events)
    expect([again.desk.alerts({ limit: 10 }).length, again.revocations.list().length]).toEqual([
      1, 1,
    ])
    expect(receiver.effects.size).toBe(1)
  })

  test('signs with the secret that its file holds now', async () => {
    const file = path.join(directory, 'secret')
    const next = `whsec_${Buffer.alloc(32, 8).toString('base64')}`
    writeFileSync(file, SECRET, { mode: 0o600 })
    const placed = { source: { file }, place: 'bailiwick.yaml:3:20' }
    const given = settings('observe')
    response = await openResponse(
      { ...given, secrets: { ...given.secrets, webhooks: new Map([['soc', placed]]) } },
      {
        ...{ directory, version: '1' },
        log: (...line) => void logged.push(JSON.stringify(line)),
        activity: () => Promise.resolve(silent),
      },
    )
    await response.take([finding(1)])
    await receiver.untilAlerts(1)
    // While one takes the place of the other, both sign: who knows the old one alone is still content.
    writeFileSync(file, `${next}\n${SECRET}\n`)
    await response.take([finding(2)])
    await receiver.untilAlerts(2)
    writeFileSync(file, 'nothing of use')
    await response.take([finding(3)])
    await receiver.untilAlerts(3)
    expect(receiver.wrong).toEqual([])
    expect(logged.join()).toContain('what was read before is used on')
    writeFileSync(file, next)
    const { delivered } = await response.webhooks.test('soc')
    expect([delivered, receiver.wrong.length]).toEqual([false, 1])
    expect(logged.join()).not.toContain(next.slice(6))
  })

  test('of one directory there is one', async () => {
    await open('observe', silent)
    const second = openResponse(settings('observe'), {
      ...{ directory, version: '1', log: () => {} },
      activity: () => Promise.resolve(silent),
    })
    await expect(second).rejects.toMatchObject({ kind: 'in_use' })
  })
})
