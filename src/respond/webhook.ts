// A webhook: one POST, signed as Standard Webhooks says (https://www.standardwebhooks.com). Redirects are not followed,
// of the answer nothing but its status is looked at, and where it goes is guarded (`target-guard.ts`).

import { Webhook } from 'standardwebhooks'
import { errors, request } from 'undici'
import { contentUuid, formatUuid } from '../hash.ts'
import { printable } from '../wire-text.ts'
import type { Notifier, Outcome, Outgoing } from './notifier.ts'
import { retryAfter } from './retry.ts'
import type { RevocationRequest } from './revoke-desk.ts'
import { type TargetGuard, TargetRefused } from './target-guard.ts'

/** Of an answer so much is read, so that the connection can be used again; the rest is cut off. */
const ANSWER_BYTES = 4096
const ANSWER_MILLIS = 500

/** The headers that say who sends, and when. @param secrets the one in use first */
export function signedHeaders(
  { id, body }: Outgoing,
  secrets: readonly string[],
  now: number,
): Record<string, string> {
  const at = new Date(now)
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now / 1000)),
    'webhook-signature': secrets.map((one) => new Webhook(one).sign(id, at, body)).join(' '),
  }
}

/** A URL as it is shown: its path and query may be secrets of the receiver. */
export function shownTarget(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined) return '(no URL)'
  const hidden = parsed.pathname === '/' && parsed.search === '' ? '' : '…'
  return printable(`${parsed.protocol}//${parsed.host}/${hidden}`)
}

/** A request that is signed, and nothing of whose answer but the status is looked at. */
export interface SignedRequest {
  url: string
  method: RevocationRequest['method']
  /** Beside those that say who sends; names in lower case. */
  headers: Readonly<Record<string, string>>
  message: Outgoing
}

export interface Sending {
  guard: TargetGuard
  /** Those that hold now, the one in use first. */
  secrets: () => readonly string[]
  /** Of the program, for the User-Agent. */
  version: string
  now: () => number
}

/** Sends once. Never throws for what the world does. */
export async function sendSigned(
  { url, method, headers, message }: SignedRequest,
  { guard, secrets, version, now }: Sending,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    const answer = await request(guard.check(url), {
      dispatcher: guard.agent,
      method,
      signal,
      headers: {
        ...headers,
        'content-type': 'application/json',
        'user-agent': `bailiwick/${version}`,
        ...signedHeaders(message, secrets(), now()),
      },
      body: message.body,
    })
    // Read for the sake of the connection alone: it can be used again when its answer is over.
    const late = setTimeout(() => answer.body.destroy(), ANSWER_MILLIS)
    await answer.body.dump({ limit: ANSWER_BYTES }).catch(() => {})
    clearTimeout(late)
    return outcomeOf(answer.statusCode, header(answer.headers['retry-after']), now())
  } catch (error) {
    const why = failureWords(error)
    const failed = { kind: 'failed', why, broken: true, throttled: false } as const
    return refusalIn(error) ? { ...failed, refused: true } : failed
  }
}

export interface WebhookTarget {
  url: string
  /** Those that hold now, the one in use first. */
  secrets: () => readonly string[]
  /** Of the program, for the User-Agent. */
  version: string
}

export class WebhookNotifier implements Notifier {
  readonly target: string
  readonly key: string
  readonly #url: string
  readonly #sending: Sending

  constructor({ url, secrets, version }: WebhookTarget, guard: TargetGuard, now = Date.now) {
    this.target = shownTarget(url)
    this.key = formatUuid(contentUuid([url]))
    this.#url = url
    this.#sending = { guard, secrets, version, now }
  }

  send(message: Outgoing, signal: AbortSignal): Promise<Outcome> {
    return sendSigned(
      { url: this.#url, method: 'POST', headers: {}, message },
      this.#sending,
      signal,
    )
  }

  async close(): Promise<void> {
    await this.#sending.guard.agent.close()
  }
}

const header = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value)

/** What a status means to Standard Webhooks. */
export function outcomeOf(status: number, asked: string | undefined, now: number): Outcome {
  if (status >= 200 && status < 300) return { kind: 'delivered', status }
  if (status === 410) return { kind: 'gone', why: 'the receiver answered 410: it is gone' }
  const wait = retryAfter(asked, now)
  const redirect = status >= 300 && status < 400
  return {
    kind: 'failed',
    why: `the receiver answered ${status}${redirect ? ', a redirect, which is not followed: give the URL it leads to' : ''}`,
    status,
    broken: status >= 500 || status === 429,
    throttled: [429, 502, 504].includes(status),
    ...(wait === undefined ? {} : { retryAfter: wait }),
  }
}

const KNOWN: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the receiver refuses connections',
  ECONNRESET: 'the receiver broke the connection off',
  EPIPE: 'the receiver broke the connection off',
  ENOTFOUND: 'the name of the receiver is not known',
  EAI_AGAIN: 'the name of the receiver cannot be looked up now',
  EHOSTUNREACH: 'the receiver cannot be reached',
  ENETUNREACH: 'the receiver cannot be reached',
  ETIMEDOUT: 'the receiver cannot be reached: no answer',
  UND_ERR_CONNECT_TIMEOUT: 'the receiver cannot be reached: no answer',
  UND_ERR_SOCKET: 'the receiver broke the connection off',
  UND_ERR_HEADERS_OVERFLOW: 'the receiver answered with too large headers',
}

function refusalIn(error: unknown): boolean {
  return error instanceof AggregateError
    ? refusalIn(error.errors[0])
    : error instanceof TargetRefused
}

/** Why a request came to nothing, in words that repeat no more than a code. */
function failureWords(error: unknown): string {
  if (error instanceof TargetRefused) return error.message
  if (error instanceof AggregateError && error.errors.length > 0)
    return failureWords(error.errors[0])
  if (error instanceof Error && error.name === 'AbortError') return 'no answer in time'
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const known = KNOWN[code]
  if (known !== undefined) return known
  if (error instanceof errors.HTTPParserError) return 'the receiver does not speak HTTP'
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_OSSL)/.test(code))
    return `the certificate or the TLS of the receiver is not accepted (${code})`
  return `the request failed${/^[A-Z0-9_]{1,60}$/.test(code) ? ` (${code})` : ''}`
}
