// Which exit code an error of the rooms below is, and its words. What nobody expected is a fault of ours.

import { AgentFilesError } from '../agent-files.ts'
import { ListenError } from '../api/listening.ts'
import { TokenFileError, TokenNameError } from '../api/tokens.ts'
import { BusError, BusFault } from '../bus/bus.ts'
import { LiveError, type LiveErrorKind } from '../live/live-event.ts'
import { AuditBroken, AuditWaits } from '../respond/audit-log.ts'
import { SecretError } from '../respond/secret.ts'
import { StoreError, StoreInconsistentError, StoreTargetError } from '../store/store-error.ts'
import { CommandError, type ExitCause } from './exit.ts'

/** A mistake in what was asked for; anything else is what this machine lacks. */
const ASKED: readonly LiveErrorKind[] = ['filter', 'no_interface', 'write']

/** Why the run ends, if `error` ended it. A fault is to be told with its stack as well. */
export function errorCause(error: unknown): ExitCause & { fault: boolean } {
  const known = (code: ExitCause['code'], fault = false) => ({
    code,
    words: (error as Error).message,
    fault,
  })
  if (error instanceof CommandError) return known(error.code)
  if (error instanceof AgentFilesError || error instanceof ListenError) return known(2)
  if (error instanceof TokenNameError) return known(2)
  if (error instanceof TokenFileError) return known(4)
  if (error instanceof LiveError) return known(ASKED.includes(error.kind) ? 2 : 4)
  // A person has to look: starting again mends neither.
  if (error instanceof SecretError || error instanceof AuditBroken) return known(2)
  // Room on the disk comes back.
  if (error instanceof AuditWaits) return known(4)
  // The disk refused: the operator mends it, a new process reads what is left.
  if (error instanceof BusFault) return known(70)
  if (error instanceof BusError) return known(4)
  if (error instanceof StoreTargetError) return known(2)
  if (error instanceof StoreInconsistentError) return known(70)
  if (error instanceof StoreError) return known(4)
  const { name, message } = error instanceof Error ? error : new Error(String(error))
  return { code: 70, words: `this is a fault of bailiwick: ${name}: ${message}`, fault: true }
}
