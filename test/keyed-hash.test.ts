import { describe, expect, test } from 'vitest'
import { keyedHash } from '../src/keyed-hash.ts'

const SEED = Int32Array.of(11, 22, 33, 44)

describe('keyedHash', () => {
  test('spreads keys that collide under another key', () => {
    const one = Int32Array.of(1, 2, 3, 4)
    const other = Int32Array.of(5, 6, 7, 8)
    const word = new Int32Array(1)
    const low = (n: number, seed: Int32Array) => {
      word[0] = n
      return keyedHash(word, 1, seed) & 0xfff
    }
    // What an attacker who knew one key could find out: keys that all share a slot.
    const colliding: number[] = []
    for (let n = 0; colliding.length < 200; n++) if (low(n, one) === 7) colliding.push(n)
    const slots = new Set(colliding.map((n) => low(n, other)))
    expect(slots.size).toBeGreaterThan(180)
  })

  test('depends on every word and on their number', () => {
    const words = Int32Array.of(1, 2, 3)
    const seen = new Set([keyedHash(words, 3, SEED), keyedHash(words, 2, SEED)])
    for (let i = 0; i < 3; i++) {
      const changed = Int32Array.from(words)
      changed[i]! ^= 0x8000_0000
      seen.add(keyedHash(changed, 3, SEED))
    }
    expect(seen.size).toBe(5)
  })
})
