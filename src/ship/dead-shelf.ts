// Messages that no stream takes: too large for the broker and not to be divided any more. They are kept as files, so
// that one of them neither blocks those behind it nor is lost.

import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Disk, isNoSpace, NODE_DISK, replaceFile } from '../bus/disk.ts'
import { decodeChunk } from '../chunk.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'

/** Milliseconds between tries while the disk is full. */
const FULL_RETRY_MILLIS = 1000

export class DeadShelf {
  /** Messages put here by this process. */
  count = 0
  readonly directory: string
  readonly #disk: Disk
  readonly #log: Log

  /** @param directory made when the first message comes */
  constructor(directory: string, log: Log, disk: Disk = NODE_DISK) {
    this.directory = directory
    this.#log = log
    this.#disk = disk
  }

  /**
   * Keeps a message durably, under the id of its chunk: the same one again replaces itself. Waits while the disk is
   * full.
   * @throws what the disk says otherwise
   */
  async put(bytes: Uint8Array, reason: string): Promise<void> {
    const name = path.join(this.directory, `${decodeChunk(bytes).header.id}.chunk`)
    for (;;)
      try {
        await this.#disk.makeDirectory(this.directory)
        await replaceFile(this.#disk, name, bytes)
        break
      } catch (error) {
        if (!isNoSpace(error)) throw error
        await sleep(FULL_RETRY_MILLIS)
      }
    this.count++
    this.#log(
      'error',
      'a chunk is too large for the broker and cannot be divided: it is kept here',
      {
        file: printable(name),
        bytes: bytes.length,
        reason: printable(reason),
        cure: 'raise max.message.bytes of the topic (bailiwick topics) and send it with bailiwick dlq redrive',
      },
    )
  }
}
