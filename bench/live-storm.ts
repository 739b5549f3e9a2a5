// Storms: 10,000 flows that are out of scope, each to a destination of its own, within a minute, one minute after the
// other. What counts: every one is an alert that is stored, told to the live stream's listeners or to be had from the
// API, and brought by a webhook; messages are few; memory levels off; the API answers meanwhile.

import type { Deployment } from './live-deployment.ts'
import type { LiveNet } from './live-net.ts'
import { ask, OWN_AGENT, startAnswering, startReceiver, startStream } from './live-run.ts'
import type { MeasuredProcess } from './measured-process.ts'
import { percentiles } from './percentiles.ts'
import { pause } from './pipeline-stage.ts'

const FLOWS = 10_000
const SECONDS = 60
/** Where others need the processors, too, the store comes long after. */
const TAIL_MILLIS = 600_000
const REST_MILLIS = 30_000

export async function storm(
  net: LiveNet,
  secret: string,
  start: (webhookPort: number) => Promise<Deployment>,
  say: (text: string) => void,
  minutes: number,
): Promise<void> {
  const open: MeasuredProcess[] = []
  let deployment: Deployment | undefined
  try {
    const receiver = await startReceiver(secret)
    open.push(receiver.process, await startAnswering())
    deployment = await start(receiver.port)
    const stream = await startStream(deployment)
    open.push(stream.process)
    const watch = new Watch(deployment)
    const asked: Awaited<ReturnType<typeof ask>> = []
    for (let minute = 1; minute <= minutes; minute++) {
      const rate = FLOWS / SECONDS
      const plan = { rate, count: FLOWS, kinds: 'tls,http', prefix: `storm${minute}x`, skip: 0 }
      asked.push(...(await ask(net, plan)))
      say(`after minute ${minute}: ${watch.memoryWords()}`)
    }
    const brought = () => new Set(receiver.heard.map(({ alert }) => alert))
    const end = Date.now() + TAIL_MILLIS
    while (brought().size < asked.length && Date.now() < end) await pause()
    const after = () => ((Date.now() - (end - TAIL_MILLIS)) / 1000).toFixed(1)
    const tail = after()
    while ((await deployment.waiting()) > 0 && Date.now() < end) await pause()
    const stored = after()
    // What was held for the storm alone is let go.
    await pause(REST_MILLIS)
    say(`${REST_MILLIS / 1000} s later: ${watch.memoryWords()}`)
    await watch.stop()
    const dropped = await deployment.dropped()
    await deployment.stop()
    const findings = await deployment.findings(OWN_AGENT)
    const kept = new Set([...findings.values()].map(({ destination }) => destination))
    const wanted = new Set(asked.map(({ destination }) => destination))
    const lost = [...wanted].filter((destination) => !kept.has(destination))
    const byHook = brought()
    const told = new Set(stream.heard.map(({ alert }) => alert))
    const unsent = [...findings.keys()].filter((id) => !byHook.has(id))
    const messages = new Set(receiver.heard.map(({ message }) => message)).size
    say(
      [
        `flows ${asked.length}, destinations ${wanted.size}, alerts stored ${findings.size}, lost ${lost.length}`,
        `alerts brought by the webhook ${byHook.size} in ${messages} messages, never brought ${unsent.length}; the last ${tail} s after the storm`,
        `alerts on the live stream ${told.size}`,
        `everything stored ${stored} s after the storm; packets dropped ${dropped}`,
        ...watch.words(),
      ].join('\n'),
    )
  } finally {
    for (const one of open) one.child.stdin?.end()
    await Promise.all(open.map((one) => one.stop()))
    await deployment?.close()
  }
}

/** Memory once a second, and how long the API takes to answer. */
class Watch {
  readonly #deployment: Deployment
  readonly #memory: number[] = []
  readonly #answers: number[] = []
  /** Chunks that are not stored yet. */
  readonly #waiting: number[] = []
  #refused = 0
  #held = 0
  #over = false
  readonly #running: Promise<void>

  constructor(deployment: Deployment) {
    this.#deployment = deployment
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    const { address, token } = this.#deployment
    while (!this.#over) {
      const all = [...this.#deployment.usage().values()]
      this.#memory.push(all.reduce((sum, { rss }) => sum + rss, 0) / 2 ** 20)
      this.#held = await this.#deployment.metric('bailiwick_alerts_held')
      this.#waiting.push(await this.#deployment.waiting())
      const from = performance.now()
      const answer = await fetch(`${address}/api/v1/alerts?limit=100`, {
        headers: { authorization: `Bearer ${token}` },
      }).catch(() => undefined)
      await answer?.arrayBuffer()
      if (answer?.ok === true) this.#answers.push(performance.now() - from)
      else this.#refused++
      await pause(1000)
    }
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#running
  }

  /** Of the last 20 looks, and how many alerts are remembered. */
  memoryWords(): string {
    const last = this.#memory.slice(-20)
    const mean = last.reduce((sum, one) => sum + one, 0) / last.length
    return `${mean.toFixed(0)} MiB, ${this.#held} alerts remembered`
  }

  words(): string[] {
    const every = (all: readonly number[]) =>
      all
        .filter((_, i) => i % 10 === 0)
        .map((one) => one.toFixed(0))
        .join(' ')
    const { count, p50, max } = percentiles(this.#answers)
    return [
      `memory of the tree about every 10 s: ${every(this.#memory)} MiB`,
      `chunks that wait for the store: ${every(this.#waiting)}`,
      `the API answered ${count} times, p50 ${p50.toFixed(0)} ms, max ${max.toFixed(0)} ms; refused ${this.#refused}`,
    ]
  }
}
