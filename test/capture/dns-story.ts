// DNS answers for packet stories.

import { endpoint, joined, u16, u32, udp } from './packet-writer.ts'

export class DnsWriter {
  readonly #client: string
  readonly #server: string

  constructor(client: string, server: string) {
    this.#client = client
    this.#server = server
  }

  /** The packet that answers `A name?` with one address, good for 300 s. */
  answer(name: string, address: string): Uint8Array {
    const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)])
    const message = joined(
      [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0],
      labels,
      [0, 0, 1, 0, 1],
      [0xc0, 12, 0, 1, 0, 1],
      u32(300),
      u16(4),
      endpoint(`${address}:0`).address,
    )
    return udp(`${this.#server}:53`, `${this.#client}:3456`, message)
  }
}
