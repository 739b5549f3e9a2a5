// `bailiwick flows --live`: flows of an interface as they come, for a person at a terminal or as lines of data.

import { chunkPart, decodeChunk } from '../chunk.ts'
import type { LiveCapture, LiveEvent } from '../live/live.ts'
import { printable } from '../wire-text.ts'
import { FlowTotals } from './flow-totals.ts'
import type { FlowBlock, FlowWriter } from './flow-writer.ts'
import { liveLine } from './live-text.ts'
import { say, type Terminal } from './terminal.ts'
import { count } from './text-table.ts'

export interface LiveShown {
  /** Writes rows as data; without it they are lines for people. */
  writer: FlowWriter | undefined
  /** Only flows whose line contains all of these, whatever the case. */
  match: readonly string[]
}

const IN_COLOUR = new Set(['open', 'active'])

/** Prints until the capture ends. @throws LiveError if it cannot begin */
export async function printLive(
  live: LiveCapture,
  { writer, match }: LiveShown,
  terminal: Terminal,
): Promise<void> {
  const totals = new FlowTotals()
  const wanted = match.map((one) => one.toLowerCase())
  const plain = plainColours(terminal)
  let flows = 0
  let last: LiveEvent | undefined
  if (writer !== undefined) await terminal.out.write(writer.take())
  for await (const event of live.events()) {
    if (terminal.out.gone) {
      void live.stop()
      continue
    }
    if (event.type === 'state') await tellState(event, terminal)
    else if (event.type === 'stats') last = event
    else if (event.type === 'note') await tellNote(event, terminal)
    else {
      const block = chunkPart(decodeChunk(event.chunk), 'flow_records')
      if (block === undefined) continue
      const write = writer?.bind(block, event.interface)
      for (let row = 0; row < block.rows; row++) {
        totals.add(block, row)
        if (!IN_COLOUR.has(block.columns.end_reason.get(row))) flows++
        if (!matches(block, row, wanted, plain)) continue
        if (write !== undefined) write(row)
        else await terminal.out.write(`${liveLine(block, row, terminal.colours)}\n`)
      }
      if (writer !== undefined) await terminal.out.write(writer.take())
    }
  }
  if (terminal.quiet || last?.type !== 'stats') return
  const { packets, dropped, interfaceDropped } = last
  const lost = dropped + interfaceDropped
  await say(
    terminal,
    `${count(flows, 'flow')}, ${count(packets, 'packet')}, ${lost === 0 ? 'none lost' : `${lost} lost`}`,
  )
}

function matches(
  block: FlowBlock,
  row: number,
  wanted: readonly string[],
  plain: Terminal['colours'],
): boolean {
  if (wanted.length === 0) return true
  const line = liveLine(block, row, plain).toLowerCase()
  return wanted.every((one) => line.includes(one))
}

/** Colours that do nothing: what is matched is the text. */
function plainColours({ colours }: Terminal): Terminal['colours'] {
  const same = (text: string | number | null | undefined) => String(text)
  const none = Object.keys(colours).map((name) => [name, same])
  return { ...colours, ...Object.fromEntries(none) }
}

async function tellNote(
  { interface: name, detail }: LiveEvent & { type: 'note' },
  { err, errColours }: Terminal,
): Promise<void> {
  await err.write(`${errColours.yellow('note')} ${printable(`${name}: ${detail}`)}\n`)
}

async function tellState(
  { interface: name, state, detail }: LiveEvent & { type: 'state' },
  terminal: Terminal,
): Promise<void> {
  const { errColours: paint, quiet } = terminal
  if (state === 'capturing' && !quiet)
    await say(terminal, `${name}: capturing ${detail}; times are UTC`)
  else if (state === 'retrying')
    await terminal.err.write(`${paint.yellow('lost')} ${printable(`${name}: ${detail}`)}\n`)
}
