// What a worker has done and how it stands, for its metrics and for whoever asks whether it gets on.

import type { Lag, Source } from '../bus/bus.ts'
import type { DeadReason } from '../bus/dead-letter.ts'
import { counter, gauge, type Observed, type Readiness, type Sample } from '../telemetry.ts'
import type { FindingSender } from './finding-sender.ts'
import type { Patience } from './patience.ts'
import type { PoisonRate } from './poison-rate.ts'
import type { StreamLosses } from './stream-losses.ts'

/** A worker with a backlog that commits nothing for so long does not get on. */
const PROGRESS_MILLIS = 60_000
/** How old an answer of the store may be. */
const ANSWER_MILLIS = 60_000

export interface ProgressParts {
  source: Source
  patience: Patience
  poison: PoisonRate
  losses: StreamLosses
  findings: FindingSender
  /** Milliseconds of a clock that does not go back. */
  clock: () => number
  threadDeaths: () => number
}

/** Counts that only go up. */
export interface WorkCounts {
  chunks: number
  records: number
  judgements: number
  findings: number
  slices: number
  commits: number
  /** Slices of which an earlier holder had begun to store. */
  replayed: number
  /** Claims that were lost while work was under way, which was dropped. */
  dropped: number
  gaps: number
  duplicates: number
  insertSeconds: number
  judgeSeconds: number
}

export class Progress implements Observed {
  readonly counts: WorkCounts = {
    chunks: 0,
    records: 0,
    judgements: 0,
    findings: 0,
    slices: 0,
    commits: 0,
    replayed: 0,
    dropped: 0,
    gaps: 0,
    duplicates: 0,
    insertSeconds: 0,
    judgeSeconds: 0,
  }
  readonly dead = new Map<DeadReason, number>()
  /** Messages that were taken and are not committed. */
  open = 0
  claims = 0
  /** Of the clock: when something last came, and was last committed. */
  lastTaken: number
  lastCommit: number
  /** Of the clock: when last nothing waited in the partitions held. What came since has not waited for longer. */
  lastIdle: number
  /** Why no more is taken, while that is so. */
  ending: string | undefined
  readonly #parts: ProgressParts

  constructor(parts: ProgressParts) {
    this.#parts = parts
    this.lastTaken = this.lastCommit = this.lastIdle = parts.clock()
  }

  /** Messages that are on the stream and not committed, of the partitions held now. */
  lag(): number {
    return this.#parts.source.lag().reduce((sum, lag) => sum + behind(lag), 0)
  }

  readiness(): Readiness {
    const { patience, poison, losses, findings, clock } = this.#parts
    const no = (reason: string) => ({ ready: false, reason })
    if (this.ending !== undefined) return no(this.ending)
    if (patience.trouble !== undefined) return no(`waits for the store: ${patience.trouble}`)
    const [trouble] = losses.troubles
    if (trouble !== undefined) return no(`waits for ${trouble[0]}: ${trouble[1]}`)
    if (findings.trouble !== undefined) return no(findings.trouble)
    if (poison.slow)
      return no(
        `${poison.bad} of the last 1000 messages could not be worked on: look at the dead letters, and at what was deployed last; one message a second is tried`,
      )
    const since = clock() - Math.max(this.lastCommit, this.lastIdle)
    const lag = this.lag()
    if (lag > 0 && since > PROGRESS_MILLIS)
      return no(
        `nothing was committed for ${Math.round(since / 1000)} s, and ${lag} messages wait: look at the log of this worker`,
      )
    const { answeredAt } = patience
    if (answeredAt === undefined || clock() - answeredAt > ANSWER_MILLIS)
      return no('the store has not answered lately')
    return { ready: true, reason: lag === 0 ? 'nothing waits' : `${lag} messages wait` }
  }

  samples(): Sample[] {
    const { counts } = this
    const { source, patience, losses, findings, threadDeaths } = this.#parts
    return [
      gauge('consumer_lag_messages', 'Messages that are not committed yet.', this.lag()),
      gauge('consumer_claims', 'Partitions held.', this.claims),
      gauge('consumer_open_messages', 'Messages taken and not committed.', this.open),
      gauge('consumer_in_flight_bytes', 'Bytes of them.', source.counters.inFlightBytes),
      counter('consumer_delivered_total', 'Messages taken.', source.counters.delivered),
      counter('consumer_delivered_bytes_total', 'Bytes taken.', source.counters.deliveredBytes),
      counter('consumer_pauses_total', 'Stops at the limit in flight.', source.counters.pauses),
      counter('consumer_commits_total', 'Positions committed.', counts.commits),
      counter('consumer_claims_lost_total', 'Partitions lost.', source.counters.claimsLost),
      counter('consumer_holes_total', 'Holes found in the stream.', source.counters.holes),
      counter('chunks_stored_total', 'Chunks and pieces stored.', counts.chunks),
      counter('records_stored_total', 'Flow records stored.', counts.records),
      counter('judgements_stored_total', 'Judgements stored.', counts.judgements),
      counter('findings_stored_total', 'Findings stored.', counts.findings),
      counter('findings_sent_total', 'Findings that are with whoever acts on them.', findings.sent),
      gauge('findings_open_chunks', 'Chunks whose findings are on their way there.', findings.open),
      counter('slices_stored_total', 'Slices stored.', counts.slices),
      counter('slice_replayed_total', 'Slices that another had begun.', counts.replayed),
      counter('slice_dropped_total', 'Slices dropped with a lost partition.', counts.dropped),
      counter('insert_seconds_total', 'Time in inserts.', counts.insertSeconds),
      counter('judge_seconds_total', 'Time in judging slices.', counts.judgeSeconds),
      counter('store_retries_total', 'Tries that the store failed.', patience.retries),
      counter('seq_gap_total', 'Sequence numbers that never came.', counts.gaps),
      counter('seq_duplicate_total', 'Chunks that came again.', counts.duplicates),
      {
        ...counter('worker_restart_total', 'What was started anew, by cause.', threadDeaths()),
        labels: { cause: 'thread_died' },
      },
      {
        ...counter('worker_restart_total', 'What was started anew, by cause.', losses.restarts),
        labels: { cause: 'consumer_ended' },
      },
      counter('losses_untold_total', 'Losses that are only in the log.', losses.untold),
      ...[...this.dead].map(([reason, value]) => ({
        ...counter('dlq_total', 'Messages given up, by reason.', value),
        labels: { reason },
      })),
    ]
  }
}

function behind({ committed, end }: Lag): number {
  return end > committed ? Number(end - committed) : 0
}
