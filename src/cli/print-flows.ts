// Flows to stdout as their chunks come, and what was read of each input to stderr.

import { chunkPart, decodeChunk, releaseChunk } from '../chunk.ts'
import { type ReportInput, reportInput } from '../report.ts'
import type { SensorEvent } from '../sensor.ts'
import type { ExitCause } from './exit.ts'
import { FlowMerger } from './flow-merge.ts'
import { BATCH_CHARACTERS, type FlowBlock, type FlowWriter } from './flow-writer.ts'
import { inputCause, inputsTable, statsLine } from './inputs-told.ts'
import type { Terminal } from './terminal.ts'

export const STATS_FORMATS = ['text', 'json', 'none'] as const
export type StatsFormat = (typeof STATS_FORMATS)[number]

/**
 * Prints the flows of `events` through `writer`, each input's merged when it is over, and its statistics.
 * @returns why the run should not count as a success.
 */
export async function printFlows(
  events: AsyncIterable<SensorEvent>,
  writer: FlowWriter,
  terminal: Terminal,
  stats: StatsFormat,
): Promise<ExitCause[]> {
  const inputs: ReportInput[] = []
  const merger = new FlowMerger()
  let records = 0
  /** The last block, if nobody needs its rows any more: its memory serves for the next chunk. */
  let spare: FlowBlock | undefined
  const send = async (atLeast: number) => {
    if (writer.length >= atLeast) await terminal.out.write(writer.take())
  }
  for await (const event of events) {
    // Nobody reads any more: the rest would be decoded for nobody.
    if (terminal.out.gone) return []
    if (event.type === 'chunk') {
      const block = chunkPart(decodeChunk(event.chunk), 'flow_records', spare)
      releaseChunk(event.chunk)
      if (block === undefined) continue
      spare = block
      records += block.rows
      const bound = { block, write: writer.bind(block, event.source) }
      for (let row = 0; row < block.rows; row++) {
        if (merger.push(bound, row)) spare = undefined
        if (writer.length >= BATCH_CHARACTERS) await send(1)
      }
      continue
    }
    for (const _ of merger.flush()) if (writer.length >= BATCH_CHARACTERS) await send(1)
    await send(1)
    const input = reportInput(event, records)
    records = 0
    if (stats === 'json') await terminal.err.write(`${statsLine(input)}\n`)
    inputs.push(input)
  }
  await send(1)
  if (stats === 'text' && !terminal.quiet)
    // Indented: no line of it can be taken for statistics, whatever a path begins with.
    await terminal.err.write(inputsTable(inputs, terminal.errColours, '  '))
  return inputs.map(inputCause).filter((cause) => cause !== undefined)
}
