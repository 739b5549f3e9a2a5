// Going on where an earlier reading of the same input stopped: the rows that were sent are made again and thrown away,
// except those of the last chunk, which is made again so that it can be compared. Where it was cut stands in counts of
// rows, because an input that goes on is also cut by time.

/** How far an input has come: rows written so far, in all chunks. */
export interface ChunkPlace {
  flow_records: number
  coverage: number
  rejects: number
}

export interface ResumeAt {
  /** Sequence number of the last chunk that was sent. */
  seq: number
  /** Where that chunk begins and where it was cut. */
  from: ChunkPlace
  to: ChunkPlace
}

export const CHUNK_START: Readonly<ChunkPlace> = { flow_records: 0, coverage: 0, rejects: 0 }

/**
 * What is to be done before the next row is added: `keep` nothing, `discard` all rows at hand, `cut` them into the
 * chunk that is to be compared, or nothing ever again, because this is not the input that it was (`diverged`).
 */
export type ResumeStep = 'keep' | 'discard' | 'cut' | 'diverged'

/** Follows an input through what is known of it. Once it is `done`, nobody needs it any more. */
export class Resumption {
  state: 'before' | 'inside' | 'done' | 'diverged'
  readonly #at: ResumeAt

  constructor(at: ResumeAt) {
    this.#at = at
    this.state = isAt(at.from, CHUNK_START) ? 'inside' : 'before'
  }

  /** @param place rows written so far. At a place where nothing was cut, the answer is `keep`. */
  step(place: ChunkPlace): ResumeStep {
    const { from, to } = this.#at
    if (this.state === 'before' && isAt(place, from)) {
      this.state = 'inside'
      return 'discard'
    }
    if (this.state === 'inside' && isAt(place, to)) {
      this.state = 'done'
      return 'cut'
    }
    // A part that is past its place while another is short of it: the two will never be reached together.
    if (isPast(place, this.state === 'before' ? from : to)) this.state = 'diverged'
    return this.state === 'diverged' ? 'diverged' : 'keep'
  }
}

function isAt(place: ChunkPlace, other: ChunkPlace): boolean {
  return (
    place.flow_records === other.flow_records &&
    place.coverage === other.coverage &&
    place.rejects === other.rejects
  )
}

function isPast(place: ChunkPlace, other: ChunkPlace): boolean {
  return (
    place.flow_records > other.flow_records ||
    place.coverage > other.coverage ||
    place.rejects > other.rejects
  )
}
