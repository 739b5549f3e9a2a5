// How long-running parts tell about themselves: a log line, a number, whether they are getting on. Plain data, so
// that a loop needs no logger and no metrics library.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
/** Takes a line of the log. Fields are JSON values; text from outside must be printable. */
export type Log = (
  level: LogLevel,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void

/** One number at one moment. Names follow Prometheus: base units, `_total` for counters. */
export interface Sample {
  name: string
  help: string
  kind: 'counter' | 'gauge'
  /** Few values each: never an address, a domain or the name of an agent. */
  labels?: Readonly<Record<string, string>>
  value: number
}

export function counter(name: string, help: string, value: number): Sample {
  return { name, help, kind: 'counter', value }
}

export function gauge(name: string, help: string, value: number): Sample {
  return { name, help, kind: 'gauge', value }
}

/** Whether a process gets on with its work, and if not, why, in words with the cure. */
export interface Readiness {
  ready: boolean
  reason: string
  /** It gets on, but somebody should know. */
  warning?: string
}

/** What a long-running part shows of itself. */
export interface Observed {
  samples(): Sample[]
  readiness(): Readiness
}
