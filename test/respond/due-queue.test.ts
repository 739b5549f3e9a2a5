// Mails come out by the time they are due, and of one moment in the order they were added.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DueQueue } from '../../src/respond/due-queue.ts'
import type { Mail } from '../../src/respond/mail.ts'

const mail = (id: string, nextAt: number) => ({ id, nextAt }) as Mail

test('as a list that is sorted before each take', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant('take' as const))),
      (steps) => {
        const queue = new DueQueue()
        let list: Mail[] = []
        for (const [turn, step] of steps.entries())
          if (step === 'take') {
            list = [...list].sort((a, b) => a.nextAt - b.nextAt)
            expect(queue.nextAt).toBe(list[0]?.nextAt)
            expect(queue.peek()).toBe(list[0])
            expect(queue.take()).toBe(list.shift())
          } else {
            const one = mail(String(turn), step)
            queue.add(one, step)
            list.push(one)
          }
        expect(queue.size).toBe(list.length)
        expect(new Set(queue.drain())).toEqual(new Set(list))
        expect(queue.size).toBe(0)
      },
    ),
  )
})
