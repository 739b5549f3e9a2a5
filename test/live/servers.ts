// What answers on this machine when a test's traffic comes: HTTP, TLS with a shared key, DNS, datagrams.

import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

export class Servers {
  readonly ports = { http: 0, tls: 0, dns: 0, udp: 0 }
  readonly #streams: Server[] = []
  readonly #datagrams: DatagramSocket[] = []

  /** On all addresses, so that an interface may come and go. */
  static async open(): Promise<Servers> {
    const servers = new Servers()
    const { ports } = servers
    ports.http = await servers.#stream(
      createServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', (asked) => {
          // Who asks slowly goes on until he ends.
          if (asked.includes('GET /slow') || asked.includes('more')) socket.write('.')
          else socket.end(ANSWER)
        })
      }),
    )
    const psk = Buffer.alloc(16, 7)
    ports.tls = await servers.#stream(
      createTlsServer(
        { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2', pskCallback: () => psk },
        (socket) => {
          socket.on('error', () => {})
          socket.on('data', () => socket.end('bye'))
        },
      ),
    )
    ports.dns = await servers.#datagram((question, socket, { port, address }) =>
      socket.send(dnsAnswer(question, [192, 0, 2, 7]), port, address),
    )
    ports.udp = await servers.#datagram((asked, socket, { port, address }) =>
      socket.send(asked, port, address),
    )
    return servers
  }

  async #stream(server: Server): Promise<number> {
    this.#streams.push(server)
    server.listen(0)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  async #datagram(
    answer: (
      asked: Buffer,
      socket: DatagramSocket,
      from: { port: number; address: string },
    ) => void,
  ): Promise<number> {
    const socket = createSocket('udp4')
    this.#datagrams.push(socket)
    socket.on('message', (asked, from) => answer(asked, socket, from))
    socket.bind(0)
    await once(socket, 'listening')
    return socket.address().port
  }

  close(): void {
    for (const server of this.#streams) server.close()
    for (const socket of this.#datagrams) socket.close()
  }
}

/** An answer with one address to a question of one name. */
function dnsAnswer(question: Buffer, address: readonly number[]): Buffer {
  let end = 12
  while (end < question.length && question[end] !== 0) end += question[end]! + 1
  const asked = question.subarray(12, end + 5)
  const header = Buffer.from([0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
  question.copy(header, 0, 0, 2)
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address])
  return Buffer.concat([header, asked, record])
}
