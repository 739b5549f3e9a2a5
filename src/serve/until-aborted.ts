// An async sequence that ends when the user has had enough: what came before is kept and printed.

/** The items of `source` until `signal` is aborted; `source` is told to stop either way. */
export async function* untilAborted<T>(
  source: AsyncGenerator<T, void, void>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  const aborted = new Promise<{ done: true; value: undefined }>((resolve) => {
    if (signal.aborted) resolve({ done: true, value: undefined })
    signal.addEventListener('abort', () => resolve({ done: true, value: undefined }), {
      once: true,
    })
  })
  try {
    for (;;) {
      const next = await Promise.race([source.next(), aborted])
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // Not awaited when aborted: the source may be waiting for input that never comes.
    const stopped = source.return()
    if (signal.aborted) stopped.catch(() => {})
    else await stopped
  }
}
