// The API by real HTTP on loopback, over a real store: what each route answers, page by page.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addToken } from '../../src/api/tokens.ts'
import { formatUuid } from '../../src/hash.ts'
import { HOSTILE, RAW_CONTROL } from '../cli/heard.ts'
import { AGENT, flowIdOf, judged, sampleChunk } from '../store/samples.ts'
import { alertId, deadLetter, deskAlert, TestDesk, TestRevocations, waiting } from './desk.ts'
import { openWorld, type World } from './world.ts'

const SECOND = 1_000_000
/** A whole second, so that texts are short. */
const NOW = Math.floor(Date.now() / 1000) * SECOND
const HOUR = 3600 * SECOND
const iso = (micros: number) => `${new Date(micros / 1000).toISOString().slice(0, -1)}000Z`

const desk = new TestDesk()
const revocations = new TestRevocations()
let world: World
beforeAll(async () => {
  world = await openWorld({}, { responder: desk, revocations })
  const names = Array.from({ length: 25 }, (_, at) => ({ name: `post${at}`, ts: NOW - at * HOUR }))
  const chunk = sampleChunk({
    flows: [
      ...names.map((one) => ({ ...one, server_name: 'paste.example.net', orig_bytes: 90_000 })),
      { name: 'web', ts: NOW - 5, server_name: 'api.example.com' },
    ],
  })
  await world.store.insertSlice({
    key: 'tap1/abc:0-0',
    chunks: [
      judged(chunk, [
        { name: 'web', verdict: 'in_scope', ts: NOW - 5 },
        ...names.map(({ name, ts }, at) => ({
          ...{ name, ts, verdict: 'out_of_scope' as const, destination: 'paste.example.net' },
          ...{ alert: `stored${at}`, score: 90 - at, sentence: `${name} was posted` },
        })),
      ]),
    ],
  })
  desk.held.push(deskAlert('raised'), deskAlert('stored0', { sentence: 'raised and stored' }))
  const diedAt = 1_700_000_000_000
  desk.letters.push(deadLetter('msg_1', { alerts: [alertId('raised')], diedAt }))
  revocations.views.push(waiting('rev_1', alertId('raised')), waiting('rev_2', alertId('raised')))
})
afterAll(() => world.close())

async function json<T = Record<string, unknown>>(path: string, init?: RequestInit): Promise<T> {
  const answer = await world.get(path, init)
  expect([path, answer.status]).toEqual([path, 200])
  return (await answer.json()) as T
}
const post = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

interface Shown {
  id: string
  score: number
  raised_at: string | null
  owner: string
  [key: string]: unknown
}
interface AlertPage {
  alerts: Shown[]
  next: string | null
}

async function walk(question: string): Promise<AlertPage[]> {
  const pages: AlertPage[] = []
  for (let next: string | null = ''; next !== null; next = pages.at(-1)!.next) {
    const cursor: string = next === '' ? '' : `&cursor=${next}`
    pages.push(await json<AlertPage>(`/api/v1/alerts?${question}${cursor}`))
    expect(pages.length).toBeLessThan(50)
  }
  return pages
}

describe('alerts', () => {
  test('those that were raised come first, then those of the store; each once, however long the pages', async () => {
    const whole = (await walk('limit=500')).flatMap(({ alerts }) => alerts)
    expect(whole.slice(0, 2).map(({ sentence }) => sentence)).toEqual([
      desk.held[0]!.sentence,
      'raised and stored',
    ])
    expect(whole.map(({ id }) => id)).toEqual([
      alertId('raised'),
      ...Array.from({ length: 25 }, (_, at) => alertId(`stored${at}`)),
    ])
    for (const limit of [1, 2, 7, 26]) {
      const pages = await walk(`limit=${limit}`)
      expect(pages.flatMap(({ alerts }) => alerts.map(({ id }) => id))).toEqual(
        whole.map(({ id }) => id),
      )
      for (const { alerts } of pages) expect(alerts.length).toBeLessThanOrEqual(limit)
    }
  })

  test('are filtered', async () => {
    const ids = async (question: string) =>
      (await walk(question)).flatMap(({ alerts }) => alerts.map(({ id }) => id))
    expect(await ids('agent=spiffe%3A%2F%2Felsewhere')).toEqual([])
    expect(await ids(`agent=${encodeURIComponent(AGENT)}&min_score=89`)).toEqual([
      alertId('raised'),
      alertId('stored0'),
      alertId('stored1'),
    ])
    expect(await ids('destination=paste.example.net&kind=unregistered')).toEqual([])
    const from = encodeURIComponent(iso(NOW - 24 * HOUR))
    const to = encodeURIComponent(iso(NOW - 23 * HOUR))
    // Whole hours are looked at: an alert is not cut in two.
    expect(await ids(`from=${from}&to=${to}`)).toEqual([alertId('stored23'), alertId('stored24')])
  })

  test('one of them, with its evidence, its flows, its deliveries', async () => {
    const raised = await json<Record<string, Shown & Shown[]>>(
      `/api/v1/alerts/${alertId('stored0')}`,
    )
    expect(raised.alert).toMatchObject({
      owner: 'finance@corp.example',
      service: 'tcp/443',
      deliveries: [
        { endpoint: 'siem', state: 'queued', attempts: 0, next_at: null, last_error: null },
      ],
      revocations: [],
    })
    expect(raised.evidence).toMatchObject({ peer: '203.0.113.9', handshake: 'completed' })
    expect(raised.flows).toHaveLength(1)
    expect(raised.flows![0]).toMatchObject({
      flow_id: formatUuid(flowIdOf('post0')),
      verdict: 'out_of_scope',
      orig_h: '10.0.0.5',
      resp_p: 443,
      protocol: 'tcp',
      open: false,
      orig_bytes: 90_000,
      reasons: [{ code: 'default_deny', weight: 40, evidence: 'no rule names it' }],
      alert_id: alertId('stored0'),
      began: iso(NOW),
    })
    const stored = await json<Record<string, Shown>>(`/api/v1/alerts/${alertId('stored3')}`)
    expect(stored.alert).toMatchObject({ raised_at: null, deliveries: [], score: 87 })
    expect(stored.evidence).toBeNull()
    const none = await world.get(`/api/v1/alerts/${alertId('never')}`)
    expect([none.status, await none.json()]).toEqual([404, { error: 'there is no such alert' }])
  })
})

