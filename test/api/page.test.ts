// The page in a real browser, over the real API: it is opened once, and from then on only looks change.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AgentsView } from '../../src/api/parts.ts'
import type { AlertView } from '../../src/respond/alert-view.ts'
import { HOSTILE } from '../cli/heard.ts'
import { judged, sampleChunk } from '../store/samples.ts'
import { browserAvailable, type Looked, openBrowser, openTab, shoot } from './browser.ts'
import {
  alertId,
  deadLetter,
  deliveryStep,
  deskAlert,
  TestDesk,
  TestRevocations,
  TestWebhooks,
  waiting,
} from './desk.ts'
import { fillScene } from './scene.ts'
import { AGENTS, openWorld, type World } from './world.ts'

/** Runs in the page. */
const UNREADABLE = readFileSync(path.join(import.meta.dirname, 'unreadable.mjs'), 'utf8')

const there = browserAvailable()
let browser: Browser
let world: World
let desk: TestDesk
let revocations: TestRevocations
let webhooks: TestWebhooks
let agents: AgentsView
let looked: Looked | undefined

beforeAll(async () => {
  if (there) browser = await openBrowser()
})
afterAll(() => browser?.close())
beforeEach(async () => {
  desk = new TestDesk()
  revocations = new TestRevocations()
  agents = AGENTS
  webhooks = new TestWebhooks()
  const parts = { responder: desk, revocations, webhooks, agents: () => agents }
  world = await openWorld({}, parts)
})
afterEach(async () => {
  const { complaints = [], strangers = [] } = looked ?? {}
  await looked?.page.context().close()
  looked = undefined
  await world.close()
  expect(complaints).toEqual([])
  expect(strangers).toEqual([])
})

/** Waits for a page that may have little of a busy machine. */
const soon = <T>(look: () => T | Promise<T>) => expect.poll(look, { timeout: 20_000 })

/** Opens the page by the link that `serve` prints. */
async function open(shape: Parameters<typeof openTab>[2] = {}): Promise<Looked['page']> {
  looked = await openTab(browser, world.api.address, shape)
  await looked.page.goto(`${world.api.address}/#token=${world.token}`)
  await looked.page.locator('#connection[data-state=live]').waitFor()
  return looked.page
}

/** What happens in a process: it is held, and told to whoever listens. */
function raise(name: string, more: Partial<AlertView> = {}): AlertView {
  const alert = deskAlert(name, more)
  desk.held.unshift(alert)
  world.hub.publish('alert', alert)
  return alert
}

/** A minute of a live capture in which packets were dropped. */
const lossySlice = (at: number) => {
  const flows = [{ name: 'seen', ts: at }]
  const covers = [
    { metric: 'capture_received', value: 500_000, at },
    { metric: 'capture_dropped', value: 1234, at },
  ]
  const chunk = sampleChunk({ origin: 'tap1/lossy', flows, covers })
  return { key: 'tap1/lossy:0-0', chunks: [judged(chunk, [])] }
}

/** Raises an alert for each name, a few at a time, as they come in life. */
async function storm(names: readonly string[], before: string): Promise<void> {
  for (const [at, name] of names.entries()) {
    const destination = `${name.replace(' ', '-')}.example`
    raise(`${before}${name}`, { sentence: `${before}${name} left its scope`, destination })
    if (at % 50 === 49) await sleep(20)
  }
}

const rows = (page: Looked['page']) => page.locator('#alerts > li:visible')

