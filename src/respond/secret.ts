// A secret that requests are signed with: in a file of its own, which may be changed while the process runs, or a text of
// the environment. Its text stands in no message.

import { readFileSync, statSync } from 'node:fs'
import { printable } from '../wire-text.ts'

/** Where a secret is. A text is a function, so that nothing that prints settings prints it. */
export type SecretSource = { text: () => string } | { file: string }

/** A secret that cannot be used: the message says where it should be and the cure, and nothing of what is there. */
export class SecretError extends Error {
  override readonly name = 'SecretError'
}

/** Longer files hold something else. */
const FILE_BYTES_MAX = 4096
const SHAPE =
  'expected whsec_ and the base64 of 24 to 64 bytes, or two of them while one takes the place of the other'

/** Key bytes of a secret, as Standard Webhooks wants them. */
const KEY_BYTES = { least: 24, most: 64 }

/**
 * Secrets as they are written down: `whsec_` and base64, two of them while one takes the place of the other.
 * @returns undefined if they are none; the text is in no message
 */
export function parseSecrets(text: string): string[] | undefined {
  const secrets = text.split(/\s+/).filter((one) => one !== '')
  const good = secrets.every((secret) => {
    const match = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)
    if (match === null) return false
    const { length } = Buffer.from(match[1]!, 'base64')
    return length >= KEY_BYTES.least && length <= KEY_BYTES.most
  })
  return good && secrets.length >= 1 && secrets.length <= 2 ? secrets : undefined
}

export class Secret {
  readonly #source: SecretSource
  readonly #place: string
  #texts: readonly string[]
  /** How the file looked when it was read last. */
  #seen = ''
  #problem: string | undefined
  #openToOthers = false

  /**
   * Reads it.
   * @param place where it is said, for messages: `bailiwick.yaml:7:20` or the name of a variable
   * @throws SecretError
   */
  constructor(source: SecretSource, place: string) {
    this.#source = source
    this.#place = place
    if ('text' in source) {
      const texts = parseSecrets(source.text())
      if (texts === undefined) throw new SecretError(`${place}: is no secret: ${SHAPE}`)
      this.#texts = texts
    } else this.#texts = this.#read(source.file)
  }

  /** The texts that hold now, the one in use first. A file that was changed and cannot be used changes nothing. */
  readonly texts = (): readonly string[] => {
    if ('text' in this.#source) return this.#texts
    try {
      if (lookOf(this.#source.file) !== this.#seen) this.#texts = this.#read(this.#source.file)
      this.#problem = undefined
    } catch (error) {
      if (!(error instanceof SecretError)) throw error
      this.#problem = `${error.message}; what was read before is used on`
    }
    return this.#texts
  }

  /** What somebody should know: it was changed and cannot be used, or others may read it. */
  get warning(): string | undefined {
    this.texts()
    if (this.#problem !== undefined || 'text' in this.#source) return this.#problem
    if (!this.#openToOthers) return undefined
    const file = printable(this.#source.file)
    return `${this.#place}: others on this machine may read ${file}: chmod 600 ${file}`
  }

  #read(file: string): readonly string[] {
    const what = `${this.#place}: ${printable(file)}`
    // Before it is read: a change meanwhile is seen the next time.
    const seen = lookOf(file)
    let text: string
    try {
      const stat = statSync(file)
      if (!stat.isFile()) throw new SecretError(`${what} is no file`)
      if (stat.size > FILE_BYTES_MAX) throw new SecretError(`${what} is no secret: ${SHAPE}`)
      this.#openToOthers = (stat.mode & 0o004) !== 0
      text = readFileSync(file, 'utf8')
    } catch (error) {
      if (error instanceof SecretError) throw error
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') throw new SecretError(`${what} is not there`)
      if (code === 'EACCES') throw new SecretError(`${what} may not be read by this process`)
      throw new SecretError(`${what} cannot be read${code === undefined ? '' : ` (${code})`}`)
    }
    const texts = parseSecrets(text)
    if (texts === undefined) throw new SecretError(`${what} is no secret: ${SHAPE}`)
    this.#seen = seen
    return texts
  }
}

/** '' if it cannot be looked at, which is no look that anything had. */
function lookOf(file: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(file)
    return [ino, size, mtimeMs, ctimeMs].join(' ')
  } catch {
    return ''
  }
}
