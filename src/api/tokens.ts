// Who may ask: tokens `bw_<id>_<secret>`. What is kept is a hash of each; a token itself is seen once, when it is made.
// With 256 bits of chance in it, nobody guesses one, so a fast hash is enough.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import type { Log } from '../telemetry.ts'

/** Each may do what those before it may: look · work on deliveries · decide about revocations · all. */
export const ROLES = ['viewer', 'analyst', 'approver', 'admin'] as const
export type Role = (typeof ROLES)[number]

export interface Principal {
  id: string
  /** For people and for the audit: `first administrator`, `night shift`. */
  name: string
  role: Role
}

/** What a token looks like, its id in the first brackets. */
export const TOKEN = /^bw_([0-9a-f]{8})_[A-Za-z0-9_-]{43}$/
const TOKENS_MAX = 1000
const FILE_BYTES_MAX = 1 << 20
const TokenEntry = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{8}$/),
  name: z.string().regex(/^[^\p{C}]{1,100}$/u),
  role: z.enum(ROLES),
  /** SHA-256 of the whole token, in hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Milliseconds since 1970. */
  created: z.int().min(0),
  expires: z.int().min(0).optional(),
})
const TokenFile = z.strictObject({ v: z.literal(1), tokens: z.array(TokenEntry).max(TOKENS_MAX) })
type TokenEntry = z.infer<typeof TokenEntry>

/** The file cannot be used; the message is for people, with the cure. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError'
}

/** What was asked to be written down cannot be; the message is for people, with the cure. */
export class TokenNameError extends Error {
  override readonly name = 'TokenNameError'
}

/** How long a change of the file may take to hold. */
const LOOK_MILLIS = 1000

/** The tokens of one directory, as the file says them now: who is taken out of it is out within a second. */
export class TokenBook {
  readonly #file: string
  readonly #log: Log
  readonly #now: () => number
  #tokens = new Map<string, TokenEntry>()
  /** What tells one state of the file from another. */
  #seen = ''
  #looked = Number.NEGATIVE_INFINITY

  /**
   * Reads the tokens; where there are none yet, makes the first administrator's and puts it into the file `token`.
   * @throws TokenFileError
   */
  static open(directory: string, log: Log, now: () => number = Date.now): TokenBook {
    const file = path.join(directory, 'tokens.json')
    const made = makeFirst(directory, file, now())
    if (made) log('info', `a token for the first administrator was made: ${directory}/token`)
    const book = new TokenBook(file, log, now)
    // In this order: what changes meanwhile is read at the next look.
    book.#seen = stateOf(file)
    book.#tokens = readTokens(file)
    return book
  }

  private constructor(file: string, log: Log, now: () => number) {
    this.#file = file
    this.#log = log
    this.#now = now
  }

  /** Whose token the text is; undefined if nobody's, or no longer. */
  principalOf(token: string): Principal | undefined {
    const id = TOKEN.exec(token)?.[1]
    if (id === undefined) return undefined
    this.#look()
    const entry = this.#tokens.get(id)
    if (entry === undefined) return undefined
    if (!timingSafeEqual(hashOf(token), Buffer.from(entry.sha256, 'hex'))) return undefined
    if (entry.expires !== undefined && entry.expires <= this.#now()) return undefined
    return { id, name: entry.name, role: entry.role }
  }

  #look(): void {
    const now = this.#now()
    if (Math.abs(now - this.#looked) < LOOK_MILLIS) return
    this.#looked = now
    const seen = stateOf(this.#file)
    if (seen === this.#seen) return
    this.#seen = seen
    try {
      this.#tokens = readTokens(this.#file)
      this.#log('info', 'tokens were read again', { tokens: this.#tokens.size })
    } catch (error) {
      // A file that is being mended must not lock everybody out.
      this.#log('error', 'tokens are as they were', { reason: (error as Error).message })
    }
  }
}

/**
 * Adds a token to those of the directory, for a server that runs as for one that will.
 * @returns the token, which is kept nowhere
 * @throws TokenNameError, TokenFileError
 */
export function addToken(
  directory: string,
  { name, role, expires }: { name: string; role: Role; expires?: number },
  now = Date.now(),
): string {
  const file = path.join(directory, 'tokens.json')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const { token, entry } = newToken(name, role, now)
  const checked = TokenEntry.safeParse(expires === undefined ? entry : { ...entry, expires })
  if (!checked.success)
    throw new TokenNameError('a token needs a printable name of up to 100 characters')
  const tokens = [...readTokens(file).values(), checked.data]
  if (tokens.length > TOKENS_MAX)
    throw new TokenFileError(`${file} holds ${TOKENS_MAX} tokens, which is the most: take some out`)
  writeTokens(file, tokens)
  return token
}

/** Takes a token away. @returns false if there was none. @throws TokenFileError */
export function removeToken(directory: string, id: string): boolean {
  const file = path.join(directory, 'tokens.json')
  const tokens = readTokens(file)
  if (!tokens.delete(id)) return false
  writeTokens(file, [...tokens.values()])
  return true
}

/** The tokens of a directory, without what they hash to. @throws TokenFileError */
export function listTokens(directory: string): Omit<TokenEntry, 'sha256'>[] {
  const tokens = readTokens(path.join(directory, 'tokens.json'))
  return [...tokens.values()].map(({ sha256: _, ...shown }) => shown)
}

function makeFirst(directory: string, file: string, now: number): boolean {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  if (stateOf(file) !== '') return false
  const { token, entry } = newToken('first administrator', 'admin', now)
  // The token first: hashes without it would be a lock without a key.
  writeWhole(path.join(directory, 'token'), `${token}\n`)
  writeTokens(file, [entry])
  return true
}

function newToken(name: string, role: Role, created: number): { token: string; entry: TokenEntry } {
  const id = randomBytes(4).toString('hex')
  const token = `bw_${id}_${randomBytes(32).toString('base64url')}`
  return { token, entry: { id, name, role, sha256: hashOf(token).toString('hex'), created } }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** '' if there is no file. */
function stateOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`
}

/** None where there is no file: then nobody may ask. */
function readTokens(file: string): Map<string, TokenEntry> {
  if (stateOf(file) === '') return new Map()
  const wrong = (what: string) =>
    new TokenFileError(`${file} ${what}: mend it, or take it away to have a first token made anew`)
  let raw: unknown
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > FILE_BYTES_MAX) throw wrong('is too large')
    raw = JSON.parse(text)
  } catch (error) {
    if (error instanceof TokenFileError) throw error
    throw wrong(error instanceof SyntaxError ? 'is not JSON' : 'cannot be read')
  }
  const read = TokenFile.safeParse(raw)
  if (!read.success) throw wrong(`holds no tokens at ${read.error.issues[0]?.path.join('.') ?? ''}`)
  return new Map(read.data.tokens.map((entry) => [entry.id, entry]))
}

function writeTokens(file: string, tokens: readonly TokenEntry[]): void {
  writeWhole(file, `${JSON.stringify({ v: 1, tokens }, null, 2)}\n`)
}

/** For its owner alone, and never half of it. */
function writeWhole(file: string, text: string): void {
  const fresh = `${file}.${process.pid}.new`
  try {
    writeFileSync(fresh, text, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(fresh, file)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw new TokenFileError(`cannot write ${file}: ${(error as Error).message}`)
  }
}
