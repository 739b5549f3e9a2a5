// Alerts: those that this process raised, newest first, then those that the store has besides; and one of them with
// all that speaks for it.

import { z } from 'zod'
import type { AlertRow } from '../store/queries.ts'
import { AlertShaper, AlertShown, EvidenceShown, evidenceOf } from './alert-shape.ts'
import { CursorText, cursorOf, keysOf, Micros } from './cursor.ts'
import { FlowShown, flowsOf } from './flow-shape.ts'
import { PROBLEMS, Refusal } from './house-rules.ts'
import type { ApiParts, DeskAlert } from './parts.ts'
import {
  AnyHeaders,
  Moment,
  NIL,
  NoQuery,
  type Routes,
  TIME_MAX,
  Uuid,
  Word,
  whole,
} from './shapes.ts'
import type { StoreLane } from './store-lane.ts'

const HOUR = 3_600_000_000
const PAGE_MAX = 500
/** Flows that are shown of one alert. */
const ALERT_FLOWS_MAX = 50
/** Alerts of the desk that are looked at for one page, and pages of the store: what is left is the next page's. */
const DESK_STEP = 1000
const STORE_STEPS = 10

const Filters = z.strictObject({
  limit: whole(1, PAGE_MAX).default(50),
  cursor: CursorText.optional(),
  agent: Word.optional(),
  destination: Word.optional(),
  kind: Word.optional(),
  min_score: whole(0, 100).default(0),
  from: Moment.default(0),
  to: Moment.default(TIME_MAX),
})
type Filters = z.infer<typeof Filters>

const Cursor = z.union([
  z.tuple([z.literal('raised'), Uuid]),
  z.tuple([z.literal('stored'), Micros, Uuid]),
])

interface Page {
  alerts: AlertShown[]
  next: string | null
}

type Parts = Pick<ApiParts, 'responder' | 'revocations' | 'agents'> & { lane: StoreLane }

export function addAlertRoutes(server: Routes, parts: Parts): void {
  const beside = { agents: parts.agents, revocations: parts.revocations }
  server.get(
    '/api/v1/alerts',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Alerts, newest first',
        tags: ['alerts'],
        querystring: Filters,
        headers: AnyHeaders,
        response: {
          200: z.object({ alerts: z.array(AlertShown), next: z.string().nullable() }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => pageOf(query, parts, new AlertShaper(beside)),
  )
  server.get(
    '/api/v1/alerts/:id',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'One alert, with its evidence, its flows and its deliveries',
        tags: ['alerts'],
        params: z.strictObject({ id: Uuid }),
        querystring: NoQuery,
        headers: AnyHeaders,
        response: {
          200: z.object({
            alert: AlertShown,
            evidence: EvidenceShown.nullable(),
            /** The worst ones; those that are stored by now. */
            flows: z.array(FlowShown),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ params: { id } }) => {
      const shaper = new AlertShaper(beside)
      const raised = parts.responder?.alert(id)
      const [row] = await storedAlerts(parts.lane, { limit: 1, id })
      if (raised === undefined && row === undefined)
        throw new Refusal(404, 'there is no such alert')
      const alert = raised === undefined ? shaper.ofStore(row!) : shaper.ofDesk(raised)
      const found =
        row === undefined
          ? []
          : await parts.lane.query('api_findings', {
              id,
              from: row.first,
              to: row.last,
              limit: ALERT_FLOWS_MAX,
            })
      const places = found.map(({ began, ...place }) => ({ ...place, ts_micros: began }))
      return {
        alert,
        evidence: raised === undefined ? null : evidenceOf(raised),
        flows: await flowsOf(parts.lane, places),
      }
    },
  )
}

/** Goes through what was raised, then through what is stored, until the page is full. */
async function pageOf(query: Filters, parts: Parts, shaper: AlertShaper): Promise<Page> {
  const at = query.cursor === undefined ? undefined : keysOf(query.cursor, Cursor)
  const alerts: AlertShown[] = []
  if (at?.[0] !== 'stored' && parts.responder !== undefined) {
    let before = at?.[1]
    for (;;) {
      const some = parts.responder.alerts({
        limit: DESK_STEP,
        ...(before === undefined ? {} : { before }),
      })
      for (const alert of some) {
        if (alerts.length >= query.limit) return { alerts, next: cursorOf(['raised', before!]) }
        before = alert.id
        if (fits(alert, query)) alerts.push(shaper.ofDesk(alert))
      }
      if (some.length < DESK_STEP) break
    }
  }
  const last = at?.[0] === 'stored' ? { before: at[1], before_id: at[2] } : undefined
  return fromStore(query, parts, shaper, alerts, last)
}

async function fromStore(
  query: Filters,
  { lane, responder }: Parts,
  shaper: AlertShaper,
  alerts: AlertShown[],
  last: { before: number; before_id: string } | undefined,
): Promise<Page> {
  let key = last
  for (let step = 0; step < STORE_STEPS; step++) {
    const rows = await storedAlerts(lane, { ...query, ...key, limit: query.limit })
    for (const row of rows) {
      if (alerts.length >= query.limit) return { alerts, next: nextStored(key) }
      key = { before: row.last, before_id: row.alert_id }
      // What was raised here was shown already.
      if (responder?.alert(row.alert_id) === undefined) alerts.push(shaper.ofStore(row))
    }
    if (rows.length < query.limit) return { alerts, next: null }
    if (alerts.length >= query.limit) break
  }
  return { alerts, next: nextStored(key) }
}

function nextStored(key: { before: number; before_id: string } | undefined): string {
  const { before, before_id } = key ?? FROM_THE_TOP
  return cursorOf(['stored', before, before_id])
}

const FROM_THE_TOP = { before: Number.MAX_SAFE_INTEGER, before_id: NIL }

type Wanted = { limit: number; id?: string; before?: number; before_id?: string } & Partial<
  Pick<Filters, 'agent' | 'destination' | 'kind' | 'min_score' | 'from' | 'to'>
>

async function storedAlerts(lane: StoreLane, wanted: Wanted): Promise<AlertRow[]> {
  const { before, before_id } = { ...FROM_THE_TOP, ...wanted }
  const to = Math.min(wanted.to ?? TIME_MAX, before)
  return lane.query('api_alerts', {
    limit: wanted.limit,
    id: wanted.id ?? '',
    agent: wanted.agent ?? '',
    destination: wanted.destination ?? '',
    kind: wanted.kind ?? '',
    min_score: wanted.min_score ?? 0,
    before,
    before_id,
    // Whole hours, so that no alert is cut in two.
    from: Math.floor((wanted.from ?? 0) / HOUR) * HOUR,
    to: Math.min(TIME_MAX, (Math.floor(to / HOUR) + 1) * HOUR),
  })
}

function fits(alert: DeskAlert, query: Filters): boolean {
  return (
    (query.agent === undefined || alert.agent === query.agent) &&
    (query.destination === undefined || alert.destination === query.destination) &&
    (query.kind === undefined || alert.kind === query.kind) &&
    alert.score >= query.min_score &&
    alert.last >= query.from &&
    alert.first < query.to
  )
}
