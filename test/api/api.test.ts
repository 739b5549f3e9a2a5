// The API by real HTTP on loopback, over a real store.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { AGENT, judged, sampleChunk } from '../store/samples.ts'
import { openWorld, type World } from './world.ts'

const NOW = Date.now() * 1000

let world: World
beforeAll(async () => {
  world = await openWorld()
  const chunk = sampleChunk({
    flows: [{ name: 'post', ts: NOW, server_name: 'paste.example.net' }],
  })
  await world.store.insertSlice({
    key: 'tap1/abc:0-0',
    chunks: [
      judged(chunk, [
        {
          name: 'post',
          verdict: 'out_of_scope',
          destination: 'paste.example.net',
          alert: 'a1',
          score: 90,
          ts: NOW,
        },
      ]),
    ],
  })
})
afterAll(() => world.close())

test('agents, with what they did and when they were last heard of', async () => {
  const answer = await world.get('/api/v1/agents')
  expect(answer.status).toBe(200)
  const { agents, problem } = (await answer.json()) as { agents: unknown[]; problem: unknown }
  expect(problem).toBeNull()
  expect(agents).toEqual([
    expect.objectContaining({ id: AGENT, judgements: 1, out_of_scope: 1, findings: 1 }),
  ])
  const seen = Date.parse((agents[0] as { last_seen: string }).last_seen)
  expect(seen).toBe(Math.floor(NOW / 1000))
})

test('nothing without a token, and nothing by another name', async () => {
  const bare = await fetch(`${world.api.address}/api/v1/agents`)
  expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
  const wrong = await world.get('/api/v1/agents', {
    headers: { authorization: `Bearer bw_00000000_${'A'.repeat(43)}` },
  })
  expect(wrong.status).toBe(401)
})
