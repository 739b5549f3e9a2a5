// Disks that are small enough to be full: file systems in memory. Only root can mount them.

import { execFile } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const PIECE_BYTES = 64 << 10

/** Why none can be had here; undefined if they can. */
export const noSmallDisk =
  process.getuid?.() === 0 ? undefined : 'disks that are full can only be made by root'

/** @param size as mount takes it: `12m` */
export async function mountSmall(directory: string, size: string): Promise<void> {
  mkdirSync(directory, { recursive: true })
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory])
}

/** Whoever still has files open there keeps them. */
export async function unmountSmall(directory: string): Promise<void> {
  await run('umount', ['-l', directory])
}

export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

/** Takes all that is free, also what becomes free until it is let go. @returns lets go */
export function fillDisk(directory: string): () => void {
  const ballast = path.join(directory, 'ballast')
  const piece = Buffer.alloc(PIECE_BYTES, 1)
  const { dev } = statSync(directory)
  if (dev === statSync(path.dirname(directory)).dev)
    throw new Error(`${directory} is no disk of its own: it would fill the one of everybody`)
  const fill = () => {
    // Where it was unmounted meanwhile, the one below it is everybody's.
    if (statSync(directory, { throwIfNoEntry: false })?.dev !== dev) return
    const file = openSync(ballast, 'a')
    try {
      while (writeSync(file, piece) > 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
  }
  fill()
  // Merges that are given up and parts that are outdated leave room.
  const timer = setInterval(fill, 500)
  return () => {
    clearInterval(timer)
    rmSync(ballast, { force: true })
  }
}
