// Alerts as they are listed and shown: those that this process raised, newest first, then those that the store has
// besides; and one of them with all that speaks for it.

import { z } from 'zod'
import type { AlertView } from '../respond/alert-view.ts'
import type { AlertRow } from '../store/queries.ts'
import type { Store } from '../store/store.ts'
import { AlertShaper, AlertShown, EvidenceShown, evidenceOf } from './alert-shape.ts'
import { CursorText, cursorOf, keysOf, Micros } from './cursor.ts'
import { FlowShown, flowsOf } from './flow-shape.ts'
import { Refusal } from './house-rules.ts'
import type { ApiParts } from './parts.ts'
import { Moment, NIL, TIME_MAX, Uuid, Word, whole } from './shapes.ts'

const HOUR = 3_600_000_000
export const PAGE_MAX = 500
/** Flows that are shown of one alert. */
const ALERT_FLOWS_MAX = 50
/** Alerts of the desk that are looked at for one page, and pages of the store: what is left is the next page's. */
const DESK_STEP = 1000
const STORE_STEPS = 10

export const AlertFilters = z.strictObject({
  limit: whole(1, PAGE_MAX).default(50),
  cursor: CursorText.optional(),
  agent: Word.optional(),
  destination: Word.optional(),
  kind: Word.optional(),
  min_score: whole(0, 100).default(0),
  from: Moment.default(0),
  to: Moment.default(TIME_MAX),
})
export type AlertFilters = z.infer<typeof AlertFilters>

const Cursor = z.union([
  z.tuple([z.literal('raised'), Uuid]),
  z.tuple([z.literal('stored'), Micros, Uuid]),
])

export const AlertPage = z.object({ alerts: z.array(AlertShown), next: z.string().nullable() })
export type AlertPage = z.infer<typeof AlertPage>

export const AlertDetail = z.object({
  alert: AlertShown,
  evidence: EvidenceShown.nullable(),
  /** The worst ones; those that are stored by now. */
  flows: z.array(FlowShown),
})
export type AlertDetail = z.infer<typeof AlertDetail>

export type AlertParts = Pick<ApiParts, 'raised' | 'revocations' | 'agents'> & {
  lane: Pick<Store, 'query'>
}

/** @throws Refusal if there is none of this id */
export async function alertDetail(id: string, parts: AlertParts): Promise<AlertDetail> {
  const shaper = new AlertShaper(parts)
  const raised = parts.raised?.alert(id)
  const [row] = await storedAlerts(parts.lane, { limit: 1, id })
  if (raised === undefined && row === undefined) throw new Refusal(404, 'there is no such alert')
  const alert = raised === undefined ? shaper.ofStore(row!) : shaper.ofDesk(raised)
  const span = row === undefined ? undefined : { from: row.first, to: row.last }
  const found =
    span === undefined
      ? []
      : await parts.lane.query('api_findings', { id, ...span, limit: ALERT_FLOWS_MAX })
  const places = found.map(({ began, ...place }) => ({ ...place, ts_micros: began }))
  return {
    alert,
    evidence: raised === undefined ? null : evidenceOf(raised),
    flows: await flowsOf(parts.lane, places),
  }
}

/** Goes through what was raised, then through what is stored, until the page is full. */
export async function alertPage(query: AlertFilters, parts: AlertParts): Promise<AlertPage> {
  const shaper = new AlertShaper(parts)
  const at = query.cursor === undefined ? undefined : keysOf(query.cursor, Cursor)
  const alerts: AlertShown[] = []
  if (at?.[0] !== 'stored' && parts.raised !== undefined) {
    let before = at?.[1]
    for (;;) {
      const some = parts.raised.alerts({
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
  query: AlertFilters,
  { lane, raised }: AlertParts,
  shaper: AlertShaper,
  alerts: AlertShown[],
  last: { before: number; before_id: string } | undefined,
): Promise<AlertPage> {
  let key = last
  for (let step = 0; step < STORE_STEPS; step++) {
    const rows = await storedAlerts(lane, { ...query, ...key, limit: query.limit })
    for (const row of rows) {
      if (alerts.length >= query.limit) return { alerts, next: nextStored(key) }
      key = { before: row.last, before_id: row.alert_id }
      // What was raised here was shown already.
      if (raised?.alert(row.alert_id) === undefined) alerts.push(shaper.ofStore(row))
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
  Pick<AlertFilters, 'agent' | 'destination' | 'kind' | 'min_score' | 'from' | 'to'>
>

async function storedAlerts(lane: AlertParts['lane'], wanted: Wanted): Promise<AlertRow[]> {
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

function fits(alert: AlertView, query: AlertFilters): boolean {
  return (
    (query.agent === undefined || alert.agent === query.agent) &&
    (query.destination === undefined || alert.destination === query.destination) &&
    (query.kind === undefined || alert.kind === query.kind) &&
    alert.score >= query.min_score &&
    alert.last >= query.from &&
    alert.first < query.to
  )
}
