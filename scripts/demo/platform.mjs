// The other side of the live demonstration (scripts/demo/live): a platform that receives Bailiwick's alerts and is asked
// to take an agent's access away. Everything is verified with the library `standardwebhooks`; what is not signed gets
// 401 and nothing happens. Access is taken away for real: the agent's network link is cut.
//
//   node scripts/demo/platform.mjs PORT WEBHOOK_SECRET_FILE REVOCATION_SECRET_FILE HOLD_FILE AGENT=LINK...
//
// While HOLD_FILE exists, webhooks are received and left without an answer, like those of a platform that hangs.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

const [port, webhookSecret, revocationSecret, hold, ...links] = process.argv.slice(2)
const secretOf = (file) => readFileSync(file, 'utf8').trim()
const verifiers = {
  '/alerts': new Webhook(secretOf(webhookSecret)),
  '/revoke': new Webhook(secretOf(revocationSecret)),
}
const linkOf = new Map(links.map((one) => one.split('=')))
const say = (text) => process.stdout.write(`${text}\n`)

const server = createServer(async (request, response) => {
  const pieces = []
  for await (const piece of request) pieces.push(piece)
  const path = request.url.split('?')[0]
  const id = request.headers['webhook-id']
  let body
  try {
    body = verifiers[path].verify(Buffer.concat(pieces).toString(), request.headers)
  } catch (error) {
    say(`${path}: refused, ${error.message}`)
    response.writeHead(401).end()
    return
  }
  if (path === '/alerts') receive(id, body, response)
  else revoke(id, body, response)
})

function receive(id, { data }, response) {
  for (const { sentence } of data.alerts) say(`webhook ${id}, signature verified: ${sentence}`)
  if (existsSync(hold)) return say(`webhook ${id}: received and not answered, the platform hangs`)
  response.writeHead(204).end()
}

function revoke(id, { agent }, response) {
  say(`call ${id}, signature verified: revoke ${agent}`)
  const link = linkOf.get(agent)
  if (link === undefined) {
    response.writeHead(404).end()
    return
  }
  execFileSync('ip', ['link', 'set', link, 'down'])
  say(`the link of ${agent} is cut`)
  response.writeHead(200).end()
}

server.listen(Number(port), '127.0.0.1')
