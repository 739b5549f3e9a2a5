// What can go wrong with the store, told apart by code: each error says what happened and what to do about it.

/**
 * What a failure means for whoever waits with more work.
 * `passing` the same again soon: a network, a server that starts anew · `busy` the same again, but slower and in larger
 * pieces: parts, memory, queries · `operator` the same again once somebody has done something: a full disk, rights, a
 * schema · `data` never: these bytes are refused · `contradiction` never: what is stored says otherwise.
 */
export type StoreErrorKind = 'passing' | 'busy' | 'operator' | 'data' | 'contradiction'

/** Base of all errors of the store. `message` is one line for a person, with the cure. */
export class StoreError extends Error {
  /** ClickHouse's error code, where one was given. */
  readonly code: number | undefined
  constructor(message: string, options: { cause?: unknown; code?: number | undefined } = {}) {
    super(message, { cause: options.cause })
    this.name = new.target.name
    this.code = options.code
  }

  get kind(): StoreErrorKind {
    const { code } = this
    if (code === undefined) return 'operator'
    if (BUSY_CODES.has(code)) return 'busy'
    if (RETRIABLE_CODES.has(code)) return 'passing'
    return DATA_CODES.has(code) ? 'data' : 'operator'
  }

  /** True if the same statement may succeed later without anybody doing anything. */
  get retriable(): boolean {
    return this.kind === 'passing' || this.kind === 'busy'
  }
}

/** The directory is held by another process. */
export class StoreLockedError extends StoreError {}

/** The server cannot be reached, or what answers is no ClickHouse. */
export class StoreUnreachableError extends StoreError {
  override get kind(): StoreErrorKind {
    return 'passing'
  }
}

/** The server took a statement and said nothing for as long as is waited for; it may have done it. */
export class StoreSilentError extends StoreError {
  override get kind(): StoreErrorKind {
    return 'busy'
  }
}

/** The server refused the user, the password or the database. */
export class StoreAccessError extends StoreError {}

/** The store was written by another version, or the directory is no store. */
export class StoreSchemaError extends StoreError {}

/** Stored rows contradict what was announced: something else wrote, or a promise of the engine was broken. */
export class StoreInconsistentError extends StoreError {
  override get kind(): StoreErrorKind {
    return 'contradiction'
  }
}

/** The store cannot be named like this: wrong usage. */
export class StoreTargetError extends StoreError {}

/**
 * Codes of ClickHouse after which the same insert may be tried again: network, timeouts, memory, too many parts,
 * read-only replica, Keeper. The list of clickhouse-kafka-connect.
 */
export const RETRIABLE_CODES: ReadonlySet<number> = new Set([
  3, 107, 159, 164, 202, 203, 209, 210, 241, 242, 252, 285, 319, 425, 999,
])

/**
 * Those of a server that is there and cannot keep up: TIMEOUT_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, SOCKET_TIMEOUT,
 * MEMORY_LIMIT_EXCEEDED, TOO_MANY_PARTS, SERVER_OVERLOADED.
 */
const BUSY_CODES: ReadonlySet<number> = new Set([159, 202, 209, 241, 252, 745])

/**
 * Codes that speak of the rows themselves: text, numbers, arrays or blocks that cannot be read, types that do not fit,
 * values that are out of bounds. The same bytes are refused again for ever.
 */
const DATA_CODES: ReadonlySet<number> = new Set([
  6, 7, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 128, 130, 131, 321, 349, 467,
])

const MEMORY_LIMIT_EXCEEDED = 241
const NOT_ENOUGH_SPACE = 243
const UNKNOWN_DATABASE = 81
/** REQUIRED_PASSWORD, WRONG_PASSWORD, UNKNOWN_USER, ACCESS_DENIED, AUTHENTICATION_FAILED. */
const ACCESS_CODES: ReadonlySet<number> = new Set([192, 193, 194, 497, 516])

/** Codes of the operating system that mean: nobody there. */
const NETWORK_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
])

/** What Node says where the server's certificate is not to be trusted, and where no TLS is spoken at all. */
const TRUST_CODES =
  /^(?:ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED_CERT_IN_CHAIN$|DEPTH_ZERO_SELF_SIGNED_CERT$)/
const NO_TLS_CODE = 'EPROTO'

/** All that the client says when nothing was heard for its request_timeout; it has no code. */
const CLIENT_TIMEOUT = 'Timeout error.'

/** The `code` of an error: ClickHouse's number, the system's word, or undefined. */
export function errorCode(error: unknown): number | string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  const { code } = error
  if (typeof code === 'number') return code
  if (typeof code !== 'string') return undefined
  return /^\d+$/.test(code) ? Number(code) : code
}

/**
 * Any failure as a StoreError.
 * @param address the store as it may be shown: without a password
 * @param doing what was tried, for the message
 */
export function storeError(error: unknown, address: string, doing: string): StoreError {
  if (error instanceof StoreError) return error
  const code = errorCode(error)
  const words = wordsOf(error)
  const options = { cause: error, code: typeof code === 'number' ? code : undefined }
  if (typeof code === 'string' && NETWORK_CODES.has(code))
    return new StoreUnreachableError(
      `the store at ${address} cannot be reached (${code}): start the ClickHouse server or correct the URL`,
      options,
    )
  if (typeof code === 'string' && TRUST_CODES.test(code))
    return new StoreAccessError(
      `the certificate of the store at ${address} is not to be trusted (${code}): name the file of the authority that signed it in store.ca_file`,
      options,
    )
  if (code === NO_TLS_CODE)
    return new StoreAccessError(
      `the store at ${address} speaks no TLS there: write http:// in its URL, or give its other port`,
      options,
    )
  if (typeof code !== 'number' && words === CLIENT_TIMEOUT)
    return new StoreSilentError(
      `the store at ${address} does not answer any more: see what the ClickHouse server does, start it anew and run again`,
      options,
    )
  if (code === NOT_ENOUGH_SPACE || code === 'ENOSPC')
    return new StoreError(`the disk of the store at ${address} is full: free some space`, options)
  if (typeof code !== 'number') return new StoreError(`${doing}: ${words}`, options)
  if (ACCESS_CODES.has(code))
    return new StoreAccessError(
      `the store at ${address} refused the user or the password (code ${code}): correct them in the URL`,
      options,
    )
  if (code === UNKNOWN_DATABASE)
    return new StoreAccessError(
      `the store at ${address} has no such database: create it or name another in the URL`,
      options,
    )
  if (code === MEMORY_LIMIT_EXCEEDED)
    return new StoreError(
      `the engine of the store at ${address} ran out of its memory limit while ${doing}: ${words}`,
      options,
    )
  return new StoreError(`${doing} failed at ${address} (code ${code}): ${words}`, options)
}

/** What an error says, in one line. An answer that is an error and has no body is one without words. */
function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const line = (/\S.*/.exec(text)?.[0] ?? '').slice(0, 500)
  if (line !== '') return line
  if (error instanceof AggregateError && error.errors.length > 0) return wordsOf(error.errors[0])
  if (error instanceof Error && error.cause !== undefined) return wordsOf(error.cause)
  const code = errorCode(error)
  const told = code === undefined ? '' : ` (${code})`
  return `it was refused without a word${told}: see the log of the ClickHouse server, and of a proxy before it`
}
