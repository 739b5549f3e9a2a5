// One process owns a directory. A lock file says who; it is stale when that process is gone. Where that cannot be
// seen (another host or container on the same volume), a lock that nobody has touched for a while is stale.

import { readFileSync, readlinkSync } from 'node:fs'
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { isAlive } from '../process-alive.ts'
import { BusError, BusFault } from './bus.ts'
import { errorCode, isMissing, isNoSpace } from './disk.ts'

const TOUCH_MILLIS = 2000
/** Seven touches missed. */
const STALE_MILLIS = 15_000
/** A takeover is a few system calls. */
const TAKEOVER_MILLIS = 10_000

interface Owner {
  pid: number
  /** When the process began, in the kernel's ticks: a process id is used again. */
  started: string
  /** Where the process id means something: host, boot and process namespace. */
  place: string
}

export interface OwnerLock {
  release(): Promise<void>
}

/**
 * Takes the directory for this process.
 * @param onLost told when somebody else took the lock over, which only a process that was stopped for long lives to see
 * @throws BusError `in_use`, naming the owner · BusFault where the disk is full
 */
export async function lockDirectory(directory: string, onLost: () => void): Promise<OwnerLock> {
  const name = path.join(directory, 'owner.lock')
  const me = JSON.stringify(ownerOf(process.pid))
  for (let tries = 0; !(await createLock(name, me)); tries++) {
    const owner = await readOwner(name)
    if (owner === undefined) continue
    if (tries > 3 || !(await isStale(name, owner)))
      throw new BusError('in_use', `${directory} is in use by process ${describe(owner)}`)
    await takeAway(name, owner)
  }
  const timer = setInterval(() => void touch(), TOUCH_MILLIS)
  timer.unref()
  const touch = async () => {
    const now = new Date()
    try {
      if ((await readFile(name, 'utf8')) === me) return await utimes(name, now, now)
    } catch (error) {
      if (!isMissing(error)) return
    }
    clearInterval(timer)
    onLost()
  }
  return {
    async release() {
      clearInterval(timer)
      if ((await readOwnerText(name)) === me) await rm(name, { force: true })
    },
  }
}

/** Of a lock file that cannot be read. */
const NOBODY: Owner = { pid: 0, started: '', place: '' }

/** Creates the file with its content in one step; false if it is there already. */
async function createLock(name: string, text: string): Promise<boolean> {
  const draft = `${name}.${process.pid}`
  try {
    await writeFile(draft, text, { mode: 0o640 })
    await link(draft, name)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    if (isNoSpace(error))
      throw new BusFault(`${path.dirname(name)} cannot be taken: no space left on the disk`)
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

/** Only one process at a time may remove a stale lock, or it could remove the fresh one of another. */
async function takeAway(name: string, stale: Owner): Promise<void> {
  const taking = `${name}.taking`
  if (!(await createLock(taking, ''))) {
    const age = await ageOf(taking)
    if (age !== undefined && age > TAKEOVER_MILLIS) await rm(taking, { force: true })
    else await new Promise((resolve) => setTimeout(resolve, 50))
    return
  }
  try {
    const owner = await readOwner(name)
    if (owner !== undefined && JSON.stringify(owner) === JSON.stringify(stale)) await rm(name)
  } finally {
    await rm(taking, { force: true })
  }
}

async function isStale(name: string, owner: Owner): Promise<boolean> {
  if (owner.place === ownerOf(process.pid).place) {
    // One process may open a directory once.
    return ownerOf(owner.pid).started !== owner.started || !isAlive(owner.pid)
  }
  const age = await ageOf(name)
  return age === undefined || age > STALE_MILLIS
}

function ownerOf(pid: number): Owner {
  // Field 22 of stat(5); the name of the program, in brackets, may hold spaces.
  const started = readText(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ')[19] ?? ''
  const boot = readText('/proc/sys/kernel/random/boot_id').trim()
  return { pid, started, place: `${hostname()} ${boot} ${readNamespace()}` }
}

function readText(name: string): string {
  try {
    return readFileSync(name, 'utf8')
  } catch {
    // Not Linux, or no such process: then the process id alone must do.
    return ''
  }
}

function readNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

async function ageOf(name: string): Promise<number | undefined> {
  try {
    return Date.now() - (await stat(name)).mtimeMs
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function readOwnerText(name: string): Promise<string | undefined> {
  try {
    return await readFile(name, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Undefined if the lock is gone by now. */
async function readOwner(name: string): Promise<Owner | undefined> {
  const text = await readOwnerText(name)
  if (text === undefined) return undefined
  try {
    const { pid, started, place } = JSON.parse(text) as Record<string, unknown>
    if (typeof pid === 'number' && typeof started === 'string' && typeof place === 'string')
      return { pid, started, place }
  } catch {
    // Falls through to nobody.
  }
  return NOBODY
}

function describe({ pid, place }: Owner): string {
  return pid === 0 ? '(unknown)' : `${pid} on ${place.split(' ')[0]}`
}
