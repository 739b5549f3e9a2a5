// What every home of the bus must do, as examples. Each home runs all of them.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  BusError,
  type Claim,
  ClaimLost,
  type Delivery,
  MESSAGE_BYTES_MAX,
  type Sink,
  type Source,
} from '../../src/bus/bus.ts'

/** One stream of one partition, fresh and empty. */
export interface TestStream {
  sink(): Promise<Sink>
  /** A consumer of the same group. A second one while the first lives takes the partition from it. */
  source(): Promise<Source>
  /** Lets go of everything, as a process that ends; sinks and sources can be had again. */
  restart(): Promise<void>
  close(): Promise<void>
}

export interface BusHome {
  name: string
  start(): Promise<void>
  stream(options: { inFlightBytes: number }): Promise<TestStream>
  stop(): Promise<void>
}

export const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const message = (body: string, lane = 0) => ({ key: `probe/${lane}`, bytes: Buffer.from(body) })

/** Long enough for a group to form; nothing waits that long when all is well. */
const WAIT = 20_000

export async function firstClaim(source: Source): Promise<Claim> {
  for await (const claim of source.claims()) return claim
  throw new Error('the source ended without a claim')
}

/** The next `count` messages, or as many as come. */
export async function take(claim: Claim, count: number, wait = WAIT): Promise<Delivery[]> {
  const taken: Delivery[] = []
  while (taken.length < count) {
    const delivery = await claim.next(wait)
    if (delivery === undefined) break
    taken.push(delivery)
  }
  return taken
}

/** Works on the claims of a source side by side, until it is closed. To lose one is no error. */
export async function eachClaim(
  source: Source,
  work: (claim: Claim) => Promise<void>,
): Promise<void> {
  const working: Promise<void>[] = []
  for await (const claim of source.claims())
    working.push(
      work(claim).catch((error) => {
        if (!(error instanceof ClaimLost)) throw error
      }),
    )
  await Promise.all(working)
}

export function sliceOf(deliveries: readonly Delivery[], token = 'token') {
  const [first, last] = [deliveries[0]!.offset, deliveries.at(-1)!.offset]
  return { first, last, rows: deliveries.length, token }
}

