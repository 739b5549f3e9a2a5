// How long it takes from the packet that decides a flow to the alert: durable, on the live stream, and received and
// verified by a webhook. Real packets on a pair of virtual interfaces; an agent in a network namespace opens
// connections that its scope does not allow, each to a destination of its own, so that each is an alert, while other
// traffic that is in scope passes the same interface. The clock starts with the timestamp that the kernel gave the
// deciding packet, as the store has it; everybody who hears of the alert reads the same clock of the same machine.
//
//   npm run bench:live -- [--through serve|kafka] [--connections 1000] [--rate 20] [--packets 20000] [--runs 3]
//   npm run bench:live -- --storm      10,000 out-of-scope flows within a minute: what is lost, and what it takes;
//                                      --minutes 4: one such minute after the other
//   npm run bench:live -- --idle       what `serve --live` uses while nothing happens; --scrape 15 reads its metrics so often
//   unshare -n sh -c 'ip link set lo up && npm run bench:live -- --idle --on lo'       the same where no packet passes at all
//
// Needs root, `ip`, and tcpreplay for the other traffic. --json FILE writes every latency.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Deployment, Embedded, type LiveParts, ThroughKafka } from './live-deployment.ts'
import { idle } from './live-idle.ts'
import { LiveNet } from './live-net.ts'
import { measureRun, type Outcome, OWN_AGENT, type Plan } from './live-run.ts'
import { storm } from './live-storm.ts'
import { makeCapture } from './made-capture.ts'
import { histogram, percentiles } from './percentiles.ts'

const { values: options } = parseArgs({
  options: {
    through: { type: 'string', default: 'serve' },
    connections: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '20' },
    kinds: { type: 'string', default: 'tls,http,tls,http,tls,http,silent,refused' },
    packets: { type: 'string', default: '20000' },
    runs: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '4' },
    json: { type: 'string' },
    storm: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '1' },
    idle: { type: 'boolean', default: false },
    scrape: { type: 'string', default: '0' },
    on: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
const PACKETS = Number(options.packets)
/** The other traffic: connections of some 110 packets from 16 hosts of another agent, 30 s of it over and over. */
const OTHERS = { open: 2000, clients: 16, segments: 100, pace: 50 }
const OTHERS_SECONDS = 30
const WEBHOOK_SECRET = `whsec_${Buffer.from('a secret of a bench, 32 bytes long').toString('base64')}`

const say = (text: string) => process.stdout.write(`${text}\n`)
const directory = mkdtempSync(join(tmpdir(), 'bailiwick-live-'))

function writeAgents(net: LiveNet): string {
  const agents = join(directory, 'agents')
  mkdirSync(agents)
  const others = Array.from({ length: OTHERS.clients }, (_, i) => [
    `10.0.0.${i}`,
    `2001:db8::a00:${i.toString(16)}`,
  ])
  const agent = (id: string, addresses: readonly string[]) => `id: ${id}
owner: bench@bench.example
purpose: Is measured
environment: production
addresses: [${addresses.map((one) => `"${one}"`).join(', ')}]
scope:
  version: "1"
  egress:
    - { id: services, cidr: ["198.51.0.0/16", "2001:db8::/32"], port: [443, 53], protocol: [tcp, udp] }
`
  writeFileSync(join(agents, 'own.yaml'), agent(OWN_AGENT, [net.agentAddress]))
  writeFileSync(
    join(agents, 'others.yaml'),
    agent('spiffe://bench.example/agent/others', others.flat()),
  )
  return agents
}

/** Settings with one webhook. A storm is to be grouped, alerts one by one are not. */
function writeSettings(port: number): string {
  const file = join(directory, 'bailiwick.yaml')
  writeFileSync(
    file,
    `respond:
  webhooks:
    - { name: bench, url: "http://127.0.0.1:${port}/alerts" }
  allow_targets: [127.0.0.0/8]
`,
  )
  return file
}

