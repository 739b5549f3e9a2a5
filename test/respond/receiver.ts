// A receiver of webhooks: checks each with the library's own verifier, remembers what came, answers as it is told.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { MESSAGE, type Message } from '../../src/respond/message.ts'

export interface Received {
  id: string
  /** Seconds since 1970, as signed. */
  timestamp: number
  message: Message
  bytes: number
  /** performance.now() when all of it was there. */
  at: number
  path: string
}

export type Answer = (received: Received, response: ServerResponse) => void

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

export class Receiver {
  readonly received: Received[] = []
  /** Requests that were not what they should be. */
  readonly wrong: string[] = []
  answer: Answer = (_, response) => response.writeHead(204).end()
  readonly #server: Server
  readonly #secret: string
  #waiting: (() => void)[] = []

  static async start(secret = SECRET): Promise<Receiver> {
    const receiver = new Receiver(secret)
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve))
    return receiver
  }

  private constructor(secret: string) {
    this.#secret = secret
    this.#server = createServer((request, response) => void this.#take(request, response))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hooks/s3cr3t-path`
  }

  /** Ids that came, each once: what an idempotent receiver would have acted on. */
  get effects(): Set<string> {
    return new Set(this.received.map(({ id }) => id))
  }

  /** Ids of alerts that came, in full or in short. */
  get alerts(): string[] {
    return this.alertsFrom(0)
  }

  /** Of the requests from this one on. */
  alertsFrom(request: number): string[] {
    return this.received
      .slice(request)
      .flatMap(({ message: { data } }) => [...data.alerts, ...data.more].map(({ id }) => id))
  }

  /** Until so many requests came. */
  async until(count: number): Promise<void> {
    while (this.received.length < count)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async untilAlerts(count: number): Promise<void> {
    while (new Set(this.alerts).size < count)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const body = Buffer.concat(pieces)
    try {
      const headers = request.headers as Record<string, string>
      const verified = new Webhook(this.#secret).verify(body, headers)
      const received: Received = {
        id: headers['webhook-id']!,
        timestamp: Number(headers['webhook-timestamp']),
        message: MESSAGE.parse(verified),
        bytes: body.length,
        at: performance.now(),
        path: request.url ?? '',
      }
      this.received.push(received)
      this.answer(received, response)
    } catch (error) {
      this.wrong.push(String(error))
      response.writeHead(400).end()
    }
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
