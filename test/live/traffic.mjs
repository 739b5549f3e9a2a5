// Connects to a test's servers in all the ways that make flows: named by HTTP, TLS and DNS, refused, unanswered, long.

import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

const order = JSON.parse(process.argv[2])
const { host, http, tls, dns, udp, count, name, longMillis, silentMillis = 100 } = order

const over = (socket) =>
  new Promise((resolve) => {
    socket.on('data', () => {})
    socket.on('error', () => {})
    socket.on('close', resolve)
  })

async function ask(server, named) {
  const socket = connect(http, server)
  socket.write(`GET / HTTP/1.1\r\nHost: ${named}\r\n\r\n`)
  await over(socket)
}

async function askTls(named) {
  const key = { psk: Buffer.alloc(16, 7), identity: 'test' }
  const psk = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2', pskCallback: () => key }
  const socket = connectTls({
    host,
    port: tls,
    servername: named,
    ...psk,
    checkServerIdentity() {},
  })
  socket.write('hello')
  await over(socket)
}

const resolver = new Resolver()
resolver.setServers([`${host}:${dns}`])
await resolver.resolve4(`${name}-dns.example`)

const work = []
for (let at = 0; at < count; at++) {
  work.push(ask(host, `${name}-${at}.example`), askTls(`${name}-tls-${at}.example`))
  if (at % 10 === 9) await Promise.all(work.splice(0))
}
await Promise.all(work)
if (longMillis > 0) {
  const socket = connect(http, host)
  const closed = over(socket)
  socket.write(`GET /slow HTTP/1.1\r\nHost: ${name}-long.example\r\n\r\n`)
  for (let at = 0; at < longMillis; at += 200) {
    await sleep(200)
    socket.write('more\n')
  }
  socket.end()
  await closed
}
// Refused, and without an answer.
await over(connect(1, host))
const silent = connect(http, '203.0.113.9')
silent.on('error', () => {})
const datagrams = createSocket('udp4')
datagrams.on('error', () => {})
for (let at = 0; at < count; at++) datagrams.send(`datagram ${at}`, at % 2 ? udp : 1, host)
await sleep(silentMillis)
silent.destroy()
datagrams.close()
