// `bailiwick alerts` beside a running API, and while it comes and goes.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { momentOf } from '../../src/cli/alert-wishes.ts'
import type { DeliveryStep } from '../../src/respond/alert-view.ts'
import { alertId, deliveryStep, deskAlert, TestDesk } from '../api/desk.ts'
import { openWorld, type World } from '../api/world.ts'
import { AGENT } from '../store/samples.ts'
import { bailiwick, bailiwickUntil, idsIn, storedAlert, writeNote } from './asked.ts'
import { HOSTILE, RAW_CONTROL } from './heard.ts'

const NOW = Math.floor(Date.now() / 1000) * 1_000_000
const desk = new TestDesk()
let world: World
let elsewhere: string

beforeAll(async () => {
  world = await openWorld({}, { responder: desk })
  writeNote(world)
  await world.store.insertSlice(storedAlert(NOW))
  desk.held.push(deskAlert('raised', { sentence: 'invoice-reader reached paste.example.net' }))
  elsewhere = mkdtempSync(path.join(tmpdir(), 'bailiwick-nothing-'))
})
afterAll(async () => {
  await world.close()
  rmSync(elsewhere, { recursive: true, force: true })
})

describe('alerts of a server', () => {
  test('newest first: a sentence each, whose it is, where it went, and what followed', async () => {
    const { code, out, err } = await bailiwick(['alerts', '--data', world.directory])
    expect([code, err]).toEqual([0, ''])
    expect(idsIn(out)).toEqual([alertId('raised'), alertId('stored')])
    expect(out).toMatch(/▲ {2}90 high +invoice-reader reached paste\.example\.net\n/)
    expect(out).toContain(
      'invoice-reader (finance@corp.example), paste.example.net tcp/443, rule default-deny, attribution certain, 1 flow',
    )
    expect(out).toContain('siem waits')
    expect(out).toMatch(/◆ {2}77 medium +it was posted\n/)
  })

  test('as data, filtered and counted off', async () => {
    const lines = async (...args: string[]) => {
      const { code, out } = await bailiwick([
        'alerts',
        '--data',
        world.directory,
        '--json',
        ...args,
      ])
      expect(code).toBe(0)
      return out
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { id: string })
    }
    expect(await lines()).toHaveLength(2)
    expect(await lines('--min-score', '80')).toMatchObject([{ id: alertId('raised') }])
    expect(await lines('--limit', '1')).toHaveLength(1)
    expect(await lines('--agent', `${AGENT}x`)).toEqual([])
    expect(await lines('--since', '2h')).toHaveLength(2)
    expect(await lines('--kind', 'unregistered')).toEqual([])
  })

  test('one of them, with its evidence, its reasons and its flows', async () => {
    const of = (id: string, ...more: string[]) =>
      bailiwick(['alerts', 'show', id, '--data', world.directory, ...more])
    const { code, out } = await of(alertId('stored'))
    expect(code).toBe(0)
    expect(out).toContain('+40 default deny: no rule names it')
    expect(out).toContain('10.0.0.9:443')
    expect(JSON.parse((await of(alertId('raised'), '--json')).out)).toMatchObject({
      evidence: { peer: '203.0.113.9', handshake: 'completed' },
    })
    const none = await of(alertId('never'))
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('there is no such alert') })
    expect((await of('../../health')).code).toBe(2)
  })

  test('hostile texts stay on their lines', async () => {
    desk.held.unshift(
      ...HOSTILE.map((text, at) =>
        deskAlert(`hostile${at}`, {
          ...{ sentence: text, destination: text, subject: text, rule: text, agent: '' },
          deliveries: [{ endpoint: text, state: 'dead', attempts: 2, lastError: text }],
        }),
      ),
    )
    const { out } = await bailiwick(['alerts', '--data', world.directory])
    const shown = await bailiwick([
      'alerts',
      'show',
      alertId('hostile1'),
      '--data',
      world.directory,
    ])
    desk.held.splice(0, HOSTILE.length)
    for (const text of [out, shown.out]) expect(text).not.toMatch(RAW_CONTROL)
  })
})

