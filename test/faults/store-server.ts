// A ClickHouse of the tests that is started again when it dies, at the same address, on the same directory.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Front, startFront } from '../store/front.ts'

export class StoreServer {
  readonly store: string
  /** Times that it died. */
  deaths = 0
  readonly #path: string
  #front: Front
  #wanted = true

  static async start(path: string): Promise<StoreServer> {
    return new StoreServer(path, await startFront({ path }))
  }

  private constructor(path: string, front: Front) {
    this.#path = path
    this.#front = front
    this.store = front.store
    this.#keep(front)
  }

  /** Makes a fault: a line of scripts/clickhouse-front/faults.mjs. While it is down, waits. */
  async tell(line: string): Promise<Record<string, unknown>> {
    for (;;) {
      const answer = await this.#front.tell(line).catch(() => undefined)
      if (answer !== undefined) return answer
      await sleep(100)
    }
  }

  /** Ends it; it is back when `pauseMillis` are over. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#front.kill(signal)
  }

  async close(): Promise<void> {
    this.#wanted = false
    await this.#front.kill('SIGKILL')
  }

  #keep(front: Front): void {
    void front.gone.then(async () => {
      if (!this.#wanted) return
      this.deaths++
      await sleep(300)
      const again = await startFront({ path: this.#path, port: front.port })
      if (!this.#wanted) return await again.kill('SIGKILL')
      this.#front = again
      this.#keep(again)
    })
  }
}
