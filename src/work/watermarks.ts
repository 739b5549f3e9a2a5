// Where each lane of each origin stands, which is its numbers of one remainder: they go up by the number of lanes, so a
// larger step is loss, and a smaller number is a chunk that came twice. One of these belongs to one claim: who loses a
// partition forgets where its lanes stood. What sensors of before sent, without the number of lanes, is left to the
// auditor.

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
/** First sights that wait to be asked about. */
const FIRSTS_MAX = 1000

export class Watermarks {
  readonly #marks = new LRUCache<string, Mark>({ max: MARKS_MAX })
  readonly #firsts: FirstSight[] = []

  see({ origin, seq, piece, lanes }: ChunkHeader): Seen {
    if (lanes === undefined) return { duplicate: false, gap: undefined }
    const lane = seq % lanes
    // A sensor that was started again with another number of lanes has other lanes.
    const name = `${lane}/${lanes} ${origin}`
    const path = piece?.path ?? ''
    const mark = this.#marks.get(name)
    if (mark === undefined) {
      this.#marks.set(name, { seq, piece: path })
      // Nothing can be missing before the first of a lane.
      if (seq >= lanes && this.#firsts.length < FIRSTS_MAX)
        this.#firsts.push({ origin, lane, lanes, seq })
      return { duplicate: false, gap: undefined }
    }
    // Pieces of one chunk come in the order of their paths.
    if (seq < mark.seq || (seq === mark.seq && path <= mark.piece))
      return { duplicate: true, gap: undefined }
    this.#marks.set(name, { seq, piece: path })
    const count = Math.max(0, (seq - mark.seq) / lanes - 1)
    const gap =
      count === 0 ? undefined : { origin, first: mark.seq + lanes, last: seq - lanes, count }
    return { duplicate: false, gap }
  }

  /** Lanes that were seen for the first time; each is returned once. */
  takeFirstSights(): FirstSight[] {
    return this.#firsts.splice(0)
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
  const count = (seq - first) / lanes
  return count <= 0 ? undefined : { origin, first, last: first + (count - 1) * lanes, count }
}
