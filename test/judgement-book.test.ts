// A memory that changes no answer: what was put under a key is found under that key alone, in whatever chunk.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Judgement } from '../src/judge.ts'
import { JudgementBook, KEY_WORDS } from '../src/judgement-book.ts'

const SECRET = '00112233445566778899aabbccddeeff'
const judgement = (rule: string, marks: Partial<Judgement> = {}): Judgement => ({
  side: 'orig',
  verdict: 'in_scope',
  agent: '',
  candidates: [],
  method: 'address',
  grade: 'certain',
  evidence: [],
  direction: 'egress',
  turned: false,
  rule,
  scopeVersion: '',
  port: 443,
  score: 0,
  reasons: [],
  finding: false,
  ...marks,
})

describe('a book of judgements', () => {
  test('finds what a plain map finds', () => {
    // Few distinct words, so that keys come again and differ in one word only.
    const words = fc.array(fc.constantFrom(0, 1, -1, 0x7fff_ffff), {
      minLength: KEY_WORDS,
      maxLength: KEY_WORDS,
    })
    fc.assert(
      fc.property(fc.array(words, { maxLength: 200 }), (keys) => {
        const book = new JudgementBook(SECRET)
        const model = new Map<string, Judgement>()
        for (const key of keys) {
          book.key.set(key)
          const text = key.join()
          const number = book.find()
          expect(number < 0 ? undefined : book.at(number)).toBe(model.get(text))
          if (number >= 0) continue
          const made = judgement(text)
          model.set(text, made)
          expect(book.at(book.add(made))).toBe(made)
        }
      }),
    )
  })

  test('knows which of them are findings, and which hold with the ends turned round', () => {
    const book = new JudgementBook(SECRET)
    book.begin()
    // More of them than the tables begin with.
    for (let i = 0; i < 3000; i++) {
      book.key[0] = i
      book.add(judgement(String(i), { finding: i % 3 === 0, turned: i % 5 === 0 }))
    }
    for (const i of [0, 1, 3, 5, 1023, 1024, 1025, 2999])
      expect([book.isFinding(i), book.isTurned(i)]).toEqual([i % 3 === 0, i % 5 === 0])
  })

  test('is emptied between chunks when it is large, never within one', () => {
    const book = new JudgementBook(SECRET)
    book.begin()
    for (let i = 0; i < 70_000; i++) {
      book.key[0] = i
      book.add(judgement(String(i)))
      book.text(`text ${i}`)
    }
    book.key[0] = 69_999
    expect(book.at(book.find()).rule).toBe('69999')
    expect(book.text('text 0')).toBe(0)
    book.begin()
    expect(book.find()).toBe(-1)
    const first = book.add(judgement('again'))
    expect([first, book.text('another')]).toEqual([0, 0])
  })
})
