// `bailiwick revoke`: what waits, what would be sent, and decisions, by the real API.

import { beforeAll, describe, expect, test } from 'vitest'
import { addToken } from '../../src/api/tokens.ts'
import { alertId, TestRevocations, waiting } from '../api/desk.ts'
import { openWorld, type World } from '../api/world.ts'
import { bailiwick, writeNote } from './asked.ts'
import { HOSTILE, RAW_CONTROL } from './heard.ts'

const revocations = new TestRevocations()
let world: World
beforeAll(async () => {
  world = await openWorld({}, { revocations })
  writeNote(world)
})

const revoke = (...args: string[]) => bailiwick(['revoke', ...args, '--data', world.directory])

describe('revocations', () => {
  test('are listed; those that wait can be asked for alone', async () => {
    expect(await revoke('ls')).toMatchObject({ code: 0, out: '', err: 'no revocations\n' })
    revocations.views.push(
      waiting('rev_1', alertId('a')),
      { ...waiting('rev_2', alertId('b')), state: 'verified', decidedBy: 'night shift' },
      waiting('rev_3', alertId('c')),
    )
    const { out } = await revoke('ls')
    expect(out.match(/^rev_\d/gm)).toEqual(['rev_1', 'rev_2', 'rev_3'])
    expect(out).toContain('verified by silence')
    expect(out).toContain('decided by night shift')
    const lines = (await revoke('ls', '--waiting', '--json')).out.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(['rev_1', 'rev_3'])
    expect((await revoke('show', 'rev_2')).out).toMatch(/^rev_2 {2}/)
  })

  test('the exact request is printed before anybody says yes', async () => {
    const { code, out } = await revoke('dry-run', 'rev_1')
    expect(code).toBe(0)
    expect(out).toMatch(/^POST https:\/\/idp\.example\/revoke\nauthorization: \*\*\*\n/)
    expect(out).toContain('\n\n{\n')
  })

  test('are approved or rejected once, in the name of the token', async () => {
    const approved = await revoke('approve', 'rev_1', '--json')
    expect(JSON.parse(approved.out)).toMatchObject({ id: 'rev_1', state: 'approved' })
    expect(revocations.decided).toEqual([
      expect.stringMatching(/^approved rev_1 by first administrator/),
    ])
    const again = await revoke('approve', 'rev_1')
    expect(again).toMatchObject({ code: 2, err: expect.stringContaining('it is approved already') })
    expect((await revoke('reject', 'rev_3')).err).toContain('--why')
    const rejected = await revoke('reject', 'rev_3', '--why', 'a planned test')
    expect(rejected.out).toContain('a planned test')
    expect((await revoke('show', 'rev_9')).err).toContain('there is no such revocation')
    expect((await revoke('show', '../../health')).code).toBe(2)
  })

  test('can all be stopped', async () => {
    expect((await revoke('kill', 'on')).out).toBe('all revoking is stopped\n')
    expect((await revoke('ls')).err).toContain('`bailiwick revoke kill off` lets it go on')
    expect((await revoke('kill', 'off', '--json')).out).toBe('{"killed":false}\n')
    expect((await revoke('kill', 'maybe')).code).toBe(2)
  })

  test('are not decided by somebody who may only look', async () => {
    const token = addToken(world.directory, { name: 'a viewer', role: 'viewer' })
    const ask = (...args: string[]) =>
      bailiwick(['revoke', ...args, '--api', world.api.address], { BAILIWICK_TOKEN: token })
    // The book looks at its file once a second.
    await expect.poll(async () => (await ask('ls')).code, { timeout: 5000 }).toBe(0)
    const { code, err } = await ask('kill', 'on')
    expect([code, err]).toEqual([2, expect.stringContaining('this needs the role approver')])
  })

  test('hostile texts stay on their lines', async () => {
    revocations.views.push(
      ...HOSTILE.map((text, at) => ({
        ...waiting(`bad_${at}`, alertId('a')),
        ...{ sentence: text, agent: text, detail: text, decidedBy: text },
      })),
    )
    const { code, out } = await revoke('ls')
    expect(code).toBe(0)
    expect(out).not.toMatch(RAW_CONTROL)
  })
})

test('a process that decides nothing says so', async () => {
  await world.close()
  const bare = await openWorld({}, { elsewhere: 'ask the API of `bailiwick respond`' })
  writeNote(bare)
  const ask = (...args: string[]) => bailiwick(['revoke', ...args, '--data', bare.directory])
  const list = await ask('ls')
  expect(list).toMatchObject({ code: 0, err: expect.stringContaining('decides about no') })
  const { code, err } = await ask('approve', 'rev_1')
  expect([code, err]).toEqual([2, expect.stringContaining('ask the API of `bailiwick respond`')])
  await bare.close()
})
