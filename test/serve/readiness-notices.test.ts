// What is told when a process no longer gets on: once for each thing that is the matter, and when it has passed.

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type ReadinessNotice, ReadinessNotices } from '../../src/serve/readiness-notices.ts'
import type { Readiness } from '../../src/telemetry.ts'

let now: Readiness = { ready: true, reason: 'nothing waits' }
const told: ReadinessNotice[] = []
const lines: string[] = []
let notices: ReadinessNotices

beforeEach(() => {
  vi.useFakeTimers()
  told.length = lines.length = 0
  now = { ready: true, reason: 'nothing waits' }
  const part = { samples: () => [], readiness: () => now }
  notices = new ReadinessNotices(
    [part],
    (notice) => void told.push(notice),
    (level, message) => void lines.push(`${level} ${message}`),
  )
})
afterEach(() => {
  notices.close()
  vi.useRealTimers()
})

const seconds = (count: number) => vi.advanceTimersByTime(count * 1000)

test('nothing is told of what is well, or is over at once', () => {
  seconds(5)
  now = { ready: false, reason: 'eth0: opening' }
  seconds(1)
  now = { ready: true, reason: '3 messages wait' }
  seconds(5)
  expect([told, lines]).toEqual([[], []])
})

test('what is the matter is told once, however its numbers count up; so is its end', () => {
  now = { ready: false, reason: 'nothing was committed for 61 s' }
  seconds(3)
  now = { ready: false, reason: 'nothing was committed for 64 s' }
  seconds(10)
  expect(told).toMatchObject([{ ready: false, reason: 'nothing was committed for 61 s' }])
  now = { ready: false, reason: 'eth0: lost, network is down' }
  seconds(3)
  now = { ready: true, reason: '', warning: 'agent files: a.yaml:1:1: broken' }
  seconds(3)
  now = { ready: true, reason: '' }
  seconds(3)
  expect(told.map(({ ready, warning = '' }) => [ready, warning])).toEqual([
    [false, ''],
    [false, ''],
    [true, 'agent files: a.yaml:1:1: broken'],
    [true, ''],
  ])
  expect(lines).toEqual([
    'warn does not get on',
    'warn does not get on',
    'warn gets on, but',
    'info all is well',
  ])
})
