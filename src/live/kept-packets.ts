// Where packets are kept: a file for each capture process, which its parent opens, because that process may not.

import { closeSync, fstatSync, mkdirSync, openSync, rmSync } from 'node:fs'
import path from 'node:path'
import { printable } from '../wire-text.ts'
import { LiveError } from './live-event.ts'

export class KeptPackets {
  /** What may still be written, in bytes. */
  room: number
  /** Open for the process to come. */
  fd: number | undefined
  readonly #directory: string
  #file = ''

  constructor({ directory, bytes }: { directory: string; bytes: number }) {
    this.#directory = directory
    this.room = bytes
  }

  /** @param origin of the chunks that come of the same packets: it names the file @throws LiveError */
  open(origin: string): void {
    this.close()
    const [, name, epoch] = /([^/]+)\/([^/]+)$/.exec(origin) ?? ['', 'live', 'file']
    this.#file = path.join(this.#directory, `${name}-${epoch}.pcap`)
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
      // What passes a network is for nobody else to read.
      this.fd = openSync(this.#file, 'wx', 0o600)
    } catch (error) {
      const words = printable((error as Error).message)
      throw new LiveError('write', `cannot keep packets (${words})`, 'give another --write DIR')
    }
  }

  /** The process has ended. */
  close(): void {
    if (this.fd === undefined) return
    const { size } = fstatSync(this.fd)
    this.room = Math.max(0, this.room - size)
    closeSync(this.fd)
    this.fd = undefined
    // It could not even begin to capture.
    if (size === 0) rmSync(this.#file, { force: true })
  }
}
