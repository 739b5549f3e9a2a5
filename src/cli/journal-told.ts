// A journal, and a segment of it, as data and as text: for `inspect`.

import type { LookedJournal, LookedSegment } from '../bus/journal-look.ts'
import type { FoundRecord } from '../bus/journal-scan.ts'
import { decodeChunk } from '../chunk.ts'
import { printable } from '../wire-text.ts'
import { sizeWords } from './progress.ts'
import { instantText } from './row-values.ts'
import type { Colours } from './terminal.ts'
import { count, renderTable } from './text-table.ts'

export function journalJson(journal: LookedJournal): Record<string, unknown> {
  const { directory, segments, bytes, next, intent, owner, waiting, oldest, first } = journal
  return {
    schema: 'bailiwick.inspect/v1',
    directory,
    owner: owner ?? null,
    bytes,
    next: next === undefined ? null : String(next),
    intent:
      intent === undefined
        ? null
        : {
            attempt: intent.attempt,
            slices: intent.slices.map((slice) => ({
              ...slice,
              first: String(slice.first),
              last: String(slice.last),
            })),
          },
    waiting: Number(waiting),
    oldest: oldest === undefined ? null : instantText(oldest),
    segments: segments.map(segmentFields),
    records: first.map(recordJson),
  }
}

function segmentFields(segment: LookedSegment): Record<string, unknown> {
  const { name, bytes, firstId, nextId, damaged, restBytes } = segment
  return {
    name,
    bytes,
    first_id: String(firstId),
    next_id: String(nextId),
    damaged: damaged.map(({ at, bytes, reason }) => ({ at, bytes, reason })),
    rest_bytes: restBytes,
  }
}

export function segmentJson(segment: LookedSegment, records: readonly FoundRecord[]) {
  return {
    schema: 'bailiwick.inspect/v1',
    ...segmentFields(segment),
    records: records.map(recordJson),
  }
}

/** What of a record's chunk is worth a line; `problem` if it is none. */
function chunkOf(body: Uint8Array): Record<string, unknown> {
  try {
    const { header } = decodeChunk(body)
    const { id, sensor, origin, seq, last, format, parts } = header
    const rows = Object.fromEntries(parts.map((part) => [part.table, part.rows]))
    return { chunk: id, sensor, origin, seq, last, format, rows }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

function recordJson({ id, acceptedAt, key, body }: FoundRecord): Record<string, unknown> {
  const taken = instantText(acceptedAt)
  return { id: String(id), taken, key, bytes: body.length, ...chunkOf(body) }
}

export function journalText(journal: LookedJournal, colours: Colours): string {
  const { directory, segments, bytes, next, intent, owner, waiting, oldest, first } = journal
  const lines = [
    `spool ${printable(directory)}: ${sizeWords(bytes)} in ${count(segments.length, 'segment')}`,
    owner === undefined ? '  nobody has it open' : `  open in process ${printable(owner)}`,
    next === undefined
      ? `  ${colours.yellow('no checkpoint')}: everything waits`
      : `  checkpoint: everything before ${next} is done with`,
  ]
  if (intent !== undefined)
    lines.push(
      `  intent, attempt ${intent.attempt}: ${intent.slices.map((one) => `${one.first} to ${one.last}`).join(', ')}`,
    )
  lines.push(
    oldest === undefined
      ? '  nothing waits'
      : `  ${count(Number(waiting), 'record')} wait, the oldest since ${instantText(oldest)}`,
  )
  const table = renderTable(
    [{ title: 'segment' }, { title: 'size', right: true }, { title: 'ids' }, { title: '' }],
    segments.map((segment) => [
      segment.name,
      sizeWords(segment.bytes),
      idsText(segment),
      stateText(segment, segment === segments.at(-1), colours),
    ]),
    colours,
    '  ',
  )
  return `${lines.join('\n')}\n${table}${recordsText(first, colours)}`
}

export function segmentText(
  segment: LookedSegment,
  records: readonly FoundRecord[],
  colours: Colours,
): string {
  const { name, bytes, damaged } = segment
  const state = stateText(segment, true, colours)
  const lines = [
    `segment ${name}: ${sizeWords(bytes)}, ids ${idsText(segment)}`,
    ...(state === '' ? [] : [`  ${state}`]),
    ...damaged.map((one) => `  byte ${one.at}: ${one.reason}, ${count(one.bytes, 'byte')} skipped`),
  ]
  return `${lines.join('\n')}\n${recordsText(records, colours)}`
}

const idsText = ({ firstId, nextId }: LookedSegment) =>
  nextId === firstId ? 'none' : `${firstId} to ${nextId - 1n}`

function stateText({ damaged, restBytes }: LookedSegment, isLast: boolean, colours: Colours) {
  const told: string[] = []
  if (damaged.length > 0) told.push(colours.red(`${count(damaged.length, 'damaged place')}`))
  // Of the last one it may be what is being written just now.
  if (restBytes > 0)
    told.push(
      isLast
        ? `${count(restBytes, 'byte')} of an unfinished write`
        : colours.red(`the last ${restBytes} bytes are no record`),
    )
  return told.join(', ')
}

function recordsText(records: readonly FoundRecord[], colours: Colours): string {
  return renderTable(
    [
      { title: 'id', right: true },
      { title: 'taken' },
      { title: 'key' },
      { title: 'size', right: true },
      { title: 'chunk' },
      { title: 'number', right: true },
      { title: 'rows' },
    ],
    records.map((record) => {
      const { chunk, seq, rows, problem } = chunkOf(record.body)
      return [
        String(record.id),
        instantText(record.acceptedAt),
        printable(record.key),
        sizeWords(record.body.length),
        problem === undefined ? String(chunk) : colours.red(printable(String(problem))),
        String(seq ?? ''),
        Object.entries(rows ?? {})
          .map(([table, number]) => `${table} ${number}`)
          .join(', '),
      ]
    }),
    colours,
    '  ',
  )
}
