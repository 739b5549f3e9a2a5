// Where each lane of each origin stands: sequence numbers of a lane go up by the number of lanes, so a larger step is
// loss, and a smaller number is a chunk that came twice. One of these belongs to one claim: who loses a partition
// forgets where its lanes stood.
//
// How many lanes a sensor has stands in no message. It is the smallest step that was seen of that sensor: lost chunks
// make steps larger, nothing makes them smaller. So what is lost among the very first chunks is left to the auditor.

import { LRUCache } from 'lru-cache'
import type { ChunkHeader } from '../chunk-header.ts'

/** Sequence numbers that never came: `first`, `first + step`, … `last`. */
export interface Gap {
  origin: string
  first: number
  last: number
  count: number
}

/** What a chunk's number says of those before it. */
export interface Seen {
  duplicate: boolean
  gap: Gap | undefined
}

/** A lane of an origin that is seen for the first time: what came before has to be asked of the store. */
export interface FirstSight {
  origin: string
  lane: number
  lanes: number
  seq: number
}

interface Mark {
  seq: number
  /** Path of the piece, '' for a whole chunk. */
  piece: string
}

/** Lanes that are remembered: those not heard of for longest are forgotten. */
const MARKS_MAX = 50_000
const SENSORS_MAX = 10_000
/** First sights that wait to be asked about. */
const FIRSTS_MAX = 1000

/** Steps of sensors, which hold in all partitions. */
export class LaneSteps {
  readonly #steps = new LRUCache<string, number>({ max: SENSORS_MAX })

  of(sensor: string): number | undefined {
    return this.#steps.get(sensor)
  }

  /** Takes a step that was seen. */
  learn(sensor: string, step: number): void {
    const known = this.#steps.get(sensor)
    if (known === undefined || step < known) this.#steps.set(sensor, step)
  }

  /** Takes a lane that was seen: a sensor that was started with more lanes begins anew. */
  noteLane(sensor: string, lane: number): void {
    const known = this.#steps.get(sensor)
    if (known !== undefined && lane >= known) this.#steps.delete(sensor)
  }
}

export class Watermarks {
  readonly #steps: LaneSteps
  readonly #marks = new LRUCache<string, Mark>({ max: MARKS_MAX })
  readonly #firsts = new Map<string, { sensor: string } & Omit<FirstSight, 'lanes'>>()

  constructor(steps: LaneSteps) {
    this.#steps = steps
  }

  /** @param lane of the message's key */
  see({ sensor, origin, seq, piece }: ChunkHeader, lane: number): Seen {
    const name = `${lane} ${origin}`
    this.#steps.noteLane(sensor, lane)
    const path = piece?.path ?? ''
    const mark = this.#marks.get(name)
    if (mark === undefined) {
      this.#marks.set(name, { seq, piece: path })
      if (this.#firsts.size < FIRSTS_MAX) this.#firsts.set(name, { sensor, origin, lane, seq })
      return { duplicate: false, gap: undefined }
    }
    // Pieces of one chunk come in the order of their paths.
    if (seq < mark.seq || (seq === mark.seq && path <= mark.piece))
      return { duplicate: true, gap: undefined }
    this.#marks.set(name, { seq, piece: path })
    const step = seq - mark.seq
    if (step === 0) return { duplicate: false, gap: undefined }
    this.#steps.learn(sensor, step)
    const lanes = this.#steps.of(sensor)!
    const count = Math.ceil(step / lanes) - 1
    const gap =
      count === 0
        ? undefined
        : { origin, first: mark.seq + lanes, last: mark.seq + count * lanes, count }
    return { duplicate: false, gap }
  }

  /** Lanes that were seen for the first time and whose number of lanes is known; each is returned once. */
  takeFirstSights(): FirstSight[] {
    const sights: FirstSight[] = []
    for (const [name, { sensor, origin, lane, seq }] of this.#firsts) {
      const lanes = this.#steps.of(sensor)
      // A lane beyond the number of lanes shows that the number is not known yet.
      if (lanes === undefined || lane >= lanes) continue
      this.#firsts.delete(name)
      sights.push({ origin, lane, lanes, seq })
    }
    return sights
  }
}

/**
 * What is missing right before the first number that was seen of a lane.
 * @param highest the highest that the store has settled of the lane, undefined if nothing is
 */
export function gapBefore(
  { origin, lane, lanes, seq }: FirstSight,
  highest: number | undefined,
): Gap | undefined {
  const first = highest === undefined ? lane : highest + lanes
  const count = Math.ceil((seq - first) / lanes)
  return count <= 0 ? undefined : { origin, first, last: first + (count - 1) * lanes, count }
}