export function busContract(home: BusHome): void {
  describe(home.name, () => {
    const open: TestStream[] = []
    const stream = async (inFlightBytes = 1 << 20) => {
      const fresh = await home.stream({ inFlightBytes })
      open.push(fresh)
      return fresh
    }
    beforeAll(() => home.start())
    afterEach(async () => {
      for (const one of open.splice(0)) await one.close()
    })
    afterAll(() => home.stop())

    test('what was sent is delivered in order, with its key, place and bytes', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      const bodies = Array.from({ length: 40 }, (_, i) => `chunk ${i}`)
      const places = await Promise.all(
        bodies.map((body, i) => sink.send({ key: `s-1/${i % 4}`, bytes: Buffer.from(body) })),
      )
      const claim = await firstClaim(await bus.source())
      expect(claim.intent).toBeUndefined()
      const taken = await take(claim, bodies.length)

      expect(new Set(taken.map(({ bytes }) => text(bytes)))).toEqual(new Set(bodies))
      for (let lane = 0; lane < 4; lane++)
        expect(
          taken.filter(({ key }) => key === `s-1/${lane}`).map((one) => text(one.bytes)),
        ).toEqual(bodies.filter((_, i) => i % 4 === lane))
      for (const [i, { stream: name, partition, offset }] of places.entries()) {
        const delivery = taken.find(({ bytes }) => text(bytes) === bodies[i])!
        expect(delivery).toMatchObject({ stream: name, partition, offset })
        expect(Math.abs(delivery.acceptedAt - Date.now())).toBeLessThan(120_000)
      }
      const offsets = taken.map(({ offset }) => offset)
      expect(offsets).toEqual([...offsets].sort((a, b) => (a < b ? -1 : 1)))
    })

    test('any bytes travel: none, zeros, a megabyte that does not compress', async () => {
      const bus = await stream(8 << 20)
      const sink = await bus.sink()
      const noise = Buffer.alloc(1 << 20)
      for (let i = 0, state = 1; i < noise.length; i++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        noise[i] = state >>> 24
      }
      const bodies = [Buffer.alloc(0), Buffer.alloc(70_000), noise]
      for (const bytes of bodies) await sink.send({ key: 'probe/0', bytes })
      const taken = await take(await firstClaim(await bus.source()), 3)
      expect(
        taken.map(({ bytes }) =>
          Buffer.from(bytes).equals(bodies[taken.findIndex((t) => t.bytes === bytes)]!),
        ),
      ).toEqual([true, true, true])
    })

    test('a message that no home takes is refused before it is sent', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      const tooLong = { key: 'probe/0', bytes: new Uint8Array(MESSAGE_BYTES_MAX + 1) }
      await expect(sink.send(tooLong)).rejects.toMatchObject({ kind: 'too_large' })
      await expect(sink.send({ key: 'k'.repeat(300), bytes: new Uint8Array(1) })).rejects.toThrow(
        BusError,
      )
      await sink.send(message('small'))
    })

    test('what is committed is not delivered again; what is not, is', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      for (const body of ['a', 'b', 'c', 'd']) await sink.send(message(body))
      const claim = await firstClaim(await bus.source())
      const taken = await take(claim, 3)
      await claim.intend({ attempt: 1, slices: [sliceOf(taken.slice(0, 2))] })
      await claim.commit(taken[2]!.offset)
      await bus.restart()

      const again = await firstClaim(await bus.source())
      expect(again.intent).toBeUndefined()
      expect(again.committed).toBe(taken[2]!.offset)
      expect((await take(again, 2)).map(({ bytes }) => text(bytes))).toEqual(['c', 'd'])
    })

    test('an intent without its commit is handed to whoever comes next, with exactly its slice', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      for (const body of ['a', 'b', 'c', 'd', 'e']) await sink.send(message(body))
      const claim = await firstClaim(await bus.source())
      const [a, b, c] = await take(claim, 4)
      await claim.intend({ attempt: 1, slices: [sliceOf([a!])] })
      await claim.commit(b!.offset)
      const intent = {
        attempt: 2,
        slices: [sliceOf([b!], 'first'), { ...sliceOf([c!], 'second'), rows: 16_384 }],
      }
      await claim.intend(intent)
      await bus.restart()

      const again = await firstClaim(await bus.source())
      expect(again.intent).toEqual(intent)
      expect(again.committed).toBe(b!.offset)
      const taken = await take(again, 4)
      expect(taken.map(({ bytes }) => text(bytes))).toEqual(['b', 'c', 'd', 'e'])
      await again.commit(taken[2]!.offset)
      await bus.restart()
      expect((await firstClaim(await bus.source())).intent).toBeUndefined()
    })

    test('who lost the partition can neither intend nor commit; the next one is handed the intent', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      for (const body of ['a', 'b']) await sink.send(message(body))
      const old = await bus.source()
      const claim = await firstClaim(old)
      const [a, b] = await take(claim, 2)
      const intent = { attempt: 1, slices: [sliceOf([a!])] }
      await claim.intend(intent)

      const fresh = await bus.source()
      await aborted(claim.lost)
      await expect(claim.intend({ attempt: 1, slices: [sliceOf([a!, b!])] })).rejects.toThrow(
        ClaimLost,
      )
      await expect(claim.commit(b!.offset + 1n)).rejects.toThrow(ClaimLost)
      expect(await claim.next(WAIT)).toBeUndefined()
      expect(old.counters.refused).toBe(2)
      await old.close()

      // It may win the partition twice: with the old member still there, and without.
      for await (const again of fresh.claims()) {
        // A commit that was told ClaimLost may have been stored a moment before.
        if (again.committed > b!.offset) return
        expect(again.intent).toEqual(intent)
        const taken = await take(again, 2)
        const committed = again.commit(b!.offset + 1n).then(
          () => true,
          (error) => !(error instanceof ClaimLost || error instanceof RangeError),
        )
        if (!(await committed)) continue
        expect(taken.map(({ bytes }) => text(bytes))).toEqual(['a', 'b'])
        return
      }
      expect.unreachable('the source ended')
    })

    test('delivery stops at the bytes in flight and goes on when they are committed', async () => {
      const bus = await stream(4000)
      const sink = await bus.sink()
      for (let i = 0; i < 20; i++) await sink.send({ key: 'probe/0', bytes: Buffer.alloc(1000, i) })
      const source = await bus.source()
      const claim = await firstClaim(source)
      const seen: number[] = []
      const counts: number[] = []
      while (seen.length < 20) {
        const first = await claim.next(WAIT)
        if (first === undefined) break
        const rest = await take(claim, 20, 400)
        const last = rest.at(-1) ?? first
        expect(source.counters.inFlightBytes).toBeLessThanOrEqual(4000)
        seen.push(...[first, ...rest].map(({ bytes }) => bytes[0]!))
        counts.push(1 + rest.length)
        await claim.commit(last.offset + 1n)
      }
      expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i))
      expect(counts[0]).toBe(4)
      expect(source.counters.pauses).toBeGreaterThan(0)
      expect(source.counters.inFlightBytes).toBe(0)
    })

    test('a limit below one message, or below an intent, is no dead end', async () => {
      const bus = await stream(1 << 20)
      const sink = await bus.sink()
      for (let i = 0; i < 6; i++)
        await sink.send({ key: 'probe/0', bytes: Buffer.alloc(300_000, i) })
      const claim = await firstClaim(await bus.source())
      const taken = await take(claim, 4)
      expect(taken).toHaveLength(4)
      await claim.intend({ attempt: 1, slices: [sliceOf(taken)] })
      await bus.restart()

      const again = await firstClaim(await bus.source())
      const slice = await take(again, 4)
      expect(slice.map(({ offset }) => offset)).toEqual(taken.map(({ offset }) => offset))
    })

    test('a claim cannot be used past what it delivered', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      for (const body of ['a', 'b', 'c']) await sink.send(message(body))
      const claim = await firstClaim(await bus.source())
      const [a] = await take(claim, 1)
      const beyond = { ...sliceOf([a!]), last: a!.offset + 1n }
      await expect(claim.intend({ attempt: 1, slices: [beyond] })).rejects.toThrow(RangeError)
      await expect(claim.commit(a!.offset + 2n)).rejects.toThrow(RangeError)
      await claim.commit(a!.offset + 1n)
      await expect(claim.commit(a!.offset)).rejects.toThrow(RangeError)
      await expect(claim.intend({ attempt: 1, slices: [sliceOf([a!])] })).rejects.toThrow(
        RangeError,
      )
      expect(await take(claim, 2)).toHaveLength(2)
    })

    test('lag is what is not committed, also of what was not fetched for want of room', async () => {
      const bus = await stream(2500)
      const sink = await bus.sink()
      const source = await bus.source()
      const claim = await firstClaim(source)
      const lag = () => source.lag().map(({ committed, end }) => Number(end - committed))
      for (let i = 0; i < 8; i++) await sink.send({ key: 'probe/0', bytes: Buffer.alloc(1000, i) })
      await expect.poll(lag, { timeout: WAIT }).toEqual([8])
      const taken = await take(claim, 3)
      await claim.commit(taken[1]!.offset)
      expect(lag()).toEqual([7])
      for (let left = 7; left > 0; left--) {
        const [next] = left > 5 ? [taken[8 - left]!] : await take(claim, 1)
        await claim.commit(next!.offset + 1n)
      }
      expect(lag()).toEqual([0])
      await source.close()
      expect(source.lag()).toEqual([])
    })

    test('one message after a long silence is delivered by itself', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      const claim = await firstClaim(await bus.source())
      expect(await claim.next(1500)).toBeUndefined()
      const arriving = claim.next(WAIT)
      await sink.send(message('at last'))
      expect(text((await arriving)!.bytes)).toBe('at last')
    })

    test('closing ends claims and their iteration, and sends are refused', async () => {
      const bus = await stream()
      const sink = await bus.sink()
      await sink.send(message('a'))
      const source = await bus.source()
      const claims = source.claims()[Symbol.asyncIterator]()
      const claim: Claim = (await claims.next()).value
      await take(claim, 1)
      const waiting = claim.next(WAIT)
      await source.close()
      expect(await waiting).toBeUndefined()
      expect(claim.lost.aborted).toBe(true)
      expect((await claims.next()).done).toBe(true)
      await bus.restart()
      await expect(sink.send(message('b'))).rejects.toMatchObject({ kind: 'closed' })
    })
  })
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
