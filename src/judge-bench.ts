// What serves one chunk after the other under a snapshot: what was learnt of addresses, judgements that were made, and
// memory that is used again. It holds nothing of a chunk.

import { AddressFacts } from './address-facts.ts'
import type { Block } from './block.ts'
import type { EvidenceColumns } from './deciding.ts'
import type { Agent } from './identity/agent.ts'
import { JudgementBook } from './judgement-book.ts'
import type { OutcomeBlocks } from './outcome.ts'
import type { Snapshot } from './snapshot.ts'

/** Largest block whose memory is kept for the next chunk: four times what a chunk of ours has. */
const KEPT_ROWS_MAX = 32_768

export class Bench {
  /** By id. */
  readonly agents: ReadonlyMap<string, Agent>
  readonly addresses: AddressFacts
  readonly book: JudgementBook
  #block: Block<EvidenceColumns> | undefined
  #blocks: OutcomeBlocks | undefined

  constructor(snapshot: Snapshot) {
    this.agents = new Map(snapshot.agents.map((agent) => [agent.id, agent]))
    this.addresses = new AddressFacts(snapshot)
    // Nobody outside knows the agents' files, so their hash is secret enough to hash with.
    this.book = new JudgementBook(snapshot.hash)
  }

  /** Memory for a chunk's evidence. Whoever does not bring it back leaves none for the next. */
  takeBlock(): Block<EvidenceColumns> | undefined {
    const block = this.#block
    this.#block = undefined
    return block
  }

  keepBlock(block: Block<EvidenceColumns>): void {
    if (block.capacity <= KEPT_ROWS_MAX) this.#block = block
  }

  /** The same of what the outcome is written into. */
  takeBlocks(): OutcomeBlocks | undefined {
    const blocks = this.#blocks
    this.#blocks = undefined
    return blocks
  }

  keepBlocks(blocks: OutcomeBlocks): void {
    if (blocks.judgements.capacity <= KEPT_ROWS_MAX) this.#blocks = blocks
  }
}

const benches = new WeakMap<Snapshot, Bench>()

/** The one of a snapshot. */
export function benchOf(snapshot: Snapshot): Bench {
  let bench = benches.get(snapshot)
  if (bench === undefined) benches.set(snapshot, (bench = new Bench(snapshot)))
  return bench
}
