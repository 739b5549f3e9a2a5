// Numbers in the text format of Prometheus: what the parts of a process count, and the process itself. What the
// parts hand over is checked here, because a label from outside could otherwise grow without end.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Observed, Sample } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { readinessOf } from './readiness.ts'

/** Series that all parts together may show. */
export const SERIES_MAX = 2000
const LABEL_VALUE_MAX = 128
const LABELS_MAX = 6
const NAME = /^[a-z][a-z0-9_]{0,100}$/
/** Names of our own begin with it. */
const PREFIX = 'bailiwick_'

/**
 * The numbers of one process. The event loop's delay and the garbage collector are watched once somebody has asked for
 * them: looking a hundred times a second is most of what an idle process does.
 */
export class ProcessMetrics {
  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #process = new Registry()
  /** Samples that were not shown: a wrong name, a number that is none, or one too many. */
  #dropped = 0
  #watching = false

  /** @param name of the process. */
  async text(name: string, observed: Iterable<Observed>): Promise<string> {
    if (!this.#watching) collectDefaultMetrics({ register: this.#process })
    this.#watching = true
    const parts = [...observed]
    const samples = parts.flatMap((part) => part.samples())
    const { ready } = readinessOf(parts)
    samples.push({
      name: 'ready',
      help: '1 while the process gets on with its work',
      kind: 'gauge',
      labels: { process: name },
      value: ready ? 1 : 0,
    })
    const shown = new Registry()
    const { series, dropped } = seriesOf(samples)
    this.#dropped += dropped
    if (this.#dropped > 0)
      series.set('metrics_dropped_total', [
        {
          name: 'metrics_dropped_total',
          help: 'Samples that could not be shown: a wrong name or number, or too many',
          kind: 'counter',
          value: this.#dropped,
        },
      ])
    for (const [metric, ofOne] of series) register(shown, metric, ofOne)
    return `${await shown.metrics()}\n${await this.#process.metrics()}`
  }

  close(): void {
    this.#process.clear()
  }
}

/** Samples by name, those that can be shown; a name has the kind of its first sample. */
function seriesOf(samples: readonly Sample[]): { series: Map<string, Sample[]>; dropped: number } {
  const series = new Map<string, Sample[]>()
  let count = 0
  let dropped = 0
  for (const sample of samples) {
    const name = sample.name.startsWith(PREFIX) ? sample.name.slice(PREFIX.length) : sample.name
    const before = series.get(name)
    if (!sound(name, sample) || (before?.[0]?.kind ?? sample.kind) !== sample.kind) dropped++
    else if (count >= SERIES_MAX) dropped++
    else {
      count++
      if (before === undefined) series.set(name, [sample])
      else before.push(sample)
    }
  }
  return { series, dropped }
}

function sound(name: string, { kind, labels = {}, value }: Sample): boolean {
  const names = Object.keys(labels)
  return (
    NAME.test(name) &&
    names.length <= LABELS_MAX &&
    names.every((one) => NAME.test(one)) &&
    Number.isFinite(value) &&
    (kind === 'gauge' || value >= 0)
  )
}

/** Samples with the same labels add up: several parts may count the same thing. */
function register(registry: Registry, name: string, samples: readonly Sample[]): void {
  const { help, kind } = samples[0]!
  const labelNames = [...new Set(samples.flatMap(({ labels = {} }) => Object.keys(labels)))]
  const settings = {
    name: `${PREFIX}${name}`,
    help: printable(help),
    labelNames,
    registers: [registry],
  }
  const metric = kind === 'counter' ? new Counter(settings) : new Gauge(settings)
  for (const { labels = {}, value } of samples) {
    const shown = Object.entries(labels).map(([key, text]) => [
      key,
      printable(text).slice(0, LABEL_VALUE_MAX),
    ])
    metric.inc(Object.fromEntries(shown), value)
  }
}