function start(parts: LiveParts): Promise<Deployment> {
  if (options.through === 'serve') return Embedded.start(parts)
  if (options.through === 'kafka') return ThroughKafka.start(parts, Number(options.partitions))
  throw new Error('--through is serve or kafka')
}

const line = (name: string, values: readonly number[]) => {
  const { count, p50, p90, p99, max } = percentiles(values)
  const figure = (value: number) => value.toFixed(1).padStart(8)
  return `${name.padEnd(22)}${String(count).padStart(6)}${figure(p50)}${figure(p90)}${figure(p99)}${figure(max)}`
}

function tell(outcome: Outcome): void {
  const { latencies, asked, lost } = outcome
  say(`${'milliseconds'.padEnd(22)}${'n'.padStart(6)}     p50     p90     p99     max`)
  for (const name of ['durable', 'stream', 'webhook'] as const)
    say(
      line(
        name,
        latencies.map((one) => one[name]),
      ),
    )
  for (const kind of new Set(latencies.map((one) => one.kind)))
    say(
      line(
        `  webhook, ${kind}`,
        latencies.filter((one) => one.kind === kind).map(({ webhook }) => webhook),
      ),
    )
  say(
    line(
      'sent to captured',
      latencies.map(({ sent }) => sent),
    ),
  )
  say(
    `connections ${asked}, without an alert ${lost.length}${lost.length > 0 ? ` (${lost.slice(0, 5).join(', ')})` : ''}`,
  )
  for (const words of outcome.notes) say(words)
}

async function measure(net: LiveNet, parts: Omit<LiveParts, 'config'>): Promise<void> {
  const plan: Plan = {
    connections: Number(options.connections),
    rate: Number(options.rate),
    kinds: options.kinds,
    packets: PACKETS,
    capture: join(directory, 'others.pcap'),
    secret: WEBHOOK_SECRET,
  }
  const bytes = PACKETS === 0 ? 0 : makeCapture(plan.capture, PACKETS * OTHERS_SECONDS, OTHERS)
  say(
    `through ${options.through}; ${plan.connections} connections, ${plan.rate} a second (${plan.kinds}); other traffic ${PACKETS} packets/s, ${PACKETS === 0 ? 0 : Math.round(bytes / (PACKETS * OTHERS_SECONDS)) - 16} bytes each on average`,
  )
  const outcomes: Outcome[] = []
  for (let run = 1; run <= Number(options.runs); run++) {
    const own = { ...parts, directory: join(directory, `run-${run}`) }
    mkdirSync(own.directory)
    const outcome = await measureRun(net, plan, (port) =>
      start({ ...own, config: writeSettings(port) }),
    )
    say(`\nrun ${run}`)
    tell(outcome)
    outcomes.push(outcome)
    if (!options.keep) rmSync(own.directory, { recursive: true, force: true })
  }
  const all = outcomes.flatMap(({ latencies }) => latencies)
  say('\nfrom the deciding packet to the webhook, all runs')
  process.stdout.write(histogram(all.map(({ webhook }) => webhook)))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(outcomes)}\n`)
}

const net = LiveNet.open()
const onSignal = () => {
  net.close()
  rmSync(directory, { recursive: true, force: true })
  process.exit(130)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
try {
  const agents = writeAgents(net)
  const environment = { BAILIWICK_WEBHOOK_SECRET_BENCH: WEBHOOK_SECRET }
  const parts = { directory, agents, interface: options.on ?? net.interface, environment }
  if (options.idle)
    await idle(
      (port) => start({ ...parts, config: writeSettings(port) }),
      say,
      Number(options.scrape),
    )
  else if (options.storm)
    await storm(
      net,
      WEBHOOK_SECRET,
      (port) => start({ ...parts, config: writeSettings(port) }),
      say,
      Number(options.minutes),
    )
  else await measure(net, parts)
} finally {
  net.close()
  if (!options.keep) rmSync(directory, { recursive: true, force: true })
}
