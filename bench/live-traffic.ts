// What an agent does that is measured, as a process of its own (bench/live.ts starts it):
//
//   live-traffic.js answer PORT                      takes connections, reads, and closes; here
//   live-traffic.js ask THIRD-OCTET PORT RATE COUNT KINDS PREFIX SKIP
//                                                    opens connections, in the agent's namespace
//
// Each connection goes to a destination that nobody went to before, so each is an alert. Kinds, in turns: `tls` says a
// ClientHello with a name of its own, `http` a request with such a Host, `silent` nothing (its address is the
// destination), `refused` goes to a port where nobody listens. A line of JSON tells of each.

import { connect, createServer } from 'node:net'
import { clientHello } from './made-capture.ts'

/** A connection of the agent, as told on stdout. */
export interface Asked {
  kind: string
  destination: string
  /** When what decides was handed to the kernel. Milliseconds since 1970. */
  at: number
}

const [mode, ...args] = process.argv.slice(2)
if (mode === 'answer') answer(Number(args[0]))
else if (mode === 'ask') ask(args)

function answer(port: number): void {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    // Whoever says something is answered by the end; whoever is silent ends it himself.
    socket.once('data', () => socket.end())
    socket.setTimeout(5000, () => socket.destroy())
  })
  server.listen(port, '0.0.0.0', () => process.stdout.write('ready\n'))
  // Ends with its parent.
  process.stdin.on('end', () => process.exit()).resume()
}

function ask([third, port, rate, count, kinds, prefix, skip]: readonly string[]): void {
  const names = kinds!.split(',')
  const total = Number(count)
  const skipped = Number(skip)
  const start = Date.now()
  let done = 0
  let open = 0
  const tick = setInterval(() => {
    const due = Math.min(total, Math.floor(((Date.now() - start) / 1000) * Number(rate)))
    for (; done < due; done++) {
      open++
      one(done)
    }
    if (done >= total && open === 0) clearInterval(tick)
  }, 2)

  const one = (n: number) => {
    const kind = names[n % names.length]!
    const named = kind === 'tls' || kind === 'http'
    const place = n + skipped
    const address = `198.19.${Number(third) + (Math.floor(place / 254) % 16)}.${1 + (place % 254)}`
    const destination = named ? `${prefix}${n}.example` : address
    const socket = connect({ host: address, port: kind === 'refused' ? 9 : Number(port) })
    socket.setNoDelay(true)
    const told = Date.now()
    socket.on('error', () => {})
    socket.on('close', () => open--)
    socket.on('connect', () => {
      const at = Date.now()
      if (kind === 'tls') socket.write(clientHello(destination))
      else if (kind === 'http')
        socket.write(`GET / HTTP/1.1\r\nHost: ${destination}\r\nConnection: close\r\n\r\n`)
      else socket.end()
      socket.resume()
      tell({ kind, destination, at })
    })
    if (kind === 'refused') tell({ kind, destination, at: told })
  }
}

function tell(asked: Asked): void {
  process.stdout.write(`${JSON.stringify(asked)}\n`)
}
