// How the worker's memory goes over a long run at full speed: sensors run one after the other, so that there is always
// something to do, and the worker's resident memory is looked at every 10 seconds. The slope is that of a line through
// the samples after the first 5 minutes (least squares).

import { join } from 'node:path'
import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM } from '../src/bus/bus.ts'
import { MeasuredProcess } from './measured-process.ts'
import { type Broker, FrontStore, MAIN, pause } from './pipeline-stage.ts'

const SAMPLE_MILLIS = 10_000
const WARM_MINUTES = 5
/** Of each partition: what was consumed need not be kept. */
const RETENTION_BYTES = 256 << 20

export interface MemoryRun {
  minutes: number
  directory: string
  log: string
  agents: string
  partitions: number
  say: (text: string) => void
}

interface Sample {
  minute: number
  mib: number
}

/** MiB a minute. */
export function slope(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length
  const minute = mean((sample) => sample.minute)
  const mib = mean((sample) => sample.mib)
  let above = 0
  let below = 0
  for (const sample of samples) {
    above += (sample.minute - minute) * (sample.mib - mib)
    below += (sample.minute - minute) ** 2
  }
  return above / below
}

export async function memoryOverTime(broker: Broker, run: MemoryRun): Promise<void> {
  const { directory, say } = run
  await broker.topics([CHUNK_STREAM, DEAD_STREAM, ALERT_STREAM], run.partitions, RETENTION_BYTES)
  const store = await FrontStore.start(join(directory, 'store'))
  const worker = new MeasuredProcess([
    ...[process.execPath, MAIN, 'worker', '--agents', run.agents],
    ...['--kafka', broker.address, '--store', store.target],
  ])
  await broker.joined('bailiwick-workers', 1)
  const start = performance.now()
  const minute = () => (performance.now() - start) / 60_000
  let over = false
  const feeding = (async () => {
    for (let i = 0; !over; i++) {
      const spool = join(directory, `spool-${i}`)
      await new MeasuredProcess([
        ...[process.execPath, MAIN, 'sensor', run.log, '--kafka', broker.address],
        ...['--spool', spool, '--sensor-id', `bench-${i}`],
      ]).done()
    }
  })()
  feeding.catch(() => {})
  const samples: Sample[] = []
  while (minute() < run.minutes) {
    await Promise.race([pause(SAMPLE_MILLIS), feeding, worker.ended])
    if (worker.child.exitCode !== null) throw new Error(`the worker ended: ${worker.said}`)
    samples.push({ minute: minute(), mib: worker.look().rss / 2 ** 20 })
    const { minute: now, mib } = samples.at(-1)!
    if (samples.length % 6 === 0) {
      const flows = await store.number('SELECT count() AS n FROM flow_records')
      say(
        `minute ${now.toFixed(1).padStart(5)}  ${mib.toFixed(1)} MiB, ${(flows / 1e6).toFixed(1)} M flows`,
      )
    }
  }
  over = true
  await feeding
  const flows = await store.number('SELECT count() AS n FROM flow_records')
  const counted = samples.filter((sample) => sample.minute >= WARM_MINUTES)
  say(
    `memory      ${(slope(counted) * 10).toFixed(2)} MiB in 10 minutes, over ${counted.length} samples after minute ${WARM_MINUTES} of ${run.minutes}; ${(flows / run.minutes / 60 / 1000).toFixed(1)} k flows/s; worker ${worker.usage.cpu.toFixed(0)} CPU s, peak ${(worker.peak / 2 ** 20).toFixed(0)} MiB`,
  )
  await worker.stop()
  await store.stop()
}
