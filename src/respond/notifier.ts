// The port through which messages leave. A webhook is one adapter of it; a ticket system is another.

/** How a try went. Words are for people and hold no secret and nothing of what the receiver wrote. */
export type Outcome =
  | { kind: 'delivered'; status: number }
  /** Not taken, or not known to be. */
  | {
      kind: 'failed'
      why: string
      /** The receiver does not work, or cannot be reached: others will fare no better now. */
      broken: boolean
      /** It asks for fewer requests. */
      throttled: boolean
      /** What it answered, if it did. */
      status?: number
      /** It was not sent: its target is not one that may be reached. */
      refused?: boolean
      /** Milliseconds that it asks for before the next try. */
      retryAfter?: number
    }
  /** It wants nothing any more. */
  | { kind: 'gone'; why: string }

export interface Outgoing {
  /** The same on every try. */
  id: string
  body: string
}

export interface Notifier {
  /** Where to, for people: without path, query or anything else that may be a secret. */
  readonly target: string
  /** Another one where it leads elsewhere, although `target` may look the same. */
  readonly key: string
  /** Sends once. Never throws for what the world does; ends soon after the signal. */
  send(message: Outgoing, signal: AbortSignal): Promise<Outcome>
  close(): Promise<void>
}