describe.skipIf(!there)('the page', () => {
  test('shows an alert when it happens, without being loaded again', async () => {
    const page = await open()
    const opened = await page.evaluate('performance.timeOrigin')
    // The token is in no address, and nowhere that outlives the tab.
    expect(page.url()).toBe(`${world.api.address}/`)
    expect(await page.evaluate('[localStorage.length, document.cookie]')).toEqual([0, ''])
    await page.getByText('No alerts.').waitFor()
    await shoot(page, 'empty')
    raise('first', { sentence: 'invoice-reader reached paste.example.net' })
    await page.getByRole('button', { name: 'invoice-reader reached paste.example.net' }).waitFor()
    raise('second', { sentence: 'invoice-reader reached files.example.org', score: 55 })
    await page.getByRole('button', { name: 'files.example.org' }).waitFor()
    expect(await rows(page).locator('.open').allTextContents()).toEqual([
      'invoice-reader reached files.example.org',
      'invoice-reader reached paste.example.net',
    ])
    // Level in words, both clocks, whose it is.
    await soon(() => rows(page).first().textContent()).toMatch(/55medium\d\d:\d\d:\d\d.*UTC/)
    expect(await rows(page).first().textContent()).toContain('finance@corp.example')
    world.hub.publish('delivery', deliveryStep('first', { state: 'delivered', attempts: 2 }))
    await page.getByText('siem delivered after 2 tries').waitFor()
    expect(await page.evaluate('performance.timeOrigin')).toBe(opened)
  })

  test('says what is lost, which change of the agents is not used, and what waits', async () => {
    agents = { ...AGENTS, problem: 'agents/invoice.yaml:7:3: unknown key `hots`' }
    desk.letters.push(deadLetter('msg_1'))
    webhooks.views.push({
      ...{ name: 'siem', target: 'https://siem.example', state: 'held', queued: 12 },
      ...{ dead: 1, delivered: 400, lastError: 'it answers 500' },
    })
    const late = {
      samples: () => [],
      readiness: () => ({ ready: false, reason: 'the disk is full' }),
    }
    world.observed.add(late)
    await world.store.insertSlice(lossySlice((Date.now() - 60_000) * 1000))
    revocations.views.push({ ...waiting('rev_1', alertId('x')), state: 'failed' })
    const page = await open()
    const part = (name: string) => page.locator('.watched', { hasText: name })
    await part('not ready: the disk is full').waitFor()
    await part('1,234 packets dropped in 60 min').waitFor()
    await part('the last change is not used').waitFor()
    await part('siem held, 12 wait').waitFor()
    await part('1 failed').waitFor()
    // By the keyboard: to the line, along it, open.
    await page.keyboard.press('s')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('packets that the kernel dropped').waitFor()
    await shoot(page, 'watch-coverage')
    await part('Agents').click()
    await page.getByText('unknown key `hots`').waitFor()
    await shoot(page, 'watch-agents')
    await part('Webhooks').click()
    await page.getByRole('button', { name: 'Send again' }).click()
    await soon(() => desk.redriven).toEqual(['msg_1'])
    await shoot(page, 'watch-webhooks')
    await part('Revoking').click()
    await page.getByRole('button', { name: 'Stop all revoking' }).click()
    await part('all stopped').waitFor()
    expect(revocations.killed()).toBe(true)
    await shoot(page, 'watch-revoking')
    // And when all is well again, that is said.
    world.observed.delete(late)
    agents = AGENTS
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await part('ready').waitFor()
    await part('1 known').waitFor()
    // A 503 of /ready is an answer, which the browser complains of all the same.
    expect(looked!.complaints.splice(0).every((one) => one.includes('503'))).toBe(true)
  })

  test('holds back what is new while it is paused, filters, and obeys keys', async () => {
    const page = await open()
    raise('one', { sentence: 'the first' })
    await page.getByRole('button', { name: 'the first' }).waitFor()
    await page.keyboard.press('p')
    raise('two', { sentence: 'the second' })
    raise('three', { sentence: 'the third', destination: 'other.example' })
    await page.getByRole('button', { name: '2 new alerts: show' }).waitFor()
    expect(await page.title()).toBe('(2) Bailiwick: alerts')
    expect(await rows(page).count()).toBe(1)
    await page.keyboard.press('n')
    await soon(() => rows(page).count()).toBe(3)
    await page.keyboard.press('p')
    await page.keyboard.press('/')
    await page.keyboard.type('other.example third')
    await soon(() => rows(page).locator('.open').allTextContents()).toEqual(['the third'])
    expect(await page.locator('#shown').textContent()).toBe('1 of 3 alerts')
    await page.keyboard.press('Escape')
    await soon(() => rows(page).count()).toBe(3)
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.getByText('www.paste.example.net').waitFor()
    expect(await rows(page).nth(1).locator('.open').getAttribute('aria-expanded')).toBe('true')
  })

  test('catches up with what it missed while the server was away', async () => {
    const page = await open()
    raise('before')
    await soon(() => rows(page).count()).toBe(1)
    const port = Number(new URL(world.api.address).port)
    await world.api.close()
    await page.locator('#connection[data-state=lost]').waitFor()
    // What was known of the server is known no more.
    await page.locator('.watched', { hasText: 'Server' }).getByText('not known').waitFor()
    await shoot(page, 'lost')
    desk.held.unshift(deskAlert('missed', { sentence: 'raised meanwhile' }))
    await world.restart(port)
    await page.getByRole('button', { name: 'raised meanwhile' }).waitFor()
    await page.locator('#connection[data-state=live]').waitFor()
    expect(await rows(page).count()).toBe(2)
    // The browser itself says that it could not connect.
    looked!.complaints.splice(0)
  })

  test('approves a revocation after its request was seen', async () => {
    raise('bad')
    const page = await open()
    const view = waiting('rev_1', alertId('bad'))
    revocations.views.push(view)
    world.hub.publish('revocation', view)
    await page.getByRole('heading', { name: 'Waiting for your decision 1' }).waitFor()
    await page.getByText('revocation waits for approval').waitFor()
    await page.getByRole('button', { name: 'Approve…' }).click()
    await page.getByText('POST https://idp.example/revoke').waitFor()
    await shoot(page, 'approve')
    await page.getByRole('button', { name: 'Revoke now' }).click()
    await page.getByText('revocation approved').waitFor()
    expect(revocations.decided).toEqual([
      expect.stringMatching(/^approved rev_1 by first administrator/),
    ])
    expect(await page.locator('#decisions').isVisible()).toBe(false)
  })

  test('makes nothing of hostile text but text', async () => {
    const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    const texts = [...HOSTILE, markup, 'javascript:alert(1)', '{{7*7}}', '&lt;b&gt;']
    const [known] = AGENTS.agents
    const named = texts.map((text) => ({ ...known!, id: text, owner: text, scopeVersion: text }))
    agents = { ...AGENTS, problem: markup, agents: named }
    const bad = { name: markup, target: markup, state: 'working' as const, queued: 0, dead: 0 }
    webhooks.views.push({ ...bad, delivered: 0, lastError: markup })
    desk.letters.push(deadLetter('m', { endpoint: markup, lastError: markup }))
    const view = { ...waiting('rev_1', alertId('hostile0')), agent: markup, sentence: markup }
    revocations.views.push({ ...view, detail: markup, decidedBy: markup })
    const page = await open()
    for (const [at, text] of texts.entries())
      raise(`hostile${at}`, {
        sentence: text,
        destination: text,
        subject: text,
        agent: '',
        rule: text,
      })
    await soon(() => rows(page).count()).toBe(texts.length)
    await rows(page).first().locator('.open').click()
    await page.getByText('Not stored yet').waitFor()
    for (const part of ['Server', 'Seen', 'Agents', 'Webhooks', 'Revoking']) {
      await page.locator('.watched', { hasText: part }).click()
      const made = 'main img, main script, main b, main a'
      expect(await page.locator(made).count(), part).toBe(0)
    }
    expect(await page.title()).toBe('Bailiwick: alerts')
    const shown = (await page.locator('#alerts').textContent()) ?? ''
    expect(shown).toContain(markup)
    expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]/)
  })

  test('keeps a bounded number of rows in a storm, and answers to whoever works', async () => {
    const page = await open()
    const names = Array.from({ length: 1000 }, (_, at) => `storm ${at}`)
    await storm(names, '')
    await page.getByRole('button', { name: 'storm 999 ' }).waitFor()
    await soon(() => page.locator('#alerts > li').count()).toBe(500)
    expect(await page.locator('#shown').textContent()).toBe('the newest 500 alerts')
    await shoot(page, 'storm')
    // What is open is not taken away by what comes.
    await rows(page).nth(10).locator('.open').click()
    await page.getByText('Not stored yet').waitFor()
    const open10 = await rows(page).nth(10).locator('.open').textContent()
    await storm(names, 'again ')
    await page.getByRole('button', { name: 'again storm 999 ' }).waitFor()
    await soon(() => page.locator('#alerts > li').count()).toBe(500)
    await page.getByRole('button', { name: open10 ?? '', exact: true }).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('storm-998')
    await soon(() => page.locator('#shown').textContent()).toMatch(/^0 of|^1 of/)
    const heap = await page.evaluate('performance.memory.usedJSHeapSize')
    expect(heap).toBeLessThan(100 * 1024 * 1024)
  })

  test('rejects a revocation with a reason, and shows what became of it', async () => {
    raise('bad')
    const view = waiting('rev_1', alertId('bad'))
    revocations.views.push(view)
    const page = await open()
    await page.getByRole('button', { name: 'Reject…' }).click()
    await page.getByLabel('Why not?').fill('a planned test')
    await page.getByRole('button', { name: 'Reject it' }).click()
    await page.locator('#decisions').waitFor({ state: 'hidden' })
    expect(revocations.decided).toEqual([expect.stringMatching(/^rejected rev_1 by first/)])
  })

  test('asks for a token, and says when it is not taken', async () => {
    looked = await openTab(browser, world.api.address)
    const { page } = looked
    await page.goto(world.api.address)
    await page.getByLabel('Token').fill('bw_nonsense')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('That is no token').waitFor()
    await shoot(page, 'sign-in')
    await page.getByLabel('Token').fill(`bw_00000000_${'x'.repeat(43)}`)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('not, or no longer, taken').waitFor()
    await page.getByLabel('Token').fill(world.token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('#connection[data-state=live]').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.evaluate('sessionStorage.length')).toBe(0)
    // The browser says 401 by itself.
    expect(looked.complaints.splice(0)).toEqual([expect.stringContaining('401')])
  })

  test.each([
    { name: 'wide-light', width: 1600, height: 1000, dark: false },
    { name: 'wide-dark', width: 1600, height: 1000, dark: true },
    { name: 'narrow-light', width: 420, height: 900, dark: false },
    { name: 'narrow-dark', width: 420, height: 900, dark: true },
  ])('$name: nothing is cut off', async ({ name, ...shape }) => {
    await fillScene(world, desk, revocations)
    const page = await open(shape)
    await rows(page).nth(1).waitFor()
    await rows(page).nth(1).locator('.open').click()
    await page.getByText('default deny').waitFor()
    await page.evaluate('scrollTo(0, 0)')
    await shoot(page, name)
    const wider = await page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )
    expect(wider).toBeLessThanOrEqual(0)
    expect(await page.evaluate(UNREADABLE)).toEqual([])
    // As what comes now is, too: while it is marked as new, and after.
    raise('now', { sentence: 'raised while somebody looks on' })
    const fresh = rows(page).first()
    await fresh.getByText('raised while somebody looks on').waitFor()
    expect(await page.evaluate(UNREADABLE)).toEqual([])
    const [mine, theirs] = [await fresh.boundingBox(), await rows(page).last().boundingBox()]
    expect([mine?.x, mine?.width]).toEqual([theirs?.x, theirs?.width])
  })
})
