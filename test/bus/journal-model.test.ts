// The journal beside a model of it: any order of sends, reads, intents, commits and restarts.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Claim, Delivery } from '../../src/bus/bus.ts'
import { Journal } from '../../src/bus/journal.ts'
import { firstClaim, sliceOf, take, text } from './contract.ts'

let root = ''
let count = 0
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-model-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

type Step =
  | { do: 'send'; sizes: number[] }
  | { do: 'read'; count: number }
  | { do: 'intend' | 'commit'; share: number }
  | { do: 'reopen' }
  | { do: 'takeover' }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('send' as const),
    sizes: fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ do: fc.constant('read' as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({
    do: fc.constantFrom('intend' as const, 'commit' as const),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ do: fc.constant('reopen' as const) }),
  fc.record({ do: fc.constant('takeover' as const) }),
)

test('agrees with a list, a position and an intent', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const directory = path.join(root, String(count++))
      const open = () =>
        Journal.open(
          { directory, stream: 'test', segmentBytes: 2000, maxBytes: 1 << 20 },
          (trouble) => expect.unreachable(trouble.detail),
        )
      let journal = await open()
      let claim: Claim = await firstClaim(journal.source())
      let read: Delivery[] = []
      const model = { sent: [] as string[], committed: 0, intent: undefined as unknown }

      const readOn = async (most: number) => {
        const from = model.committed + read.length
        const due = model.sent.slice(from, from + most)
        const taken = await take(claim, due.length, 5000)
        expect(taken.map(({ bytes }) => text(bytes))).toEqual(due)
        expect(taken.map(({ offset }) => Number(offset))).toEqual(due.map((_, i) => from + i))
        read.push(...taken)
      }
      const claimAgain = async () => {
        claim = await firstClaim(journal.source())
        read = []
        expect(Number(claim.committed)).toBe(model.committed)
        expect(claim.intent).toEqual(model.intent)
      }
      for (const one of steps) {
        if (one.do === 'send') {
          const bodies = one.sizes.map((size, i) => `${model.sent.length + i} ${'.'.repeat(size)}`)
          const sink = journal.sink()
          const places = await Promise.all(
            bodies.map((body) => sink.send({ key: 'probe/0', bytes: Buffer.from(body) })),
          )
          expect(places.map(({ offset }) => Number(offset))).toEqual(
            bodies.map((_, i) => model.sent.length + i),
          )
          model.sent.push(...bodies)
        } else if (one.do === 'read') await readOn(one.count)
        else if (one.do === 'takeover') await claimAgain()
        else if (one.do === 'reopen') {
          await journal.close()
          journal = await open()
          await claimAgain()
        } else if (read.length > 0) {
          const run = read.slice(0, Math.max(1, Math.ceil(one.share * read.length)))
          if (one.do === 'intend') {
            const intent = { attempt: 1, slices: [sliceOf(run)] }
            await claim.intend(intent)
            model.intent = intent
          } else {
            await claim.commit(run.at(-1)!.offset + 1n)
            model.committed += run.length
            model.intent = undefined
            read = read.slice(run.length)
          }
        }
      }
      await readOn(model.sent.length)
      await journal.close()
      await rm(directory, { recursive: true })
    }),
    { numRuns: 60 },
  )
})
