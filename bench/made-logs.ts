// Flow logs to measure with, in the default format of AWS VPC flow logs, and the agents that they are about. One line
// is one flow, so each is judged: real logs tell most conversations in two lines, which is less work. The same number
// of lines gives the same bytes every time.

import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { numbers } from './numbers.ts'

const START = Date.UTC(2026, 0, 5, 8) / 1000
/** Lines a second of the data: a busy account. */
const PACE = 2500
const INTERFACES = 400
const CLIENTS = 4096
const SERVERS = 20_000
const AGENTS = 512
/** Clients of an agent: 8 x 512 of them, so that every fourth client belongs to nobody. */
const CLIENTS_EACH = 6
const HEADER =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n'

const dotted = (word: number) =>
  `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
const clientAddress = (client: number, six: boolean) =>
  six ? `fd00:10::${client.toString(16)}` : dotted((0x0a14_0000 + client) >>> 0)

/** Servers that an agent uses much. */
const USUAL = 32
/** Servers below this number are in a network that every scope allows; few flows go to others. */
const ALLOWED = 16_384
function serverAddress(server: number, six: boolean): string {
  if (six) return `2600:1f18:${server < ALLOWED ? 'a' : 'b'}::${server.toString(16)}`
  return dotted(((server < ALLOWED ? 0xc633_0000 : 0xcb00_0000) + server) >>> 0)
}

/** Writes a log of `lines` flows to `path`. @returns its size in bytes */
export function makeLog(path: string, lines: number): number {
  const next = numbers(42)
  const unit = () => next() / 2 ** 32
  const file = openSync(path, 'w')
  let text = HEADER
  let bytes = 0
  const flush = () => {
    bytes += writeSync(file, text)
    text = ''
  }
  for (let i = 0; i < lines; i++) {
    // Some clients and servers are much busier than others.
    const client = Math.floor(CLIENTS * unit() ** 1.5)
    const inScope = next() % 32 !== 0
    // Clients of one agent mostly go to the few servers that its task needs.
    const usual = ((client >> 3) * USUAL + Math.floor(USUAL * unit() ** 2)) % ALLOWED
    const server = !inScope
      ? ALLOWED + (next() % (SERVERS - ALLOWED))
      : next() % 8 !== 0
        ? usual
        : next() % ALLOWED
    const six = client % 8 === 7
    const udp = next() % 3 === 0
    const port = udp ? 53 : next() % 6 === 0 ? 5432 : 443
    const packets = 1 + Math.floor(20 * unit() ** 4 * 50)
    const count = packets * (52 + (next() % 1200))
    const start = START + Math.floor(i / PACE) - (next() % 60)
    const ends = `${clientAddress(client, six)} ${serverAddress(server, six)} ${1024 + (next() % 60_000)} ${port}`
    const seen = `${udp ? 17 : 6} ${packets} ${count} ${start} ${start + (next() % 60)}`
    const action = next() % 64 === 0 ? 'REJECT' : 'ACCEPT'
    const eni = `eni-0${((client % INTERFACES) * 2654435761).toString(16).padStart(16, 'a').slice(-16)}`
    text += `2 123456789010 ${eni} ${ends} ${seen} ${action} OK\n`
    if (text.length > 1 << 20) flush()
  }
  flush()
  closeSync(file)
  return bytes
}

/** Writes the files of the agents that own three of four clients. */
export function makeAgents(directory: string): void {
  mkdirSync(directory, { recursive: true })
  for (let agent = 0; agent < AGENTS; agent++) {
    const clients = Array.from({ length: CLIENTS_EACH }, (_, i) => agent * 8 + (i < 4 ? i : i + 2))
    writeFileSync(
      join(directory, `agent-${agent}.yaml`),
      `id: spiffe://bench.example/agent/a${agent}
owner: team-${agent % 16}@bench.example
purpose: Is measured
environment: production
addresses: [${clients.map((client) => clientAddress(client, client % 8 === 7)).join(', ')}]
scope:
  version: "1"
  egress:
    - { id: services, cidr: ["198.51.0.0/16", "2600:1f18:a::/48"], port: [443, 5432] }
    - { id: resolver, cidr: ["198.51.0.0/16", "2600:1f18:a::/48"], port: 53, protocol: udp }
`,
    )
  }
}
