// The keys of chunks: which of them stay in order, and how they are dealt.

import { describe, expect, test } from 'vitest'
import { laneKey, laneOf, parseLaneKey } from '../../src/bus/bus.ts'

const LANES = 8

describe('chunks', () => {
  test('of one input take the lanes in turn, so a step that is larger than their number is loss', () => {
    const lanes = Array.from({ length: 3 * LANES }, (_, seq) =>
      laneOf({ origin: 'edge/1', seq }, LANES),
    )
    expect(new Set(lanes.slice(0, LANES)).size).toBe(LANES)
    expect(lanes.slice(LANES)).toEqual(lanes.slice(0, -LANES))
  })

  test('of a thousand inputs that are one chunk each are dealt evenly', () => {
    const counts = new Array<number>(LANES).fill(0)
    for (let i = 0; i < 1000; i++) {
      const { sensor, lane } = parseLaneKey(
        laneKey({ sensor: 'edge', origin: `edge/${i}`, seq: 0 }, LANES),
      )!
      expect(sensor).toBe('edge')
      counts[lane]!++
    }
    expect(Math.min(...counts)).toBeGreaterThan(80)
  })
})
