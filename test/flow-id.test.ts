import fc from 'fast-check'
import { expect, test } from 'vitest'
import { contextHash, type FlowKey, flowId, flowIdOfUid, uidOf } from '../src/flow-id.ts'
import { formatUuid } from '../src/hash.ts'

const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 })
const port = fc.integer({ min: 0, max: 65535 })

function idOf(key: FlowKey): string {
  const id = new Uint8Array(16)
  flowId(key, id, 0)
  return formatUuid(id)
}

const key = fc.record({
  context: fc.constant(contextHash('lab')),
  addressA: sixteen,
  atA: fc.constant(0),
  portA: port,
  addressB: sixteen,
  atB: fc.constant(0),
  portB: port,
  protocol: fc.integer({ min: 0, max: 255 }),
  time: fc.integer({ min: 0, max: 2 ** 51 }),
  occurrence: fc.nat(3),
})

test('both sides of a conversation have one id', () => {
  fc.assert(
    fc.property(key, (k) => {
      expect(
        idOf({ ...k, addressA: k.addressB, portA: k.portB, addressB: k.addressA, portB: k.portA }),
      ).toBe(idOf(k))
    }),
  )
})

test('whatever tells two flows apart changes the id', () => {
  fc.assert(
    fc.property(key, (k) => {
      const others = [
        { ...k, context: k.context + 1 },
        { ...k, portA: (k.portA + 1) & 0xffff },
        { ...k, protocol: k.protocol ^ 1 },
        { ...k, time: k.time + 1 },
        { ...k, occurrence: k.occurrence + 1 },
      ]
      const ids = new Set([k, ...others].map(idOf))
      // The changed port may happen to swap with the other one's; every other change counts.
      expect(ids.size).toBeGreaterThanOrEqual(k.portA === k.portB ? 5 : 6)
    }),
  )
})

test('a uid has the shape of Zeek and is told by its id', () => {
  const id = new Uint8Array(16)
  flowIdOfUid('lab', 'CHhAvVGS1DHFjwGM9', id, 0)
  expect(uidOf(id)).toMatch(/^C[0-9A-Za-z]{16}$/)
  const other = new Uint8Array(16)
  flowIdOfUid('lab2', 'CHhAvVGS1DHFjwGM9', other, 0)
  expect(uidOf(other)).not.toBe(uidOf(id))
})
