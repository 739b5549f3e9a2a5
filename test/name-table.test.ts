import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NAME_TEXT_MAX, NameTable, NameText } from '../src/name-table.ts'

const SEED = Int32Array.of(1, 2, 3, 4)
const scratch = new NameText()

function nameOf(text: string): NameText {
  if (!scratch.take(text)) throw new Error(`no name: ${text}`)
  return scratch
}

describe('NameText', () => {
  it('takes what a name can be, and gives it back', () => {
    expect(nameOf('www.example.com').text).toBe('www.example.com')
    expect(nameOf('').text).toBe('')
    expect(scratch.take('a'.repeat(NAME_TEXT_MAX))).toBe(true)
    expect(scratch.take('a'.repeat(NAME_TEXT_MAX + 1))).toBe(false)
    expect(scratch.take('long\u2026')).toBe(false)
  })
})

describe('NameTable', () => {
  it('gives a name one number as long as somebody holds it', () => {
    const table = new NameTable(SEED)
    const first = table.hold(nameOf('a.example'))
    expect(table.hold(nameOf('a.example'))).toBe(first)
    expect(table.find(nameOf('a.example'))).toBe(first)
    expect(table.text(first)).toBe('a.example')
    table.release(first)
    expect(table.find(nameOf('a.example'))).toBe(first)
    table.release(first)
    expect(table.find(nameOf('a.example'))).toBe(-1)
    expect(table.size).toBe(0)
  })

  it('is a multiset of names, whatever came before in the same memory', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-'), maxLength: 9 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, fc.boolean()), { maxLength: 200 }), (steps) => {
        const table = new NameTable(SEED)
        const held = new Map<string, number>()
        for (const [name, release] of steps) {
          const count = held.get(name) ?? 0
          if (!release) {
            table.hold(nameOf(name))
            held.set(name, count + 1)
          } else if (count > 0) {
            table.release(table.find(nameOf(name)))
            if (count === 1) held.delete(name)
            else held.set(name, count - 1)
          }
        }
        expect(table.size).toBe(held.size)
        for (const [name] of steps) {
          const number = table.find(nameOf(name))
          if (held.has(name)) expect(table.text(number)).toBe(name)
          else expect(number).toBe(-1)
        }
      }),
    )
  })
})
