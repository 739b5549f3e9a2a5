// What a process shows over HTTP, asked by real HTTP.

import { afterEach, describe, expect, it } from 'vitest'
import { HealthServer } from '../../src/api/health.ts'
import { ListenError } from '../../src/api/listening.ts'
import { readinessOf } from '../../src/api/readiness.ts'
import type { Observed, Sample } from '../../src/telemetry.ts'
import { HOSTILE, RAW_CONTROL } from '../cli/heard.ts'

const open: HealthServer[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

const part = (samples: Sample[], reason = ''): Observed => ({
  samples: () => samples,
  readiness: () => ({ ready: reason === '', reason }),
})

async function serve(observed: Iterable<Observed>): Promise<HealthServer> {
  const server = await HealthServer.open(
    { host: '127.0.0.1', port: 0 },
    'worker',
    observed,
    () => {},
  )
  open.push(server)
  return server
}

/** Series of the text, `name{labels}` to value; throws where a line is not of the format. */
function parse(text: string): Map<string, number> {
  const series = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || /^# (?:HELP|TYPE) [a-z_]\w* .*$/.test(line)) continue
    const match =
      /^([a-z_]\w*(?:\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (-?[\d.e+-]+|Nan|\+Inf)$/.exec(line)
    if (match === null) throw new Error(`no line of the format: ${line}`)
    if (series.has(match[1]!)) throw new Error(`twice: ${line}`)
    series.set(match[1]!, Number(match[2]))
  }
  return series
}

it('lives, and is ready while all its parts are', async () => {
  const parts = new Set([part([])])
  const { address } = await serve(parts)
  const health = await fetch(`${address}/health`)
  expect([health.status, await health.json()]).toEqual([200, { status: 'alive', name: 'worker' }])
  const ready = await fetch(`${address}/ready`)
  expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reason: '' }])
  parts.add(part([], 'the store is down: start it')).add(part([], 'lag 7'))
  const not = await fetch(`${address}/ready`)
  expect([not.status, await not.json()]).toEqual([
    503,
    { ready: false, reason: 'the store is down: start it; lag 7' },
  ])
  expect(readinessOf(parts)).toEqual({
    ready: false,
    reason: 'the store is down: start it; lag 7',
  })
})

it('shows numbers as Prometheus reads them', async () => {
  const lag = (partition: string, value: number): Sample => ({
    name: 'lag',
    help: 'Messages not yet committed',
    kind: 'gauge',
    labels: { partition },
    value,
  })
  const rows = (value: number): Sample => ({
    name: 'rows_total',
    help: 'Rows inserted',
    kind: 'counter',
    value,
  })
  const { address } = await serve([part([lag('0', 4), lag('1', 5), rows(3)]), part([rows(4)])])
  const answer = await fetch(`${address}/metrics`)
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const text = await answer.text()
  const series = parse(text)
  expect(series.get('bailiwick_lag{partition="0"}')).toBe(4)
  expect(series.get('bailiwick_lag{partition="1"}')).toBe(5)
  expect(series.get('bailiwick_rows_total')).toBe(7)
  expect(series.get('bailiwick_ready{process="worker"}')).toBe(1)
  expect(series.get('process_resident_memory_bytes')).toBeGreaterThan(1e7)
  expect(text).toContain('# TYPE bailiwick_rows_total counter')
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m)
})

describe('what parts hand over wrongly', () => {
  const gauge = (name: string, value: number, labels: Record<string, string> = {}): Sample => ({
    name,
    help: 'a "help"\nwith a line',
    kind: 'gauge',
    labels,
    value,
  })

  it('is dropped and counted, and the rest is shown', async () => {
    const { address } = await serve([
      part([
        gauge('good', 1),
        gauge('bad name', 1),
        gauge('infinite', Number.POSITIVE_INFINITY),
        gauge('label', 1, { 'bad label': 'x' }),
        { name: 'good', help: '', kind: 'counter', value: 1 },
        { name: 'falls', help: '', kind: 'counter', value: -1 },
      ]),
    ])
    const series = parse(await (await fetch(`${address}/metrics`)).text())
    expect(series.get('bailiwick_good')).toBe(1)
    expect(series.get('bailiwick_metrics_dropped_total')).toBe(5)
  })

  it('cannot forge a line', async () => {
    const { address } = await serve([
      part(HOSTILE.map((value, at) => gauge('hostile', at, { value }))),
    ])
    const text = await (await fetch(`${address}/metrics`)).text()
    expect(text.replaceAll('\n', '')).not.toMatch(RAW_CONTROL)
    const ours = [...parse(text).keys()].filter((name) => name.startsWith('bailiwick_hostile'))
    expect(ours).toHaveLength(HOSTILE.length)
  })

  it('has no end of series', async () => {
    const many = Array.from({ length: 5000 }, (_, at) => gauge('many', at, { at: String(at) }))
    const { address } = await serve([part(many)])
    const series = parse(await (await fetch(`${address}/metrics`)).text())
    const ours = [...series.keys()].filter((name) => name.startsWith('bailiwick_many'))
    expect(ours).toHaveLength(2000)
    // The gauge of readiness found no room either.
    expect(series.get('bailiwick_metrics_dropped_total')).toBe(3001)
  })
})

it('answers only what is asked for, and takes nothing', async () => {
  const { address } = await serve([])
  expect((await fetch(`${address}/elsewhere`)).status).toBe(404)
  expect((await fetch(`${address}/health`, { method: 'POST', body: 'x' })).status).toBe(404)
  expect((await fetch(`${address}/health`, { method: 'HEAD' })).status).toBe(200)
  const large = await fetch(`${address}/health`, { method: 'DELETE', body: 'x'.repeat(1e6) }).catch(
    () => undefined,
  )
  expect([404, 413, undefined]).toContain(large?.status)
})

it('says when somebody else listens there', async () => {
  const { address } = await serve([])
  const port = Number(new URL(address).port)
  const second = HealthServer.open({ host: '127.0.0.1', port }, 'worker', [], () => {})
  await expect(second).rejects.toThrow(ListenError)
  await expect(second).rejects.toThrow(
    `cannot listen at 127.0.0.1:${port}: it is taken by another process: give another port`,
  )
})
