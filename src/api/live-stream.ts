// The live stream: what happens, as server-sent events, to everybody who listens. Each event is put into words once.
// Who comes back with Last-Event-ID gets what it missed; where that is no longer held, it is told that there is a gap
// and reads the list anew. Nobody is waited for: who does not read is cut off, and comes back.

import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import type { Hub, HubEvent } from '../respond/hub.ts'
import { counter, gauge, type Observed, type Readiness, type Sample } from '../telemetry.ts'
import { printableJson } from '../wire-text.ts'
import { AlertShaper, type Beside, deliveryShown } from './alert-shape.ts'
import { PROBLEMS, Refusal } from './house-rules.ts'
import { revocationShown } from './revocation-routes.ts'
import { NoQuery, type Routes } from './shapes.ts'

/** Who listens, in all and with one token. */
export const STREAMS_MAX = 100
export const STREAMS_OF_ONE_MAX = 10
/** What may wait in this process for a reader; the kernel holds a little more. */
export const BEHIND_BYTES_MAX = 1 << 20
/** Events that can be had again. */
export const RING_MAX = 2000
const RING_BYTES_MAX = 8 << 20
/** Proxies end what says nothing for longer. */
export const HEARTBEAT_MILLIS = 15_000
/** How soon a browser may come back. */
const RETRY_MILLIS = 2000

interface Told {
  id: number
  text: string
}

interface Client {
  reply: FastifyReply
  of: string
}

export class LiveStream implements Observed {
  readonly #beside: Beside
  readonly #clients = new Set<Client>()
  readonly #ring: Told[] = []
  #ringBytes = 0
  /** Ids up to this one are not in the ring; undefined before anything happened. */
  #forgotten: number | undefined
  readonly #leave: () => void
  #told = 0
  #cutOff = 0

  constructor(hub: Pick<Hub, 'since' | 'subscribe'>, beside: Beside) {
    this.#beside = beside
    for (const event of hub.since(-1)) this.#keep(event)
    this.#leave = hub.subscribe((event) => this.#tell(event))
  }

  /**
   * Tells the reply everything from now on, and before that what came after `after`.
   * @param of whose stream it is
   * @throws Refusal if there are too many
   */
  join(reply: FastifyReply, of: string, after: number | undefined): void {
    const ofOne = [...this.#clients].filter((client) => client.of === of).length
    if (this.#clients.size >= STREAMS_MAX || ofOne >= STREAMS_OF_ONE_MAX)
      throw new Refusal(503, 'too many live streams are open: close one', 10)
    // From here on the answer is ours: no time limit of a handler, no idle limit of a socket.
    reply.hijack()
    reply.raw.socket?.setTimeout(0)
    reply.raw.socket?.setNoDelay(true)
    const client = { reply, of }
    this.#clients.add(client)
    reply.sse.onClose(() => this.#clients.delete(client))
    reply.sse.keepAlive()
    reply.sse.sendHeaders()
    const last = this.#ring.at(-1)?.id ?? this.#forgotten ?? 0
    const whole = after === undefined || this.#hasAllAfter(after)
    // The id of now, so that who hears nothing for long still knows where it is.
    const hello = {
      event: whole ? 'hello' : 'gap',
      id: String(last),
      data: {},
      retry: RETRY_MILLIS,
    }
    if (!whole || after === undefined) this.#write(client, eventText(hello))
    else {
      const missed = this.#ring.filter(({ id }) => id > after)
      this.#write(client, `${missed.map(({ text }) => text).join('')}${eventText(hello)}`)
    }
  }

  close(): void {
    this.#leave()
    for (const { reply } of this.#clients) reply.raw.end()
    this.#clients.clear()
  }

  samples(): Sample[] {
    return [
      gauge('live_stream_clients', 'Live streams that are open', this.#clients.size),
      counter('live_stream_events_total', 'Events that were told to whoever listened', this.#told),
      counter('live_stream_cut_off_total', 'Listeners that read too slowly', this.#cutOff),
    ]
  }

  readiness(): Readiness {
    return { ready: true, reason: '' }
  }

  #hasAllAfter(id: number): boolean {
    const last = this.#ring.at(-1)?.id
    return (
      last !== undefined && this.#forgotten !== undefined && id >= this.#forgotten && id <= last
    )
  }

  #tell(event: HubEvent): void {
    const told = this.#keep(event)
    this.#told++
    for (const client of this.#clients) this.#write(client, told.text)
  }

  #keep(event: HubEvent): Told {
    this.#forgotten ??= event.id - 1
    const data = shownEvent(event, this.#beside)
    const at = new Date(event.at).toISOString()
    const told = {
      id: event.id,
      text: eventText({ event: event.type, id: String(event.id), data: { at, ...data } }),
    }
    this.#ring.push(told)
    this.#ringBytes += told.text.length
    while (this.#ring.length > RING_MAX || this.#ringBytes > RING_BYTES_MAX) {
      const first = this.#ring.shift()!
      this.#ringBytes -= first.text.length
      this.#forgotten = first.id
    }
    return told
  }

  #write(client: Client, text: string): void {
    const { raw } = client.reply
    raw.write(text)
    if (raw.writableLength <= BEHIND_BYTES_MAX) return
    this.#cutOff++
    this.#clients.delete(client)
    raw.destroy()
  }
}

interface Message {
  event: string
  id: string
  data: Record<string, unknown>
  retry?: number
}

/** JSON holds no line break, so one `data:` line is all of it. */
function eventText({ event, id, data, retry }: Message): string {
  const again = retry === undefined ? '' : `retry: ${retry}\n`
  return `id: ${id}\nevent: ${event}\n${again}data: ${printableJson(data)}\n\n`
}

/** What is told of an event, in the words of the API. */
function shownEvent({ type, data }: HubEvent, beside: Beside): Record<string, unknown> {
  switch (type) {
    case 'notice':
      return { notice: data }
    case 'alert':
      return { alert: new AlertShaper(beside).ofDesk(data) }
    case 'revocation':
      return { revocation: revocationShown(data) }
    case 'delivery':
      return { delivery: { alerts: data.alerts, ...deliveryShown(data) } }
  }
}

export function addStreamRoute(server: Routes, stream: LiveStream): void {
  server.get(
    '/api/v1/stream',
    {
      sse: 'only',
      exposeHeadRoute: false,
      config: { permission: 'read' },
      schema: {
        summary: 'What happens, as server-sent events: alert, delivery, revocation, notice, gap',
        tags: ['stream'],
        querystring: NoQuery,
        headers: z.looseObject({
          'last-event-id': z
            .string()
            .regex(/^\d{1,16}$/, 'is no id of this stream')
            .optional(),
        }),
        response: { 200: z.string().describe('text/event-stream'), ...PROBLEMS },
      },
    },
    async ({ headers, principal }, reply) => {
      const last = headers['last-event-id']
      stream.join(reply, principal?.id ?? '', last === undefined ? undefined : Number(last))
      return reply
    },
  )
}
