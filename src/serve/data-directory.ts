// The data directory of a server: one process holds it, and says in it where it can be asked.
//
//   owner.lock          who holds it
//   serve.json          where the API answers, while the process lives
//   token, tokens.json  the first administrator's token; whose tokens are known (hashes)
//   spool/              what was read and is not stored yet, and the ledger of all inputs
//   store/              flows, judgements, findings: an embedded store, if no other is named
//   respond/ audit/     alerts and what is to be sent of them; the audit log of revocations
//   dead/               bytes of what could not be worked on

import { readFileSync } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { BusError } from '../bus/bus.ts'
import { errorCode } from '../bus/disk.ts'
import { lockDirectory, type OwnerLock } from '../bus/owner-lock.ts'
import { printable } from '../wire-text.ts'

/** What `serve.json` says. */
export interface ServeNote {
  /** `http://127.0.0.1:7650` */
  address: string
  pid: number
  /** Milliseconds since 1970. */
  started: number
  version: string
}

export interface DataPaths {
  root: string
  spool: string
  store: string
  dead: string
  note: string
  token: string
}

export function dataPaths(directory: string): DataPaths {
  const root = path.resolve(directory)
  const below = (name: string) => path.join(root, name)
  return {
    root,
    spool: below('spool'),
    store: below('store'),
    dead: below('dead'),
    note: below('serve.json'),
    token: below('token'),
  }
}

export class DataDirectory {
  readonly paths: DataPaths
  readonly #lock: OwnerLock
  #noted = false

  /**
   * Makes the directory, which nobody else may read, and takes it for this process.
   * @param onLost told when another process took it over, which only one that was stopped for long lives to see
   * @throws BusError `in_use`, naming the process that has it · `refused` if it cannot be used
   */
  static async hold(directory: string, onLost: () => void): Promise<DataDirectory> {
    const paths = dataPaths(directory)
    try {
      for (const one of [paths.root, paths.spool, paths.dead]) await makeDirectory(one)
      const held = new DataDirectory(paths, await lockDirectory(paths.root, onLost))
      // Left by a process that was killed.
      await rm(paths.note, { force: true })
      return held
    } catch (error) {
      if (error instanceof BusError)
        throw new BusError(
          error.kind,
          `${printable(error.message)}: end it, or give another --data`,
          { cause: error },
        )
      throw new BusError(
        'refused',
        `the data directory ${printable(paths.root)} cannot be used (${errorCode(error) ?? 'unknown error'}): give one that you may write to, with room, by --data`,
        { cause: error },
      )
    }
  }

  private constructor(paths: DataPaths, lock: OwnerLock) {
    this.paths = paths
    this.#lock = lock
  }

  /** Says where this process can be asked. */
  async note(note: ServeNote): Promise<void> {
    const draft = `${this.paths.note}.${note.pid}`
    const file = await open(draft, 'w', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(note)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, this.paths.note)
    this.#noted = true
  }

  async release(): Promise<void> {
    if (this.#noted) await rm(this.paths.note, { force: true })
    await this.#lock.release()
  }
}

/**
 * Makes a directory, and those above it that are not there. By steps, because Node's own way tries for ever where a
 * file system refuses with ENOENT what it could not make anyway, as /proc does.
 */
async function makeDirectory(directory: string): Promise<void> {
  if (await isDirectory(directory)) return
  const above = path.dirname(directory)
  if (above !== directory) await makeDirectory(above)
  try {
    await mkdir(directory, { mode: 0o700 })
  } catch (error) {
    // Somebody else made it meanwhile.
    if (!(await isDirectory(directory))) throw error
  }
}

export async function isDirectory(name: string): Promise<boolean> {
  return (await stat(name).catch(() => undefined))?.isDirectory() === true
}

/** What `serve.json` of a directory says; undefined if there is none that can be read. The process may be gone. */
export function readServeNote(directory: string): ServeNote | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(dataPaths(directory).note, 'utf8'))
    if (typeof found !== 'object' || found === null) return undefined
    const { address, pid, started, version } = found as Record<string, unknown>
    if (typeof address !== 'string' || typeof pid !== 'number') return undefined
    if (typeof started !== 'number' || typeof version !== 'string') return undefined
    return { address, pid, started, version }
  } catch {
    return undefined
  }
}
