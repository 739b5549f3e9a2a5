// Live capture on the command line: its errors as exit codes.

import { LiveError } from '../live/live.ts'
import { CommandError } from './exit.ts'

/** What ended a capture, for people: a mistake in what was asked for is 2, what this machine lacks is 4. */
export function liveCause(error: unknown): unknown {
  if (!(error instanceof LiveError)) return error
  const asked = ['filter', 'no_interface', 'write'].includes(error.kind)
  return new CommandError(asked ? 2 : 4, error.message)
}
