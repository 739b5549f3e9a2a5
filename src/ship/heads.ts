// How a growing file is known again: by device and inode, and by the bytes that it began with.

import type { FileHandle } from 'node:fs/promises'
import { sha256Hex } from '../hash.ts'
import { HEAD_BYTES, openInput } from '../inputs.ts'
import type { Ledger } from './ledger.ts'
import type { LedgerEntry } from './ledger-entry.ts'

/** Fewer bytes are the same in many files: a pcap file begins with 24 that say nothing of it. */
export const COPY_BYTES_MIN = 256

/** The first bytes of a file, as many as there are. */
export async function readHead(handle: FileHandle, most = HEAD_BYTES): Promise<Buffer> {
  const head = Buffer.alloc(most)
  let length = 0
  while (length < most) {
    const { bytesRead } = await handle.read(head, length, most - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return head.subarray(0, length)
}

/** The first bytes of what a compressed file holds, how much it holds, and whether that is all of it. */
export async function gunzippedHead(
  name: string,
): Promise<{ head: Uint8Array; size: number; whole: boolean }> {
  const input = await openInput(name)
  try {
    const head = Buffer.from(input.head)
    let size = 0
    for await (const piece of input.pieces) size += piece.length
    return { head, size, whole: input.problem() === undefined }
  } finally {
    await input.close()
  }
}

/** How many of these bytes name the file: a power of two, so that what was seen early is found again later. */
export function namingBytes(length: number): number {
  return length < 1 ? 0 : 2 ** Math.floor(Math.log2(Math.min(length, HEAD_BYTES)))
}

export function hashOfHead(head: Uint8Array, length: number): string {
  return sha256Hex(head.subarray(0, length))
}

/** Did the file of this entry begin with these bytes? */
export function hasHead({ file }: LedgerEntry, head: Uint8Array): boolean {
  return file !== undefined && file.head <= head.length && hashOfHead(head, file.head) === file.hash
}

/** Entries of growing files that began like this one, and are worth comparing; the longest first. */
export function entriesWithHead(ledger: Ledger, head: Uint8Array): LedgerEntry[] {
  const hashes = new Map<number, string>()
  for (let length = COPY_BYTES_MIN; length <= head.length; length *= 2)
    hashes.set(length, hashOfHead(head, length))
  const found: LedgerEntry[] = []
  for (const entry of ledger.entries()) {
    const { file, kind, chunks } = entry
    if (kind === 'tail' && chunks > 0 && file !== undefined && hashes.get(file.head) === file.hash)
      found.push(entry)
  }
  return found.sort((a, b) => b.chunks - a.chunks)
}
