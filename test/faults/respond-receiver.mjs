// Who gets webhooks and revocation calls, as a process of its own: verifies each by the library of the standard, notes it,
// and answers as it is told: now and then it takes a request and the answer is lost.
//
//   node respond-receiver.mjs SECRET NOTES LOST     LOST: of so many requests one answer is lost, or says 503; 0: none
//   out: {"port": 1234}

import { createHash } from 'node:crypto'
import { openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

const [secret, notes, lost] = process.argv.slice(2)
const file = openSync(notes, 'a')
const note = (value) => writeSync(file, `${JSON.stringify(value)}\n`)
let requests = 0

const server = createServer((request, response) => {
  const pieces = []
  request.on('data', (piece) => pieces.push(piece))
  request.on('end', () => {
    const body = Buffer.concat(pieces)
    const { url, headers } = request
    const seen = { url, id: headers['webhook-id'], at: Date.now() }
    try {
      const { data, agent } = new Webhook(secret).verify(body, headers)
      const alerts = data === undefined ? [] : [...data.alerts, ...data.more].map(({ id }) => id)
      note({ ...seen, agent, alerts, hash: createHash('sha256').update(body).digest('hex') })
    } catch (error) {
      note({ ...seen, wrong: String(error) })
      return response.writeHead(400).end()
    }
    const turn = ++requests % (2 * Number(lost))
    if (turn === 0) request.socket.destroy()
    else if (turn === Number(lost)) response.writeHead(503).end('<html>busy</html>')
    else response.writeHead(204).end()
  })
})
server.listen(0, '127.0.0.1', () => {
  writeSync(1, `${JSON.stringify({ port: server.address().port })}\n`)
})
process.stdin.on('close', () => process.exit(0))
process.stdin.resume()
