import { describe, expect, test } from 'vitest'
import { FLOW_COUNTERS } from '../../src/flow.ts'
import { RunningTotals } from '../../src/logs/zeek-running.ts'
import { readLog } from './read-log.ts'
import { CONN_ROW, zeekJson, zeekTsv } from './zeek-writer.ts'

const totals = (n: number) => new Float64Array(FLOW_COUNTERS.length).fill(n)

describe('running totals', () => {
  const rows = [
    { ...CONN_ROW, orig_bytes: 100, orig_pkts: 2, duration: '1.000000', conn_state: 'S1' },
    { ...CONN_ROW, orig_bytes: 250, orig_pkts: 5, duration: '2.000000', conn_state: 'S1' },
  ]

  test.each([
    ['#path open_conn', readLog('zeek-tsv', zeekTsv('open_conn', rows))],
    ['#path conn_long', readLog('zeek-tsv', zeekTsv('conn_long', rows))],
    ['the file name alone', readLog('zeek-tsv', zeekTsv('conn', rows), { zeekPath: 'open_conn' })],
    ['JSON', readLog('zeek-json', zeekJson(rows), { zeekPath: 'open_conn' })],
  ])('become deltas, known by %s', (_, { flows }) => {
    expect(
      flows.map((flow) => [flow.rec_no, flow.orig_bytes, flow.orig_pkts, flow.duration]),
    ).toEqual([
      [0, 100, 2, 1],
      [1, 150, 3, 2],
    ])
    expect(flows[0]!.flow_id).toBe(flows[1]!.flow_id)
  })

  test('the row that ends a connection adds what was left, in another file', () => {
    const running = new RunningTotals()
    readLog('zeek-tsv', zeekTsv('open_conn', rows), { running })
    expect(running.size).toBe(1)
    const { flows } = readLog(
      'zeek-tsv',
      zeekTsv('conn', [{ ...CONN_ROW, orig_bytes: 517, orig_pkts: 9 }]),
      { running },
    )
    expect(flows[0]).toMatchObject({ rec_no: 2, orig_bytes: 267, orig_pkts: 4, conn_state: 'SF' })
    expect(running.size).toBe(0)
  })
})

test('an unset total stays unset and counts for nothing; a smaller one is told', () => {
  const running = new RunningTotals()
  const unset = new Float64Array(FLOW_COUNTERS.length).fill(Number.NaN)
  expect(running.deltas('C', unset)).toBe(0)
  const later = totals(7)
  expect(running.deltas('C', later)).toBe(1)
  expect([...later]).toEqual([...totals(7)])
  const less = totals(3)
  expect(running.deltas('C', less)).toBe(2)
  expect([...less]).toEqual([...totals(0)])
  expect(running.wentBack).toBe(FLOW_COUNTERS.length)
})

test('the oldest connection is forgotten when there are too many', () => {
  const running = new RunningTotals(100)
  for (let i = 0; i < 250; i++) expect(running.deltas(`C${i}`, totals(i))).toBe(0)
  expect([running.size, running.evicted]).toEqual([100, 150])
  const kept = totals(300)
  expect(running.deltas('C249', kept)).toBe(1)
  expect(kept[0]).toBe(51)
  expect(running.deltas('C0', totals(5))).toBe(0)
})
