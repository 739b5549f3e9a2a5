// The directory of an embedded store:
//
//   bailiwick-store   says that this is one; without it a directory that holds anything else is not touched
//   engine.xml        settings of the engine, written anew at each opening
//   engine/           the engine's data
//   blocks/           files of rows on their way into the engine; emptied at each opening

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isAlive } from '../process-alive.ts'
import { errorCode, StoreError, StoreLockedError, StoreSchemaError } from './store-error.ts'

const MARKER = 'bailiwick-store'

export interface StoreDirectory {
  root: string
  engine: string
  blocks: string
  config: string
}

const TEMPORARY_PREFIX = 'bailiwick-store-'
/** A temporary store younger than this may be one that is just being opened. */
const ABANDONED_AFTER_MS = 3_600_000

/**
 * A new directory for a store that is thrown away; whoever opens it removes it. Those that killed processes left
 * behind are removed now.
 * @param parent where temporary stores are
 */
export function temporaryDirectory(parent = tmpdir(), now = Date.now()): string {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(TEMPORARY_PREFIX)) continue
    const path = join(parent, name)
    try {
      if (now - statSync(path).mtimeMs < ABANDONED_AFTER_MS) continue
      if (lockHolder(join(path, 'engine')) !== undefined) continue
      rmSync(path, { recursive: true, force: true })
    } catch {
      // Somebody else's, or just being removed by another process: not ours to worry about.
    }
  }
  return mkdtempSync(join(parent, TEMPORARY_PREFIX))
}

/** Is a store here? Looking makes none. */
export function isStoreDirectory(path: string): boolean {
  return existsSync(join(path, MARKER))
}

/**
 * Makes the directory or recognises it, and looks whether it is free.
 * @throws StoreLockedError if a process holds it, StoreSchemaError if it holds something else
 */
export function prepareDirectory(path: string): StoreDirectory {
  const root = resolve(path)
  const directory: StoreDirectory = {
    root,
    engine: join(root, 'engine'),
    blocks: join(root, 'blocks'),
    config: join(root, 'engine.xml'),
  }
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 })
    const holder = lockHolder(directory.engine)
    if (holder !== undefined) throw lockedError(root, holder)
    const marker = join(root, MARKER)
    if (!existsSync(marker)) {
      if (readdirSync(root).length > 0)
        throw new StoreSchemaError(
          `${root} holds other files and is no bailiwick store: name an empty or a new directory`,
        )
      writeFileSync(marker, 'This directory is a store of Bailiwick. Leave its files alone.\n')
    }
    rmSync(directory.blocks, { recursive: true, force: true })
    mkdirSync(directory.blocks, { mode: 0o700 })
  } catch (error) {
    if (error instanceof StoreError) throw error
    const code = errorCode(error)
    throw new StoreError(
      `the store directory ${root} cannot be used (${code ?? 'unknown error'}): name one that you may write to`,
      { cause: error },
    )
  }
  return directory
}

export function lockedError(root: string, holder: number | undefined): StoreLockedError {
  const who = holder === undefined ? 'another process' : `process ${holder}`
  return new StoreLockedError(
    `the store ${root} is held by ${who}, another bailiwick or chdb: wait for it, end it, or name another directory`,
  )
}

/**
 * The process that holds the engine's lock, as far as it can be seen without taking the lock: the engine writes
 * its process id into `status`. A file left by a process that is gone holds nothing.
 */
export function lockHolder(engine: string): number | undefined {
  const status = join(engine, 'status')
  let text: string
  let inode: bigint
  try {
    text = readFileSync(status, 'utf8')
    inode = statSync(status, { bigint: true }).ino
  } catch {
    // No engine was ever here, or it may not be looked at: opening will tell.
    return undefined
  }
  const holder = Number(/^PID: (\d{1,10})$/m.exec(text)?.[1])
  if (!Number.isInteger(holder) || !isAlive(holder)) return undefined
  return isLocked(inode) ? holder : undefined
}

/** True if Linux knows of a lock on this inode, or if this cannot be known. */
function isLocked(inode: bigint): boolean {
  try {
    return new RegExp(`^\\d+: \\S+ +\\S+ +\\S+ +\\d+ \\S+:${inode} `, 'm').test(
      readFileSync('/proc/locks', 'utf8'),
    )
  } catch {
    return true
  }
}
