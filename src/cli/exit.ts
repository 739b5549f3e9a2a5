// Exit codes, and the errors that carry one. A run may end for several reasons: all are printed, the worst decides.

/**
 * 0 done · 1 done, and something was found that the caller asked to fail on · 2 wrong usage or settings · 3 some
 * input could not be read · 4 a service needed is not reachable, or the store is held by another process · 70 a
 * fault of our own. 130 and 143 are SIGINT and SIGTERM.
 */
export type ExitCode = 1 | 2 | 3 | 4 | 70

export interface ExitCause {
  code: ExitCode
  /** One line for a person, with the cure. */
  words: string
  /** It stands in the log already. */
  told?: boolean
}

/** Worst first: wrong usage explains everything after it. */
const PRECEDENCE: readonly ExitCode[] = [2, 70, 4, 3, 1]

export function exitCode(causes: readonly ExitCause[]): ExitCode | 0 {
  return PRECEDENCE.find((code) => causes.some((cause) => cause.code === code)) ?? 0
}

/** An error whose message is all that a person needs; `main` prints it without a stack. */
export class CommandError extends Error {
  readonly code: ExitCode
  constructor(code: ExitCode, message: string) {
    super(message)
    this.name = 'CommandError'
    this.code = code
  }
}

/** Wrong usage: what was wrong, and what to do instead. */
export function usageError(message: string): CommandError {
  return new CommandError(2, message)
}
