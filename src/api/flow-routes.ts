// Judged flows, newest first, and what the sensors covered.

import { z } from 'zod'
import { isHarmless, isSeen, meaningOf } from '../coverage-words.ts'
import { VERDICTS } from '../flow.ts'
import { isoTime } from '../report.ts'
import { CursorText, cursorOf, keysOf, Micros } from './cursor.ts'
import { FlowShown, flowsOf } from './flow-shape.ts'
import { PROBLEMS } from './house-rules.ts'
import { AnyHeaders, Moment, type Routes, TIME_MAX, Uuid, Word, whole } from './shapes.ts'
import type { StoreLane } from './store-lane.ts'

const PAGE_MAX = 500
const COVERAGE_MAX = 10_000
const DAY_MILLIS = 86_400_000

const Filters = z.strictObject({
  limit: whole(1, PAGE_MAX).default(100),
  cursor: CursorText.optional(),
  agent: Word.optional(),
  /** As judged (a registrable name or an address), or the peer's whole name. */
  destination: Word.optional(),
  verdict: z.enum(VERDICTS).optional(),
  from: Moment.default(0),
  to: Moment.default(TIME_MAX),
})
const Cursor = z.tuple([Micros, Uuid, z.enum(['orig', 'resp', 'none'])])

const CoverageShown = z
  .object({
    sensor: z.string(),
    vantage: z.string(),
    source_kind: z.string(),
    metric: z.string(),
    /** Whether it counts what was not seen, or was odd. */
    loss: z.boolean(),
    /** For people; '' if the name says it all. */
    meaning: z.string(),
    first: z.string(),
    last: z.string(),
    value: z.int(),
  })
  .meta({ id: 'Coverage' })

export function addFlowRoutes(server: Routes, lane: StoreLane): void {
  server.get(
    '/api/v1/flows',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Judged flows, newest first; a page may be short although there is a next one',
        tags: ['flows'],
        querystring: Filters,
        headers: AnyHeaders,
        response: {
          200: z.object({ flows: z.array(FlowShown), next: z.string().nullable() }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query: { cursor, limit, ...wanted } }) => {
      const { agent = '', destination = '', verdict = '', from, to } = wanted
      const at = cursor === undefined ? undefined : keysOf(cursor, Cursor)
      const places = await lane.query('api_flow_page', {
        ...{ limit, agent, destination, verdict, from },
        to: Math.min(to, at?.[0] ?? TIME_MAX),
        before: Math.min(at?.[0] ?? TIME_MAX, TIME_MAX),
        before_flow: at?.[1] ?? LAST_ID,
        before_side: at?.[2] ?? '~',
      })
      // What was judged so once may be judged otherwise by now.
      const flows = (await flowsOf(lane, places)).filter(
        (flow) =>
          (verdict === '' || flow.verdict === verdict) && (agent === '' || flow.agent === agent),
      )
      const last = places.length < limit ? undefined : places.at(-1)
      return {
        flows,
        next: last === undefined ? null : cursorOf([last.ts_micros, last.flow_id, last.side]),
      }
    },
  )
  addCoverageRoute(server, lane)
}

function addCoverageRoute(server: Routes, lane: StoreLane): void {
  server.get(
    '/api/v1/coverage',
    {
      config: { permission: 'read' },
      schema: {
        summary:
          'What sensors saw, dropped and could not parse; the last day unless told otherwise',
        tags: ['coverage'],
        querystring: z.strictObject({
          sensor: Word.optional(),
          from: Moment.optional(),
          to: Moment.default(TIME_MAX),
        }),
        headers: AnyHeaders,
        response: { 200: z.object({ coverage: z.array(CoverageShown) }), ...PROBLEMS },
      },
    },
    async ({ query: { sensor = '', from, to } }) => {
      const rows = await lane.query('api_coverage', {
        sensor,
        from: from ?? (Date.now() - DAY_MILLIS) * 1000,
        to,
        limit: COVERAGE_MAX,
      })
      return {
        coverage: rows.map((row) => ({
          ...row,
          loss: row.value > 0 && !isSeen(row.metric) && !isHarmless(row.metric),
          meaning: meaningOf(row.metric),
          first: isoTime(row.first),
          last: isoTime(row.last),
        })),
      }
    },
  )
}

const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