test('flows, page by page, with the judgement that holds', async () => {
  interface FlowPage {
    flows: { flow_id: string; verdict: string; began: string }[]
    next: string | null
  }
  const seen: string[] = []
  let next: string | null = ''
  while (next !== null) {
    const page: FlowPage = await json<FlowPage>(
      `/api/v1/flows?limit=10${next === '' ? '' : `&cursor=${next}`}`,
    )
    seen.push(...page.flows.map(({ flow_id }) => flow_id))
    next = page.next
  }
  expect(seen).toHaveLength(26)
  expect(new Set(seen).size).toBe(26)
  expect(seen.slice(0, 2)).toEqual([formatUuid(flowIdOf('post0')), formatUuid(flowIdOf('web'))])
  const inScope = await json<FlowPage>('/api/v1/flows?verdict=in_scope&destination=api.example.com')
  expect(inScope.flows.map(({ flow_id }) => flow_id)).toEqual([formatUuid(flowIdOf('web'))])
  expect((await json<FlowPage>('/api/v1/flows?destination=elsewhere.example')).flows).toEqual([])
})

test('agents, with what they did and when they were last heard of', async () => {
  const { agents, problem } = await json<{ agents: unknown[]; problem: unknown }>('/api/v1/agents')
  expect(problem).toBeNull()
  expect(agents).toEqual([
    expect.objectContaining({
      ...{ id: AGENT, scope_version: '7', scope_expires: null },
      ...{ judgements: 26, out_of_scope: 25, findings: 25, last_seen: iso(NOW) },
    }),
  ])
})

test('coverage: what the sensors saw', async () => {
  const from = encodeURIComponent('2026-01-01T00:00:00Z')
  const { coverage } = await json<{ coverage: unknown[] }>(`/api/v1/coverage?from=${from}`)
  expect(coverage).toEqual([
    expect.objectContaining({ sensor: 'tap1', source_kind: 'pcap', metric: 'packets', value: 18 }),
  ])
  expect(await json('/api/v1/coverage?sensor=other')).toEqual({ coverage: [] })
})

test('dead deliveries are shown, and sent again', async () => {
  expect(await json('/api/v1/deliveries/dead')).toEqual({
    total: 1,
    dead: [
      {
        ...{ id: 'msg_1', endpoint: 'siem', alerts: [alertId('raised')], attempts: 10 },
        ...{ last_error: 'it answers 500', died_at: '2023-11-14T22:13:20.000000Z' },
      },
    ],
  })
  const again = await world.get('/api/v1/deliveries/msg_1/redrive', { method: 'POST' })
  expect([again.status, desk.redriven]).toEqual([202, ['msg_1']])
  const none = await world.get('/api/v1/deliveries/msg_2/redrive', { method: 'POST' })
  expect([none.status, desk.redriven]).toEqual([404, ['msg_1']])
})

test('revocations are decided once, by somebody with a name', async () => {
  const { revocations: list } = await json<{ revocations: Shown[] }>('/api/v1/revocations')
  expect(list.map(({ id, state }) => [id, state])).toEqual([
    ['rev_1', 'waiting'],
    ['rev_2', 'waiting'],
  ])
  expect(await json('/api/v1/revocations/rev_1/dry-run')).toMatchObject({
    method: 'POST',
    headers: { authorization: '***' },
  })
  const approved = await json('/api/v1/revocations/rev_1/approve', post({}))
  expect(approved).toMatchObject({ state: 'approved' })
  expect(approved.decided_by).toMatch(/^first administrator \([0-9a-f]{8}\)$/)
  const again = await world.get('/api/v1/revocations/rev_1/approve', post({}))
  expect([again.status, await again.json()]).toEqual([409, { error: 'it is approved already' }])
  const bare = await world.get('/api/v1/revocations/rev_2/reject', post({}))
  expect(bare.status).toBe(400)
  const why = await json('/api/v1/revocations/rev_2/reject', post({ why: 'a test' }))
  expect(why).toMatchObject({ state: 'rejected', detail: 'a test' })
  expect((await world.get('/api/v1/revocations/rev_3/approve', post({}))).status).toBe(404)
  expect(await json('/api/v1/revocations/kill', post({ on: true }))).toEqual({ killed: true })
})

