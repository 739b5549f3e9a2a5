import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Block } from '../src/block.ts'
import type { Columns } from '../src/flow.ts'
import { addChunkColumns, encodeBlock } from '../src/native.ts'
import { BlockError, decodeBlock } from '../src/native-read.ts'

const SPEC = {
  small: 'u8',
  port: 'u16',
  wide: 'u32',
  bytes: 'count',
  duration: 'seconds',
  ts: 'time',
  host: 'address',
  id: 'uuid',
  state: 'word',
  name: 'text',
  names: 'words',
  weights: 'bytes',
} as const satisfies Columns

const row = fc.record({
  small: fc.integer({ min: 0, max: 255 }),
  port: fc.integer({ min: 0, max: 65535 }),
  wide: fc.integer({ min: 0, max: 0xffffffff }),
  bytes: fc.option(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), { nil: Number.NaN }),
  duration: fc.option(fc.double({ noNaN: true }), { nil: Number.NaN }),
  ts: fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  host: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  state: fc.constantFrom<string>('', 'S0', 'SF', 'é日本'),
  name: fc.string(),
  names: fc.array(fc.stringMatching(/^[a-z.]{1,12}$/), { maxLength: 4 }),
  weights: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 4 }),
})
type Row = typeof row extends fc.Arbitrary<infer T> ? T : never

function blockOf(rows: readonly Row[]): Block<typeof SPEC> {
  const block = new Block(SPEC, 1)
  for (const r of rows) {
    const i = block.add()
    const c = block.columns
    c.small[i] = r.small
    c.port[i] = r.port
    c.wide[i] = r.wide
    c.bytes[i] = r.bytes
    c.duration[i] = r.duration
    c.ts[i] = r.ts
    c.host.set(r.host, i * 16)
    c.id.set(r.id, i * 16)
    c.state.set(i, r.state)
    c.name.set(i, r.name)
    c.names.set(i, r.names)
    c.weights.set(i, r.weights)
  }
  return block
}

function rowOf(block: Block<typeof SPEC>, i: number): Row {
  const c = block.columns
  return {
    small: c.small[i]!,
    port: c.port[i]!,
    wide: c.wide[i]!,
    bytes: c.bytes[i]!,
    duration: c.duration[i]!,
    ts: c.ts[i]!,
    host: c.host.slice(i * 16, i * 16 + 16),
    id: c.id.slice(i * 16, i * 16 + 16),
    state: c.state.get(i),
    name: c.name.get(i),
    names: [...c.names.get(i)],
    weights: [...c.weights.get(i)],
  }
}

test('what is written is read again, value by value', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), (rows) => {
      const read = decodeBlock(encodeBlock(blockOf(rows)), SPEC)
      expect(read.rows).toBe(rows.length)
      expect(rows.map((_, i) => rowOf(read, i))).toEqual(rows)
    }),
  )
})

test('a block that is used again leaves nothing of its former rows', () => {
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 8 }),
      fc.array(row, { maxLength: 8 }),
      (first, second) => {
        const block = blockOf(first)
        block.clear()
        block.add()
        const fresh = new Block(SPEC)
        fresh.add()
        expect(encodeBlock(block)).toEqual(encodeBlock(fresh))
        expect(encodeBlock(blockOf(second))).toEqual(encodeBlock(blockOf(second)))
      },
    ),
  )
})

test('a dictionary of more than 256 and of more than 65,536 words keeps its codes', () => {
  for (const count of [300, 70_000]) {
    const block = new Block({ name: 'word' })
    for (let i = 0; i < count; i++) block.columns.name.set(block.add(), `w${i}`)
    const read = decodeBlock(encodeBlock(block), { name: 'word' })
    expect(read.columns.name.get(count - 1)).toBe(`w${count - 1}`)
    expect(read.columns.name.get(255)).toBe('w255')
  }
})

test('a neighbouring version is read: columns it lacks are empty, columns it adds are passed over', () => {
  const newer = new Block({ port: 'u16', added: 'words', host: 'address' })
  newer.columns.port[newer.add()] = 443
  newer.columns.added.set(0, ['x'])
  const read = decodeBlock(encodeBlock(newer), { port: 'u16', state: 'word' })
  expect(read.columns.port[0]).toBe(443)
  expect(read.columns.state.get(0)).toBe('')
})

test('cut or scrambled bytes are a BlockError, never another failure', () => {
  const bytes = encodeBlock(blockOf(fc.sample(row, { numRuns: 5, seed: 1 })))
  for (let cut = 0; cut < bytes.length; cut++)
    expect(() => decodeBlock(bytes.subarray(0, cut), SPEC)).toThrow(BlockError)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = bytes.slice()
      bad[at]! ^= flip
      try {
        decodeBlock(bad, SPEC)
      } catch (error) {
        expect(error).toBeInstanceOf(BlockError)
      }
    }),
  )
})

test('chunk columns are added to every row', () => {
  const block = new Block({ port: 'u16' })
  block.add()
  block.add()
  const id = Uint8Array.from({ length: 16 }, (_, i) => i)
  const read = decodeBlock(Buffer.concat(addChunkColumns(encodeBlock(block), id)), {
    chunk_id: 'uuid',
    row: 'u32',
  })
  expect(read.columns.chunk_id.slice(16, 32)).toEqual(id)
  expect([...read.columns.row.subarray(0, 2)]).toEqual([0, 1])
})
