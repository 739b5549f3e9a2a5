import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chunkPart } from '../../src/chunk.ts'
import { FlowMerger } from '../../src/cli/flow-merge.ts'
import { decoded, type MadeFlow } from './made-flows.ts'

interface Written {
  id: number
  orig_pkts: number
  resp_pkts: number
  ts: number
  duration: number
  history: string
  action: string
  anomalies: readonly string[]
}

/** Pushes records through a merger, in blocks of `blockRows`, and collects what is written. */
function merge(records: readonly MadeFlow[], blockRows: number, generation?: number): Written[] {
  const merger = new FlowMerger(generation)
  const written: Written[] = []
  for (let at = 0; at < records.length; at += blockRows) {
    const block = chunkPart(decoded(records.slice(at, at + blockRows)), 'flow_records')!
    const c = block.columns
    const write = (row: number) =>
      void written.push({
        id: c.flow_id[row * 16 + 15]!,
        orig_pkts: c.orig_pkts[row]!,
        resp_pkts: c.resp_pkts[row]!,
        ts: c.ts[row]!,
        duration: c.duration[row]!,
        history: c.history.get(row),
        action: c.action.get(row),
        anomalies: c.anomalies.get(row),
      })
    for (let row = 0; row < block.rows; row++) merger.push({ block, write }, row)
  }
  for (const _ of merger.flush());
  return written
}

const log = (id: number, recNo: number, more: Partial<MadeFlow> = {}): MadeFlow => ({
  id,
  recNo,
  kind: 'aws',
  ...more,
})

describe('FlowMerger', () => {
  it('joins the two halves of a conversation that a cloud log tells apart', () => {
    const [flow, ...rest] = merge(
      [
        log(1, 0, {
          ts: 2e6,
          counts: { orig_pkts: 10 },
          words: { action: 'ACCEPT' },
          duration: 60,
        }),
        log(2, 0, { counts: { orig_pkts: 1 } }),
        log(1, 1, { ts: 1e6, counts: { resp_pkts: 7 }, words: { action: 'REJECT' }, duration: 61 }),
      ],
      1,
    )
    expect(flow).toMatchObject({ orig_pkts: 10, resp_pkts: 7, ts: 1e6, duration: 61 })
    expect(flow!.action).toBe('REJECT')
    expect(rest.map(({ id, resp_pkts }) => [id, resp_pkts])).toEqual([[2, Number.NaN]])
  })

  it('sums deltas, and takes the state of the last record, in whatever order they come', () => {
    const records = [
      log(1, 2, { counts: { orig_pkts: 4 }, words: { history: 'ShADadFf' } }),
      log(1, 0, {
        counts: { orig_pkts: 1 },
        words: { history: 'Sh' },
        lists: { anomalies: ['a'] },
      }),
      log(1, 1, { counts: { orig_pkts: 2 }, lists: { anomalies: ['b', 'a'] } }),
    ]
    for (const rows of [1, 2, 3])
      expect(merge(records, rows)).toMatchObject([
        { orig_pkts: 7, history: 'ShADadFf', anomalies: ['a', 'b'] },
      ])
  })

  it('counts a record that was delivered twice once, as the copy that saw more', () => {
    const records = [5, 9, 9, 2].map((orig_pkts) => log(1, 0, { counts: { orig_pkts } }))
    expect(merge(records, 2)).toMatchObject([{ orig_pkts: 9 }])
  })

  it('writes captured flows at once, unless more of them is to come', () => {
    const active = { words: { end_reason: 'active' } }
    const written = merge(
      [
        { id: 1, recNo: 0, ...active, counts: { orig_pkts: 1 } },
        { id: 2, recNo: 0, counts: { orig_pkts: 1 } },
        { id: 1, recNo: 1, counts: { orig_pkts: 1 } },
      ],
      8,
    )
    expect(written.map(({ id, orig_pkts }) => [id, orig_pkts])).toEqual([
      [2, 1],
      [1, 2],
    ])
  })

  it('folds very many records of one flow, losing nothing', () => {
    const records = Array.from({ length: 3000 }, (_, i) => log(1, i, { counts: { orig_pkts: 1 } }))
    expect(merge(records, 500)).toMatchObject([{ orig_pkts: 3000 }])
  })

  it('loses and invents no packet, whatever its bound, and merges all within it', () => {
    const record = fc.record({
      id: fc.integer({ min: 0, max: 30 }),
      packets: fc.integer({ min: 0, max: 9 }),
    })
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 80 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        (input, blockRows, generation) => {
          const seen = new Map<number, number>()
          const records = input.map(({ id, packets }) => {
            const recNo = seen.get(id) ?? 0
            seen.set(id, recNo + 1)
            return log(id, recNo, { counts: { orig_pkts: packets } })
          })
          const written = merge(records, blockRows, generation)
          const total = (list: readonly { id: number; packets: number }[], id: number) =>
            list.filter((one) => one.id === id).reduce((sum, one) => sum + one.packets, 0)
          const got = written.map(({ id, orig_pkts }) => ({ id, packets: orig_pkts }))
          for (const id of seen.keys()) expect(total(got, id)).toBe(total(input, id))
          if (generation > 31) expect(written.map(({ id }) => id)).toEqual([...seen.keys()])
        },
      ),
    )
  })
})
