// Sends so many datagrams to so many ports as fast as it can.

import { createSocket } from 'node:dgram'

const [host, count, ports] = process.argv.slice(2)
const socket = createSocket({ type: 'udp4', sendBufferSize: 4 << 20 })
const body = Buffer.alloc(150, 'x')
socket.on('error', () => {})
let sent = 0
const some = () => {
  if (sent >= count) return socket.close()
  let left = Math.min(64, count - sent)
  for (let at = 0; at < 64 && sent < count; at++, sent++)
    socket.send(body, 20_000 + (sent % ports), host, () => {
      // Refused by the other machine's kernel, mostly: nobody listens.
      if (--left === 0) some()
    })
}
some()
