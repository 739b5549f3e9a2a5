// The text of an intent: JSON, one line, small enough to travel as the metadata of a Kafka offset.
//
//   {"v":1,"try":1,"slices":[["120","135",49152,"token"]]}
//
// Offsets are text because they have 64 bits.

import { INTENT_BYTES_MAX, type IntendedSlice, type Intent } from './bus.ts'

/** @throws RangeError if the intent is malformed or too long: the caller cut its slices wrongly. */
export function formatIntent(intent: Intent): string {
  const wrong = faultOf(intent)
  if (wrong !== undefined) throw new RangeError(`intent: ${wrong}`)
  const text = JSON.stringify({
    v: 1,
    try: intent.attempt,
    slices: intent.slices.map(({ first, last, rows, token }) => [
      String(first),
      String(last),
      rows,
      token,
    ]),
  })
  const bytes = Buffer.byteLength(text)
  if (bytes > INTENT_BYTES_MAX)
    throw new RangeError(`intent: ${bytes} bytes, more than ${INTENT_BYTES_MAX}`)
  return text
}

/** The intent, or undefined if the text is none (of ours). Never throws. */
export function parseIntent(text: string): Intent | undefined {
  if (Buffer.byteLength(text) > INTENT_BYTES_MAX) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { v, try: attempt, slices } = value as Record<string, unknown>
  if (v !== 1 || typeof attempt !== 'number' || !Array.isArray(slices)) return undefined
  const read = slices.map(readSlice)
  if (read.includes(undefined)) return undefined
  const intent: Intent = { attempt, slices: read as IntendedSlice[] }
  return faultOf(intent) === undefined ? intent : undefined
}

function readSlice(value: unknown): IntendedSlice | undefined {
  if (!Array.isArray(value) || value.length !== 4) return undefined
  const [first, last, rows, token] = value as unknown[]
  if (typeof rows !== 'number' || typeof token !== 'string') return undefined
  if (!isOffsetText(first) || !isOffsetText(last)) return undefined
  return { first: BigInt(first), last: BigInt(last), rows, token }
}

/** Up to 19 digits: what fits 63 bits, nearly. */
function isOffsetText(value: unknown): value is string {
  return typeof value === 'string' && /^(0|[1-9]\d{0,18})$/.test(value)
}

function faultOf({ attempt, slices }: Intent): string | undefined {
  if (!Number.isSafeInteger(attempt) || attempt < 1) return `attempt ${attempt} is not a count`
  if (slices.length === 0) return 'no slices'
  let before = -1n
  for (const { first, last, rows } of slices) {
    if (first <= before || last < first) return `slice ${first}-${last} is out of order`
    if (!Number.isSafeInteger(rows) || rows < 0) return `${rows} rows`
    before = last
  }
  return undefined
}
