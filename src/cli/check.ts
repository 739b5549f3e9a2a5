// What a check of `bailiwick doctor` says.

export interface Check {
  name: string
  state: 'ok' | 'warn' | 'fail'
  /** What was found. */
  found: string
  /** What to do; '' if nothing. */
  cure: string
}

export function ok(name: string, found: string): Check {
  return { name, state: 'ok', found, cure: '' }
}

export function warn(name: string, found: string, cure: string): Check {
  return { name, state: 'warn', found, cure }
}

export function fail(name: string, found: string, cure = ''): Check {
  return { name, state: 'fail', found, cure }
}

/** A check that failed with an error; errors of ours say the cure themselves. */
export function failed(name: string, error: unknown): Check {
  return fail(name, error instanceof Error ? error.message : String(error))
}
