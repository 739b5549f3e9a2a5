// New rows in the flow columns, with what all records of one log have in common already set.

import type { ColumnsOf } from '../block.ts'
import type { ChunkWriter } from '../chunk.ts'
import type { FlowColumns } from '../flow.ts'

export type FlowRow = ColumnsOf<FlowColumns>

export class FlowRows {
  readonly chunks: ChunkWriter
  readonly #kind: string
  readonly #sensor: string
  /** Number of flow records before the present block: tells one block's dictionary codes from another's. */
  block = -1
  #sensorCode = 0
  #kindCode = 0
  #deciderCode = 0
  #endCode = 0

  constructor(chunks: ChunkWriter, kind: string, sensor: string) {
    this.chunks = chunks
    this.#kind = kind
    this.#sensor = sensor
  }

  /** A new row; read the columns from `chunks.flows.columns` only after this. */
  add(): number {
    const { chunks } = this
    const row = chunks.flow()
    const columns = chunks.flows.columns
    const block = chunks.flowCount - chunks.flows.rows
    if (block !== this.block) {
      this.block = block
      this.#sensorCode = columns.sensor.code(this.#sensor)
      this.#kindCode = columns.source_kind.code(this.#kind)
      this.#deciderCode = columns.decided_by.code('reported')
      this.#endCode = columns.end_reason.code('reported')
    }
    columns.sensor.codes[row] = this.#sensorCode
    columns.source_kind.codes[row] = this.#kindCode
    columns.decided_by.codes[row] = this.#deciderCode
    columns.end_reason.codes[row] = this.#endCode
    return row
  }
}
