import { expect, test } from 'vitest'
import { armFailpoints, failpoint } from '../src/failpoint.ts'

test('unarmed, nothing happens and nothing is waited for', () => {
  expect(failpoint('F1_read_journal')).toBeUndefined()
})

test('an armed one acts at the passage that was asked for, once', async () => {
  armFailpoints('F5_intent_insert=throw@2, F6_mid_insert=sleep@1:1')
  await failpoint('F5_intent_insert')
  await expect(failpoint('F5_intent_insert')).rejects.toThrow('F5_intent_insert')
  await failpoint('F5_intent_insert')
  await failpoint('F6_mid_insert')
})

test('text that names none is refused', () => {
  for (const text of ['', 'F5', 'F99_x=kill@1', 'F5_intent_insert=melt@1', 'F5_intent_insert=kill'])
    expect(() => armFailpoints(text), text).toThrow(RangeError)
})
