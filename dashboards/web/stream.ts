// The live stream, read by fetch, because a browser's EventSource can send no token. Comes back by itself, with the id
// of what it heard last; says how it stands.

import { bearer } from './server.ts'

export interface StreamMessage {
  event: string
  data: Record<string, unknown>
}

export type StreamState =
  | { state: 'connecting' }
  | { state: 'live' }
  /** `at` is when it is tried again, in milliseconds since 1970. */
  | { state: 'lost'; since: number; at: number }
  | { state: 'refused' }

/** A heartbeat comes every 15 s. */
const SILENCE_MILLIS = 40_000
const PAUSE_MILLIS = 1000
const PAUSE_MAX_MILLIS = 30_000
const MESSAGE_MAX = 1 << 20

/** Reads until the token is refused or the signal aborts. Only this returns; trouble is a state. */
export async function readStream(
  onMessage: (message: StreamMessage) => void,
  onState: (state: StreamState) => void,
  signal: AbortSignal,
): Promise<void> {
  let last = ''
  let pause = PAUSE_MILLIS
  let since = 0
  while (!signal.aborted) {
    if (since === 0) onState({ state: 'connecting' })
    const attempt = new AbortController()
    const stop = () => attempt.abort()
    signal.addEventListener('abort', stop, { once: true })
    const watch = watchdog(stop)
    try {
      const answer = await fetch('/api/v1/stream', {
        headers: {
          accept: 'text/event-stream',
          authorization: bearer(),
          ...(last === '' ? {} : { 'last-event-id': last }),
        },
        cache: 'no-store',
        credentials: 'omit',
        redirect: 'error',
        signal: attempt.signal,
      })
      if (answer.status === 401 || answer.status === 403) return onState({ state: 'refused' })
      // An id that the server does not take is of no use a second time.
      if (answer.status === 400) last = ''
      if (!answer.ok || answer.body === null) throw new Error(`status ${answer.status}`)
      since = 0
      pause = PAUSE_MILLIS
      onState({ state: 'live' })
      for await (const message of messagesOf(answer.body, watch.alive)) {
        if (message.id !== '') last = message.id
        onMessage({ event: message.event, data: message.data })
      }
    } catch {
      // The server is gone, or silent: said below.
    } finally {
      watch.end()
      signal.removeEventListener('abort', stop)
    }
    if (signal.aborted) return
    since ||= Date.now()
    const wait = pause * (0.5 + Math.random())
    pause = Math.min(PAUSE_MAX_MILLIS, pause * 2)
    onState({ state: 'lost', since, at: Date.now() + wait })
    await sleep(wait, signal)
  }
}

interface Message {
  id: string
  event: string
  data: Record<string, unknown>
}

async function* messagesOf(
  body: ReadableStream<Uint8Array>,
  alive: () => void,
): AsyncGenerator<Message> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .getReader()
  let text = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      alive()
      text += value
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const message = messageOf(text.slice(0, end))
        text = text.slice(end + 2)
        if (message !== undefined) yield message
      }
      if (text.length > MESSAGE_MAX) throw new Error('a message has no end')
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** One block of lines; undefined for a comment, which is a heartbeat. */
function messageOf(block: string): Message | undefined {
  let id = ''
  let event = 'message'
  let data = ''
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    const value = line.slice(colon + 1).replace(/^ /, '')
    if (colon <= 0) continue
    const field = line.slice(0, colon)
    if (field === 'id') id = value
    else if (field === 'event') event = value
    else if (field === 'data') data += value
  }
  if (data === '') return undefined
  return { id, event, data: JSON.parse(data) as Record<string, unknown> }
}

function watchdog(bite: () => void): { alive: () => void; end: () => void } {
  let timer = setTimeout(bite, SILENCE_MILLIS)
  return {
    alive: () => {
      clearTimeout(timer)
      timer = setTimeout(bite, SILENCE_MILLIS)
    },
    end: () => clearTimeout(timer),
  }
}

function sleep(millis: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      // A laptop that wakes up, or a network that is back, is no reason to wait.
      removeEventListener('online', end)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, millis)
    addEventListener('online', end)
    signal.addEventListener('abort', end)
  })
}
