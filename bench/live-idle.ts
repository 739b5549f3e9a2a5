// What a server uses while nothing happens: the whole process tree, after a minute without input.

import type { Deployment } from './live-deployment.ts'
import { startReceiver } from './live-run.ts'
import { pause } from './pipeline-stage.ts'

const QUIET_MILLIS = 60_000
const LOOK_MILLIS = 30_000

export async function idle(
  start: (webhookPort: number) => Promise<Deployment>,
  say: (text: string) => void,
): Promise<void> {
  const receiver = await startReceiver('whsec_bm9ib2R5IHNlbmRzIGFueXRoaW5nIGhlcmU=')
  const deployment = await start(receiver.port)
  try {
    await pause(QUIET_MILLIS)
    for (let look = 1; look <= 3; look++) {
      const before = deployment.usage()
      await pause(LOOK_MILLIS)
      for (const [name, { cpu, rss }] of deployment.usage()) {
        const part = (cpu - before.get(name)!.cpu) / (LOOK_MILLIS / 1000)
        say(
          `${name}: ${(part * 100).toFixed(2)} % of a core over ${LOOK_MILLIS / 1000} s, ${(rss / 2 ** 20).toFixed(0)} MiB`,
        )
      }
    }
  } finally {
    await deployment.close()
    receiver.process.child.stdin?.end()
    await receiver.process.stop()
  }
}
