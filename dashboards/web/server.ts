// What the page asks of its server, and what it is told. The token stands in every question and in no address.

export interface Delivery {
  endpoint: string
  state: string
  attempts: number
  next_at: string | null
  last_error: string | null
}

export interface Alert {
  id: string
  kind: string
  rule: string
  agent: string
  owner: string
  subject: string
  destination: string
  service: string
  first: string
  last: string
  flows: number
  score: number
  grade: string
  sentence: string
  raised_at: string | null
  deliveries: Delivery[]
  revocations: { id: string; state: string }[]
}

export interface Evidence {
  flow_id: string
  sensor: string
  began: string
  decided_at: string
  peer: string
  peer_name: string
  handshake: string
  direction: string
  direction_sure: boolean
  method: string
}

export interface Flow {
  flow_id: string
  verdict: string
  grade: string
  method: string
  evidence: string[]
  scope_version: string
  reasons: { code: string; weight: number; evidence: string }[]
  began: string
  ended: string
  open: boolean
  sensor: string
  orig_h: string
  orig_p: number
  resp_h: string
  resp_p: number
  protocol: string
  service: string
  conn_state: string
  handshake: string
  server_name: string
  name_source: string
  name_proof: string
  orig_bytes: number | null
  resp_bytes: number | null
}

export interface AlertDetail {
  alert: Alert
  evidence: Evidence | null
  flows: Flow[]
}

export interface Revocation {
  id: string
  agent: string
  alert_id: string
  state: string
  mode: string
  sentence: string
  asked_at: string
  deadline: string | null
  decided_by: string | null
  detail: string | null
}

/** How the process gets on; asked without a token. */
export interface Ready {
  ready: boolean
  reason: string
  warning?: string
}

export interface Agents {
  loaded_at: string
  problem: string | null
  agents: {
    id: string
    owner: string
    purpose: string
    state: string
    scope_version: string
    scope_expires: string | null
    judgements: number
    out_of_scope: number
    findings: number
    last_seen: string | null
  }[]
}

export interface Coverage {
  sensor: string
  vantage: string
  source_kind: string
  metric: string
  loss: boolean
  meaning: string
  last: string
  value: number
}

export interface Webhook {
  name: string
  target: string
  state: string
  queued: number
  dead: number
  delivered: number
  last_delivered_at: string | null
  last_error: string | null
}

export interface DeadDelivery {
  id: string
  endpoint: string
  alerts: string[]
  attempts: number
  last_error: string
  died_at: string
}

/** Revocations, and whether this process decides about them at all. */
export interface Revocations {
  killed: boolean
  here: boolean
  revocations: Revocation[]
}

/** What was seen and lost is counted over so long. */
export const COVERAGE_MINUTES = 60

/** The server said no; `status` 0 if it said nothing. */
export class ServerError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const KEY = 'bailiwick.token'
const SHAPE = /^bw_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/

/** The token of this tab: from the link that was followed (and out of the address at once), or as it was kept. */
export function tokenOfTab(): string | undefined {
  const fragment = location.hash.slice(1).replace(/^token=/, '')
  if (fragment.startsWith('bw_')) {
    history.replaceState(null, '', location.pathname)
    if (SHAPE.test(fragment)) sessionStorage.setItem(KEY, fragment)
  }
  return sessionStorage.getItem(KEY) ?? undefined
}

/** @returns whether it has the shape of a token */
export function keepToken(token: string): boolean {
  if (!SHAPE.test(token)) return false
  sessionStorage.setItem(KEY, token)
  return true
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY)
}

export function bearer(): string {
  return `Bearer ${sessionStorage.getItem(KEY) ?? ''}`
}

const ANSWER_MILLIS = 30_000

/** Whether the process gets on. Its 503 is an answer. @throws ServerError */
export async function askReady(): Promise<Ready> {
  try {
    const answer = await fetch('/ready', {
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MILLIS),
    })
    return (await answer.json()) as Ready
  } catch {
    throw new ServerError(0, 'the server does not answer')
  }
}

/** Asks, or tells if there is a body. @throws ServerError */
export async function ask<T>(path: string, body?: Record<string, unknown>): Promise<T> {
  let answer: Response
  try {
    answer = await fetch(`/api/v1/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: bearer(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_MILLIS),
    })
  } catch {
    throw new ServerError(0, 'the server does not answer')
  }
  if (answer.ok) return (await answer.json()) as T
  const said = (await answer.json().catch(() => ({}))) as { error?: string }
  throw new ServerError(answer.status, said.error ?? `the server answers ${answer.status}`)
}
