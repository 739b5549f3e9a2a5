// Reads server-sent events, as the HTML standard lays them out: blocks of lines, `id:`, `event:` and `data:`, ended by
// an empty line. Bounded: a block without end is an error, not memory.

export interface ServerEvent {
  /** As last said; '' if never. */
  id: string
  event: string
  data: string
}

/** What came is no stream of events, or one of its blocks is too large. */
export class EventStreamError extends Error {
  override readonly name = 'EventStreamError'
}

/** Largest block, in characters. */
export const EVENT_MAX = 1 << 20

/**
 * The events of a body. Comments, which are heartbeats, are passed over; a block that is cut off at the end is none.
 * @param onBytes called with everything that comes, heartbeats too
 * @throws EventStreamError, and what the body throws
 */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  onBytes: () => void = () => {},
): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder('utf-8')
  let text = ''
  let lines: string[] = []
  let held = 0
  let id = ''
  for await (const bytes of body) {
    onBytes()
    text += decoder.decode(bytes, { stream: true })
    for (let end = lineEnd(text); end !== undefined; end = lineEnd(text)) {
      const line = text.slice(0, end.at)
      text = text.slice(end.next)
      if (line !== '') {
        lines.push(line)
        held += line.length
        if (held > EVENT_MAX) break
        continue
      }
      const event = eventOf(lines, id)
      lines = []
      held = 0
      id = event.id
      if (event.data !== undefined) yield { ...event, data: event.data }
    }
    if (held + text.length > EVENT_MAX)
      throw new EventStreamError('an event is larger than any of this API')
  }
}

/** The first line's end; undefined if it may not be there yet: a CR at the very end may be half of CR LF. */
function lineEnd(text: string): { at: number; next: number } | undefined {
  const at = text.search(/[\r\n]/)
  if (at < 0) return undefined
  if (text[at] === '\n') return { at, next: at + 1 }
  if (at + 1 === text.length) return undefined
  return { at, next: text[at + 1] === '\n' ? at + 2 : at + 1 }
}

function eventOf(
  lines: readonly string[],
  lastId: string,
): { id: string; event: string; data: string | undefined } {
  let id = lastId
  let event = 'message'
  const data: string[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'id' && !value.includes('\0')) id = value
    else if (field === 'event') event = value
    else if (field === 'data') data.push(value)
  }
  return { id, event, data: data.length === 0 ? undefined : data.join('\n') }
}