describe('whom to ask', () => {
  test('an API by its address, with a token from the environment or a file', async () => {
    const api = ['alerts', '--api', world.api.address]
    expect((await bailiwick(api)).err).toMatch(/needs a token: give --token-file FILE, or set BAIL/)
    expect((await bailiwick(api, { BAILIWICK_TOKEN: world.token })).code).toBe(0)
    const file = path.join(world.directory, 'token')
    expect((await bailiwick([...api, '--token-file', file])).code).toBe(0)
    const other = `bw_00000000_${'x'.repeat(43)}`
    const refused = await bailiwick(api, { BAILIWICK_TOKEN: other })
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('not take this token') })
    expect(refused.err).not.toContain(other)
  })

  test('nobody: the exit code is 4, and it says what to do', async () => {
    const empty = await bailiwick(['alerts', '--data', elsewhere])
    expect(empty).toMatchObject({
      code: 4,
      err: expect.stringMatching(/no process .*start one \(bailiwick serve --data /),
    })
    const away = await bailiwick(['alerts', '--api', 'http://127.0.0.1:9'], {
      BAILIWICK_TOKEN: world.token,
    })
    expect(away).toMatchObject({ code: 4, err: expect.stringContaining('nobody answers at') })
    const followed = await bailiwick(['alerts', '--follow', '--data', elsewhere])
    expect(followed).toMatchObject({ code: 4, err: expect.stringContaining('no process') })
  })

  test('something else than an API is told apart', async () => {
    const server = createServer((_, reply) => void reply.end('<html>hello</html>'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const { code, err } = await bailiwick(['alerts', '--api', `http://127.0.0.1:${port}`], {
      BAILIWICK_TOKEN: world.token,
    })
    server.close()
    expect([code, err]).toEqual([4, expect.stringContaining('is no API of bailiwick')])
  })
})

describe('--follow', () => {
  const until = { timeout: 20_000 }

  test('shows each once, whatever happens to the connection', async () => {
    const of = bailiwickUntil(['alerts', '--follow', '--json', '--data', world.directory])
    const seen = () =>
      of.stdout.text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { event: string; alert?: { sentence: string } })
    // What was there before comes first, oldest first.
    await expect.poll(() => seen().length, until).toBe(2)
    expect(seen()[0]?.alert?.sentence).toBe('it was posted')
    const raise = (name: string) => {
      const alert = deskAlert(name, { sentence: name })
      desk.held.unshift(alert)
      world.hub.publish('alert', alert)
    }
    raise('first')
    await expect.poll(() => seen().length, until).toBe(3)
    world.hub.publish('delivery', deliveryStep('first', { state: 'delivered', attempts: 1 }))
    await expect.poll(() => seen().at(-1)?.event, until).toBe('delivery')
    // The server ends and starts anew: what was raised meanwhile stands in its list alone.
    const { port } = new URL(world.api.address)
    await world.api.close()
    await expect.poll(() => of.stderr.text, until).toContain('no connection')
    desk.held.unshift(deskAlert('missed', { sentence: 'missed' }))
    await world.restart(Number(port))
    await expect.poll(() => seen().map(({ alert }) => alert?.sentence), until).toContain('missed')
    raise('last')
    await expect.poll(() => seen().at(-1)?.alert?.sentence, until).toBe('last')
    expect(await of.end()).toBe(130)
  })

  test('for people: only what became worse is said again, and ends of deliveries', async () => {
    const of = bailiwickUntil(['alerts', '--follow', '--limit', '0', '--data', world.directory])
    await expect.poll(() => world.hub.listeners, until).toBeGreaterThan(0)
    const tell = (score: number) =>
      world.hub.publish('alert', deskAlert('worse', { sentence: 'worse', score }))
    await expect
      .poll(() => {
        tell(60)
        return of.stdout.text
      }, until)
      .toContain('60 medium')
    tell(50)
    tell(85)
    const step = (more: Partial<DeliveryStep>) =>
      world.hub.publish('delivery', deliveryStep('worse', { attempts: 3, ...more }))
    step({ state: 'sending' })
    step({ state: 'dead', lastError: 'it answers 500' })
    await expect.poll(() => of.stdout.text, until).toContain('siem not delivered after 3 tries')
    expect(of.stdout.text.match(/worse$/gm)).toHaveLength(2)
    expect(of.stdout.text).toContain(': it answers 500')
    expect(of.stdout.text).not.toContain('is sent')
    await of.end()
  })
})

test('a time is so long ago, or a moment with its zone', () => {
  const now = Date.UTC(2026, 0, 5, 12)
  expect(momentOf('30m', now)).toBe('2026-01-05T11:30:00.000Z')
  expect(momentOf('7d', now)).toBe('2025-12-29T12:00:00.000Z')
  expect(momentOf('2026-01-05T09:00:00+02:00', now)).toBe('2026-01-05T07:00:00.000Z')
  expect(momentOf('2026-01-05', now)).toBe('2026-01-05T00:00:00.000Z')
  for (const wrong of ['', 'soon', '2h30m', '-1h', '2026-01-05T09:00:00', '2026-13-01'])
    expect(() => momentOf(wrong, now), wrong).toThrow(/expected 30m, 2h, 7d/)
})
