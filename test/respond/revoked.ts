// An API that takes access away: checks each request with the library's own verifier, remembers it, answers as told.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export class Revoked {
  readonly calls: { id: string; body: string; method: string; path: string }[] = []
  /** Requests whose signature does not hold. */
  readonly wrong: string[] = []
  /** The next answers; 200 when they are used up. */
  readonly statuses: number[] = []
  readonly #server: Server
  #waiting: (() => void)[] = []

  static async start(secret: string): Promise<Revoked> {
    const api = new Revoked(secret)
    await new Promise<void>((resolve) => api.#server.listen(0, '127.0.0.1', resolve))
    return api
  }

  private constructor(secret: string) {
    this.#server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8')
      request.on('data', (piece: string) => {
        body += piece
      })
      request.on('end', () => {
        const headers = request.headers as Record<string, string>
        try {
          new Webhook(secret).verify(body, headers)
          const { method = '', url = '' } = request
          this.calls.push({ id: headers['webhook-id']!, body, method, path: url })
          response.writeHead(this.statuses.shift() ?? 200).end()
        } catch (error) {
          this.wrong.push(String(error))
          response.writeHead(401).end()
        }
        for (const wake of this.#waiting.splice(0)) wake()
      })
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/agents/disable`
  }

  /** Until so many calls came. */
  async until(count: number): Promise<void> {
    while (this.calls.length < count)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
