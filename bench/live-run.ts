// One run of bench/live.ts: everybody is started, the other traffic flows, the agent asks, and what was heard is joined
// with what the store says of the deciding packets.

import { fileURLToPath } from 'node:url'
import type { Deployment } from './live-deployment.ts'
import type { Heard } from './live-ears.ts'
import type { LiveNet } from './live-net.ts'
import type { Asked } from './live-traffic.ts'
import { MeasuredProcess, treeUsage } from './measured-process.ts'
import { machineCpu, pause } from './pipeline-stage.ts'

/** The agent that leaves its scope. */
export const OWN_AGENT = 'spiffe://bench.example/agent/own'
const PORT = 8443
/** Connections before those that count: programs that have just started are slower. */
const WARM_UP = 60
/** The other traffic flows for so long before anything is measured. */
const SETTLE_MILLIS = 5000
/** What is still to be heard when the last connection was made is waited for. */
const TAIL_MILLIS = 15_000
/** Packets that tcpreplay sends together, so that it sleeps in between. */
const TOGETHER = 20
const HERE = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export interface Plan {
  connections: number
  /** A second. */
  rate: number
  /** See live-traffic.ts. */
  kinds: string
  /** A second, of other traffic. */
  packets: number
  /** The other traffic. */
  capture: string
  secret: string
}

/** Milliseconds from the capture of the deciding packet. */
export interface Latency {
  kind: string
  durable: number
  stream: number
  webhook: number
  /** From when the deciding bytes were handed to the kernel to their capture. */
  sent: number
}

export interface Outcome {
  asked: number
  latencies: Latency[]
  /** Destinations that were asked and of which something was not heard. */
  lost: string[]
  notes: string[]
}

const bench = (name: string, ...args: readonly string[]) =>
  new MeasuredProcess([process.execPath, HERE(name), ...args])

/** Lines of JSON of a process as they come. @param each is given the moment of none */
export async function lines<T>(from: MeasuredProcess, each: (value: T) => void): Promise<void> {
  for (;;) {
    const line = await from.line().catch(() => undefined)
    if (line === undefined) return
    each(JSON.parse(line) as T)
  }
}

/** Starts the receiver of webhooks. */
export async function startReceiver(secret: string) {
  const receiver = bench('live-ears.js', 'webhook', secret)
  const port = Number(await receiver.line())
  const heard: Heard[] = []
  void lines<Heard>(receiver, (one) => heard.push(one))
  return { process: receiver, port, heard }
}

export async function startStream(deployment: Deployment) {
  const url = `${deployment.address}/api/v1/stream`
  const stream = bench('live-ears.js', 'stream', url, deployment.token)
  await stream.line()
  const heard: Heard[] = []
  void lines<Heard>(stream, (one) => heard.push(one))
  return { process: stream, heard }
}

/** Somebody who answers for all targets. */
export async function startAnswering(): Promise<MeasuredProcess> {
  const answering = bench('live-traffic.js', 'answer', String(PORT))
  await answering.line()
  return answering
}

/** Has the agent open connections, and waits until it is through. */
export async function ask(
  net: LiveNet,
  of: { rate: number; count: number; kinds: string; prefix: string; skip: number },
): Promise<Asked[]> {
  const { rate, count, kinds, prefix, skip } = of
  const asking = new MeasuredProcess(
    net.asAgent([
      ...[process.execPath, HERE('live-traffic.js'), 'ask', String(net.thirdOctet), String(PORT)],
      ...[String(rate), String(count), kinds, prefix, String(skip)],
    ]),
  )
  const asked: Asked[] = []
  const reading = lines<Asked>(asking, (one) => asked.push(one))
  await asking.done()
  await reading
  return asked
}

function startOthers(net: LiveNet, { packets, capture }: Plan): MeasuredProcess | undefined {
  if (packets === 0) return undefined
  return new MeasuredProcess(
    net.asAgent([
      ...['tcpreplay', '-q', '-i', net.agentInterface, '--loop=0'],
      ...[`--pps=${packets}`, `--pps-multi=${TOGETHER}`, '--timer=nano', capture],
    ]),
  )
}

