import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { untilAborted } from '../src/until-aborted.ts'

async function* counting(stopped: () => void): AsyncGenerator<number, void, void> {
  try {
    for (let i = 0; ; i++) yield i
  } finally {
    stopped()
  }
}

describe('untilAborted', () => {
  it('gives what comes, and ends when aborted', async () => {
    const abort = new AbortController()
    const seen: number[] = []
    let stopped = false
    for await (const number of untilAborted(
      counting(() => (stopped = true)),
      abort.signal,
    )) {
      seen.push(number)
      if (number === 3) abort.abort()
    }
    expect(seen).toEqual([0, 1, 2, 3])
    await new Promise((resolve) => setImmediate(resolve))
    expect(stopped).toBe(true)
  })

  it('does not wait for a source that never answers', async () => {
    const abort = new AbortController()
    const silent = async function* (): AsyncGenerator<number, void, void> {
      await new Promise(() => {})
    }
    setImmediate(() => abort.abort())
    const seen = []
    for await (const number of untilAborted(silent(), abort.signal)) seen.push(number)
    expect(seen).toEqual([])
  })

  it('leaves nothing on a signal that lives on', async () => {
    const { signal } = new AbortController()
    for await (const number of untilAborted(
      counting(() => {}),
      signal,
    ))
      if (number === 3) break
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('passes on a failure', async () => {
    const failing = async function* (): AsyncGenerator<number, void, void> {
      yield 1
      throw new Error('worker died')
    }
    const drain = async () => {
      for await (const _ of untilAborted(failing(), new AbortController().signal));
    }
    await expect(drain()).rejects.toThrow('worker died')
  })
})