test('hostile text goes out as data: no raw control, no markup that a browser would believe', async () => {
  desk.held.unshift(
    ...HOSTILE.map((text, at) =>
      deskAlert(`hostile${at}`, { sentence: text, destination: text, subject: text }),
    ),
  )
  const answer = await world.get(`/api/v1/alerts?limit=${HOSTILE.length}`)
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  const text = await answer.text()
  expect(text.slice(0, -1)).not.toMatch(RAW_CONTROL)
  const { alerts } = JSON.parse(text) as AlertPage
  expect(alerts.map(({ sentence }) => sentence)).toEqual([...HOSTILE])
  desk.held.splice(0, HOSTILE.length)
})

test('describes itself: every route that needs a token, each with its answers', async () => {
  const about = await json<{
    openapi: string
    paths: Record<string, Record<string, { responses: object; summary: string }>>
  }>('/api/v1/openapi.json')
  expect(about.openapi).toBe('3.1.0')
  expect(Object.keys(about.paths).sort()).toEqual([
    '/api/v1/agents',
    '/api/v1/alerts',
    '/api/v1/alerts/{id}',
    '/api/v1/coverage',
    '/api/v1/deliveries/dead',
    '/api/v1/deliveries/{id}/redrive',
    '/api/v1/flows',
    '/api/v1/me',
    '/api/v1/openapi.json',
    '/api/v1/revocations',
    '/api/v1/revocations/kill',
    '/api/v1/revocations/{id}',
    '/api/v1/revocations/{id}/approve',
    '/api/v1/revocations/{id}/dry-run',
    '/api/v1/revocations/{id}/reject',
    '/api/v1/stream',
    '/api/v1/webhooks',
    '/api/v1/webhooks/{name}/test',
  ])
  for (const methods of Object.values(about.paths))
    for (const { responses, summary } of Object.values(methods)) {
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['4XX', '5XX']))
      expect(summary).not.toBe('')
    }
})

test('the page may run its own scripts and talk to its own server, nothing else', async () => {
  const answer = await fetch(world.api.address)
  expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
  const policy = answer.headers.get('content-security-policy')?.split(/; ?/) ?? []
  expect(policy).toEqual(
    expect.arrayContaining([
      ...["default-src 'none'", "script-src 'self'", "connect-src 'self'", "base-uri 'none'"],
      ...["frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"],
    ]),
  )
  expect(policy.join()).not.toMatch(/unsafe|\*|data:/)
  expect(answer.headers.get('x-frame-options')).toBe('DENY')
  expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
})

test('health, readiness and metrics answer without a token, at the same port', async () => {
  const bare = (path: string) => fetch(`${world.api.address}${path}`)
  expect(await (await bare('/health')).json()).toEqual({ status: 'alive', name: 'serve' })
  const late = { samples: () => [], readiness: () => ({ ready: false, reason: 'lag 7' }) }
  world.observed.add(late)
  const ready = await bare('/ready')
  expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reason: 'lag 7' }])
  world.observed.delete(late)
  const text = await (await bare('/metrics')).text()
  expect(text).toMatch(/^bailiwick_api_store_questions_total \d+$/m)
  expect(text).toMatch(/^bailiwick_live_stream_clients 0$/m)
})

test('a viewer looks, an analyst sends again, an approver decides', async () => {
  const ask = async (role: 'viewer' | 'analyst' | 'approver', path: string, init?: RequestInit) => {
    const token = addToken(world.directory, { name: `a ${role}`, role })
    // The book looks at its file once a second.
    await expect
      .poll(async () => (await world.get('/api/v1/me', as(token))).status, { timeout: 5000 })
      .toBe(200)
    return (await world.get(path, { ...init, ...as(token, init) })).status
  }
  const redrive = '/api/v1/deliveries/msg_1/redrive'
  const kill = '/api/v1/revocations/kill'
  expect(await ask('viewer', '/api/v1/alerts')).toBe(200)
  expect(await ask('viewer', redrive, { method: 'POST' })).toBe(403)
  expect(await ask('analyst', redrive, { method: 'POST' })).toBe(202)
  expect(await ask('analyst', kill, post({ on: false }))).toBe(403)
  expect(await ask('approver', kill, post({ on: false }))).toBe(200)
})

const as = (token: string, init: RequestInit = {}): RequestInit => ({
  headers: { ...init.headers, authorization: `Bearer ${token}` },
})
