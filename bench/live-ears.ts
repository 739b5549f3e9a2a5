// Whoever waits for alerts, as processes of their own (bench/live.ts starts them). Each line on stdout is JSON with the
// moment at which it was heard, read from the clock that stamps packets.
//
//   live-ears.js webhook SECRET          a receiver; its first line is its port; refuses what is not signed
//   live-ears.js stream URL TOKEN        the live stream of the API
//
// The clock is read in whole milliseconds, rounded down; one is added, so that no latency is shown smaller than it was.

import { createServer, get } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { MESSAGE } from '../src/respond/message.ts'

/** An alert that was heard of, as told on stdout. Milliseconds since 1970. */
export interface Heard {
  at: number
  alert: string
  /** The message that brought it. */
  message?: string
  /** When the server published it: it was durable then. */
  durable?: number
}

const now = () => Date.now() + 1
const tell = (heard: Heard) => process.stdout.write(`${JSON.stringify(heard)}\n`)

const [mode, first, second] = process.argv.slice(2)
if (mode === 'webhook') receive(first!)
else if (mode === 'stream') listen(first!, second!)

function receive(secret: string): void {
  const verifier = new Webhook(secret)
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const at = now()
      let body: unknown
      try {
        body = verifier.verify(
          Buffer.concat(pieces).toString(),
          request.headers as Record<string, string>,
        )
      } catch {
        response.writeHead(401).end()
        return
      }
      response.writeHead(204).end()
      const { data } = MESSAGE.parse(body)
      for (const { id } of [...data.alerts, ...data.more])
        tell({ at, alert: id, message: String(request.headers['webhook-id']) })
    })
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`)
  })
  process.stdin.on('end', () => process.exit()).resume()
}

function listen(url: string, token: string): void {
  get(url, { headers: { authorization: `Bearer ${token}` } }, (response) => {
    if (response.statusCode !== 200)
      throw new Error(`the live stream answers ${response.statusCode}`)
    process.stdout.write('ready\n')
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (piece: string) => {
      const at = now()
      const blocks = (text + piece).split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) hear(block, at)
    })
  })
  process.stdin.on('end', () => process.exit()).resume()
}

function hear(block: string, at: number): void {
  const field = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2)
  if (field('event') !== 'alert') return
  const data = JSON.parse(field('data') ?? '{}') as { at: string; alert: { id: string } }
  tell({ at, alert: data.alert.id, durable: Date.parse(data.at) + 1 })
}
