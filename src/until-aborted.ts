// Waiting that a signal ends. Signals live as long as their process: nothing is left hanging on one.

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** The items of `source` until `signal` is aborted: what came before is kept. `source` is told to stop either way. */
export async function* untilAborted<T>(
  source: AsyncGenerator<T, void, void>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  let end = () => {}
  const onAbort = () => end()
  signal.addEventListener('abort', onAbort)
  try {
    while (!signal.aborted) {
      const next = await new Promise<IteratorResult<T, void>>((resolve, reject) => {
        end = () => resolve({ done: true, value: undefined })
        source.next().then(resolve, reject)
      })
      if (next.done === true) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited when aborted: the source may be waiting for input that never comes.
    const stopped = source.return()
    if (signal.aborted) stopped.catch(() => {})
    else await stopped
  }
}