/** @param start gets the port of the webhook's receiver */
export async function measureRun(
  net: LiveNet,
  plan: Plan,
  start: (webhookPort: number) => Promise<Deployment>,
): Promise<Outcome> {
  const open: MeasuredProcess[] = []
  let deployment: Deployment | undefined
  try {
    const receiver = await startReceiver(plan.secret)
    open.push(receiver.process, await startAnswering())
    deployment = await start(receiver.port)
    const stream = await startStream(deployment)
    open.push(stream.process)
    const others = startOthers(net, plan)
    if (others !== undefined) open.push(others)
    await pause(SETTLE_MILLIS)
    const { rate, kinds, connections } = plan
    await ask(net, { rate, kinds, count: WARM_UP, prefix: 'warm', skip: connections })
    const before = look(deployment, others)
    const asked = await ask(net, { rate, kinds, count: connections, prefix: 'own', skip: 0 })
    const after = look(deployment, others)
    const wanted = WARM_UP + asked.length
    const end = Date.now() + TAIL_MILLIS
    const all = () => Math.min(distinct(receiver.heard), distinct(stream.heard)) >= wanted
    while (!all() && Date.now() < end) await pause()
    const dropped = await deployment.dropped()
    await others?.stop()
    await deployment.stop()
    const findings = await deployment.findings(OWN_AGENT)
    const joined = join(asked, findings, stream.heard, receiver.heard)
    return { ...joined, notes: [...notesOf(before, after), `packets dropped ${dropped}`] }
  } finally {
    for (const one of open) one.child.stdin?.end()
    await Promise.all(open.map((one) => one.stop()))
    await deployment?.close()
  }
}

const distinct = (heard: readonly Heard[]) => new Set(heard.map(({ alert }) => alert)).size

function look(deployment: Deployment, others: MeasuredProcess | undefined) {
  const usage = deployment.usage()
  if (others !== undefined) usage.set('other traffic', treeUsage(others.pid))
  return { usage, machine: machineCpu(), at: performance.now() }
}

type Look = ReturnType<typeof look>

/** Who used how much of a core meanwhile. */
function notesOf(before: Look, after: Look): string[] {
  const seconds = (after.at - before.at) / 1000
  const idle = (after.machine.idle - before.machine.idle) / (after.machine.all - before.machine.all)
  const each = [...after.usage].map(([name, { cpu, rss }]) => {
    const part = (cpu - (before.usage.get(name)?.cpu ?? 0)) / seconds
    return `${name} ${(part * 100).toFixed(0)} % ${(rss / 2 ** 20).toFixed(0)} MiB`
  })
  return [
    `${seconds.toFixed(0)} s; of a core: ${each.join(', ')}; machine idle ${(idle * 100).toFixed(0)} %`,
  ]
}

type Finding = Awaited<ReturnType<Deployment['findings']>> extends Map<string, infer V> ? V : never

function join(
  asked: readonly Asked[],
  findings: ReadonlyMap<string, Finding>,
  stream: readonly Heard[],
  webhook: readonly Heard[],
): Omit<Outcome, 'notes'> {
  const byDestination = new Map([...findings.values()].map((one) => [one.destination, one]))
  const first = (heard: readonly Heard[]) => {
    const map = new Map<string, Heard>()
    for (const one of heard) if (!map.has(one.alert)) map.set(one.alert, one)
    return map
  }
  const onStream = first(stream)
  const byWebhook = first(webhook)
  const latencies: Latency[] = []
  const lost: string[] = []
  for (const { kind, destination, at } of asked) {
    const finding = byDestination.get(destination)
    const seen = finding && onStream.get(finding.alert)
    const received = finding && byWebhook.get(finding.alert)
    if (finding === undefined || seen?.durable === undefined || received === undefined) {
      lost.push(
        `${destination}: ${finding ? (seen ? 'no webhook' : 'not on the stream') : 'not stored'}`,
      )
      continue
    }
    const decided = finding.decided / 1000
    latencies.push({
      kind,
      durable: seen.durable - decided,
      stream: seen.at - decided,
      webhook: received.at - decided,
      sent: decided - at,
    })
  }
  return { asked: asked.length, latencies, lost }
}
