// Live capture as the rest of the house sees it: packets of interfaces in, chunks out, and what became of every
// interface. Each interface has a process of its own that reads packets and keeps the flow table.

import type { Log, Observed, Readiness, Sample } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { cannotBegin } from './cannot-begin.ts'
import { INTERFACE_NAME } from './interfaces.ts'
import { Keeper } from './keeper.ts'
import type { LiveEvent, LiveSettings } from './live-event.ts'

export type { Backend, LiveErrorKind, LiveEvent, LiveSettings, LiveState } from './live-event.ts'
export { BACKENDS, LiveError } from './live-event.ts'

/** Chunks that were read and not taken; with more, nothing is read. */
const UNTAKEN_BYTES_MAX = 4 << 20

/** Captures on interfaces until it is stopped. */
export class LiveCapture implements Observed {
  readonly #log: Log
  readonly #keepers: Keeper[] = []
  readonly #events: LiveEvent[] = []
  #bytes = 0
  #running = 0
  #failure: unknown
  #wake = () => {}
  readonly #ended: Promise<unknown>

  /** Starts a process for each interface. @param log takes what operators should know */
  static start(settings: LiveSettings, log: Log): LiveCapture {
    return new LiveCapture(settings, log)
  }

  private constructor(settings: LiveSettings, log: Log) {
    this.#log = log
    const interfaces = [...new Set(settings.interfaces)]
    const wrong = interfaces.find((name) => !INTERFACE_NAME.test(name))
    const sink = {
      event: (event: LiveEvent) => this.#push(event),
      isFull: () => this.#bytes > UNTAKEN_BYTES_MAX,
    }
    if (wrong !== undefined) this.#failure = cannotBegin('no_interface', wrong, '', '')
    else
      for (const name of interfaces) {
        const among = settings.among ?? interfaces
        this.#keepers.push(new Keeper(name, { ...settings, interfaces: among }, sink))
      }
    this.#running = this.#keepers.length
    this.#ended = Promise.all(
      this.#keepers.map(async (keeper) => {
        try {
          await keeper.run()
        } catch (error) {
          this.#failure ??= error
          for (const other of this.#keepers) other.stop()
        } finally {
          this.#running--
          this.#wake()
        }
      }),
    )
  }

  /**
   * What comes, to be taken by one reader; where it is slow, capture waits and the kernel drops and counts. Ends after
   * `stop`, when the last chunks are taken.
   * @throws LiveError if capture cannot begin on an interface. An interface that was there before is waited for.
   */
  async *events(): AsyncGenerator<LiveEvent, void, void> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) {
        if (event.type === 'chunk') {
          this.#bytes -= event.chunk.length
          if (this.#bytes <= UNTAKEN_BYTES_MAX / 2) for (const one of this.#keepers) one.resume()
        }
        yield event
      } else if (this.#running === 0) break
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Stops capturing: flows that are open are written, and the last chunks come. Resolves when all processes ended. */
  async stop(): Promise<void> {
    for (const keeper of this.#keepers) keeper.stop()
    await this.#ended
  }

  #push(event: LiveEvent): void {
    if (event.type === 'chunk') this.#bytes += event.chunk.length
    if (event.type === 'state') this.#tell(event)
    if (event.type === 'note') this.#log('warn', event.detail, { interface: event.interface })
    // Numbers that nobody took are old when newer ones come.
    const at = event.type === 'stats' ? this.#events.findIndex((one) => isSame(one, event)) : -1
    if (at >= 0) this.#events[at] = event
    else this.#events.push(event)
    this.#wake()
  }

  #tell({ interface: name, state, backend, detail }: LiveEvent & { type: 'state' }): void {
    const fields = { interface: name, ...(backend !== '' && { backend }) }
    if (state === 'capturing') this.#log('info', `capturing ${detail}`, fields)
    else if (state === 'retrying') this.#log('warn', `capture lost: ${detail}`, fields)
  }

  samples(): Sample[] {
    return this.#keepers.flatMap(({ name, totals, restarts, state }) => {
      const labels = { interface: name }
      const sample = (kind: Sample['kind'], metric: string, help: string, value: number) => {
        return { name: `capture_${metric}`, help, kind, labels, value }
      }
      return [
        sample('gauge', 'up', '1 while packets are captured', state === 'capturing' ? 1 : 0),
        sample('counter', 'packets_total', 'Packets decoded', totals.packets),
        sample('counter', 'received_total', 'Packets that passed the filter', totals.received),
        sample('counter', 'dropped_total', 'Packets lost because we were behind', totals.dropped),
        sample(
          'counter',
          'interface_dropped_total',
          'Packets lost by the interface or its driver',
          totals.interfaceDropped,
        ),
        sample('counter', 'restarts_total', 'Times that capture had to begin again', restarts),
        sample('gauge', 'queue_bytes', 'Bytes of chunks not yet taken', totals.queueBytes),
        sample('gauge', 'open_flows', 'Flows in the table', totals.flowsOpen),
      ]
    })
  }

  readiness(): Readiness {
    const reasons = this.#keepers
      .filter(({ state }) => state !== 'capturing')
      .map(({ name, state, detail }) => `${name}: ${state}${detail === '' ? '' : `, ${detail}`}`)
    return { ready: reasons.length === 0, reason: printable(reasons.join('; ')) }
  }
}

function isSame(one: LiveEvent, other: LiveEvent): boolean {
  return one.type === other.type && one.interface === other.interface
}
