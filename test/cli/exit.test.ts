import { expect, it } from 'vitest'
import { type ExitCause, type ExitCode, exitCode } from '../../src/cli/exit.ts'

const because = (...codes: ExitCode[]): ExitCause[] => codes.map((code) => ({ code, words: '' }))

it.each<[name: string, causes: ExitCode[], code: number]>([
  ['nothing wrong', [], 0],
  ['something was found', [1], 1],
  ['an input unread and something found', [1, 3], 3],
  ['the store held, an input unread', [3, 4], 4],
  ['a fault of our own above all that happened', [1, 3, 4, 70], 70],
  ['wrong usage above everything', [70, 4, 3, 1, 2], 2],
])('%s', (_, causes, code) => {
  expect(exitCode(because(...causes))).toBe(code)
  expect(exitCode(because(...causes.toReversed()))).toBe(code)
})
