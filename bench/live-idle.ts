// What a server uses while nothing happens: the whole process tree, after a minute without input, over windows of a
// minute and on the whole. `lo` is that of a network namespace of its own, where no packet passes; on a pair of virtual
// interfaces the kernel's own IPv6 messages do. With `scrapeSeconds` its metrics are read meanwhile, as Prometheus does.

import type { Deployment } from './live-deployment.ts'
import { startReceiver } from './live-run.ts'
import { pause } from './pipeline-stage.ts'

const QUIET_MILLIS = 60_000
const WINDOW_MILLIS = 60_000
const WINDOWS = 5

export async function idle(
  start: (webhookPort: number) => Promise<Deployment>,
  say: (text: string) => void,
  scrapeSeconds: number,
): Promise<void> {
  const receiver = await startReceiver('whsec_bm9ib2R5IHNlbmRzIGFueXRoaW5nIGhlcmU=')
  const deployment = await start(receiver.port)
  const scraping =
    scrapeSeconds > 0
      ? setInterval(() => void deployment.metric('bailiwick_ready'), scrapeSeconds * 1000)
      : undefined
  try {
    await pause(QUIET_MILLIS)
    const begun = deployment.usage()
    const windows = new Map([...begun.keys()].map((name) => [name, [] as number[]]))
    for (let before = begun; windows.values().next().value!.length < WINDOWS; ) {
      await pause(WINDOW_MILLIS)
      const now = deployment.usage()
      for (const [name, { cpu }] of now)
        windows.get(name)!.push(((cpu - before.get(name)!.cpu) / (WINDOW_MILLIS / 1000)) * 100)
      before = now
    }
    for (const [name, shares] of windows) {
      const mean = shares.reduce((sum, one) => sum + one, 0) / shares.length
      const rss = deployment.usage().get(name)!.rss / 2 ** 20
      say(
        `${name}: ${mean.toFixed(2)} % of a core on the whole; over windows of ${WINDOW_MILLIS / 1000} s ${shares.map((one) => one.toFixed(2)).join(' ')} %; ${rss.toFixed(0)} MiB`,
      )
    }
  } finally {
    clearInterval(scraping)
    await deployment.close()
    receiver.process.child.stdin?.end()
    await receiver.process.stop()
  }
}
