// Whether an agent still talks, asked of a real store: what it did, what somebody else did to it, and up to when a sensor
// would have told of it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentActivity } from '../../src/serve/activity.ts'
import type { EngineStore } from '../../src/store/store.ts'
import { openEmbeddedStore } from '../store/embedded-store.ts'
import { judged, type SampleFlow, type SampleJudgement, sampleChunk } from '../store/samples.ts'

const SECOND = 1_000_000
/** A sample flow ends so long after it began. */
const LENGTH = 1.5 * SECOND

describe('the activity of an agent', () => {
  let store: EngineStore
  const since = Date.now() * 1000
  const later = (seconds: number) => since + seconds * SECOND

  beforeAll(async () => {
    ;({ store } = await openEmbeddedStore())
  })
  afterAll(() => store.close())

  const insert = async (
    origin: string,
    seq: number,
    flows: SampleFlow[],
    judgements: SampleJudgement[],
  ) => {
    const chunk = judged(sampleChunk({ origin, seq, flows }), judgements)
    await store.insertSlice({ key: `${origin}:${seq}-${seq}`, chunks: [chunk] })
  }
  const ask = (agent: string, timeout = 0, sensor = 'tap1') =>
    agentActivity(store, timeout)(agent, since, sensor)

  test('is nothing before anything was told', async () => {
    expect(await ask('spiffe://a/nobody')).toEqual({ lastSeen: undefined, watchedUntil: 0 })
  })

  test('is the latest end of its flows, and not what others do', async () => {
    const mine = { verdict: 'in_scope', agent: 'spiffe://a/mine' } as const
    await insert(
      'tap1/one',
      0,
      [
        { name: 'early', ts: later(-60) },
        { name: 'mine', ts: later(20) },
        { name: 'other', ts: later(50) },
        { name: 'knock', ts: later(40), resp_pkts: 0 },
      ],
      [
        { name: 'early', ...mine },
        { name: 'mine', ...mine },
        { name: 'other', verdict: 'in_scope', agent: 'spiffe://a/other' },
        { name: 'knock', ...mine, side: 'resp' },
      ],
    )
    expect(await ask('spiffe://a/mine')).toEqual({
      lastSeen: later(20) + LENGTH,
      watchedUntil: later(50) + LENGTH,
    })
    expect((await ask('spiffe://a/absent')).lastSeen).toBeUndefined()
  })

  test('is known as far as the sensor that saw it has told, without what is still on its way', async () => {
    const nobody: SampleJudgement[] = []
    // Number 1 is not there: it may hold anything.
    await insert('tap1/one', 2, [{ name: 'after', ts: later(90) }], nobody)
    expect((await ask('spiffe://a/x')).watchedUntil).toBe(later(50) + LENGTH)
    await insert('tap1/one', 1, [{ name: 'between', ts: later(70) }], nobody)
    expect((await ask('spiffe://a/x')).watchedUntil).toBe(later(90) + LENGTH)
    // A flow that goes on is told of again only after a while.
    expect((await ask('spiffe://a/x', 60)).watchedUntil).toBe(later(30) + LENGTH)
    expect((await ask('spiffe://a/x', 0, 'tap2')).watchedUntil).toBe(0)
  })

  test('is known over what was stored out of order, at the beginning of what is looked at, too', async () => {
    const nobody: SampleJudgement[] = []
    const told = async (recent: number) => {
      const asked = { agent: 'spiffe://a/x', sensor: 'tap1', since, recent }
      return (await store.query('agent_last_seen', asked))[0]!.told
    }
    await insert('tap1/two', 1, [{ name: 'second', ts: later(200) }], nobody)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const recent = Date.now() * 1000
    await insert('tap1/two', 0, [{ name: 'first', ts: later(180) }], nobody)
    await insert('tap1/two', 2, [{ name: 'third', ts: later(220) }], nobody)
    await insert('tap1/two', 4, [{ name: 'fifth', ts: later(260) }], nobody)
    expect(await told(recent)).toBe(later(220) + LENGTH)
  })
})
