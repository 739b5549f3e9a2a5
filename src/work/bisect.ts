// Finds what kills: a chunk that killed its thread is halved, and each half tried, until the smallest pieces that
// still kill are known. The other pieces are stored in the place of the chunk.

/** What came of a piece: something, or the death of whoever worked on it. */
export type Tried<T> = { value: T } | { died: string }

export interface BisectParts<T> {
  /** Works on a piece, with nobody else around. */
  attempt: (bytes: Uint8Array) => Promise<Tried<T>>
  /** Its halves, in order; nothing if it cannot be divided. */
  split: (bytes: Uint8Array) => Promise<Uint8Array[]>
}

export interface Bisected<T> {
  alive: { bytes: Uint8Array; value: T }[]
  dead: { bytes: Uint8Array; died: string }[]
}

/**
 * Most deaths that one chunk may cost; what is not known by then is dead as it is. One record among 8,192 costs 13,
 * and a thread is back in a tenth of a second.
 */
export const DEATHS_MAX = 64

/** @param died what was said when the whole died */
export async function bisect<T>(
  whole: Uint8Array,
  died: string,
  parts: BisectParts<T>,
): Promise<Bisected<T>> {
  const result: Bisected<T> = { alive: [], dead: [] }
  let deaths = 0
  const divide = async (bytes: Uint8Array, why: string): Promise<void> => {
    const halves = deaths < DEATHS_MAX ? await parts.split(bytes) : []
    if (halves.length === 0) {
      result.dead.push({ bytes, died: why })
      return
    }
    for (const half of halves) {
      const tried = await parts.attempt(half)
      if ('value' in tried) result.alive.push({ bytes: half, value: tried.value })
      else {
        deaths++
        await divide(half, tried.died)
      }
    }
  }
  await divide(whole, died)
  return result
}
