// A memory that changes no answer: what was put under a key is found under that key alone, in whatever chunk.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Judgement } from '../src/judge.ts'
import { JudgementBook, KEY_WORDS } from '../src/judgement-book.ts'

const SECRET = '00112233445566778899aabbccddeeff'
/** The book only keeps judgements: any object that can be told from others will do. */
const judgement = (name: string) => ({ rule: name }) as Judgement

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

  test('knows where a chunk has put a judgement, and not where the chunk before did', () => {
    const book = new JudgementBook(SECRET)
    book.begin()
    const number = book.add(judgement('a'))
    expect(book.place(number)).toBe(-1)
    book.put(number, 7)
    expect(book.place(number)).toBe(7)
    book.begin()
    expect(book.place(number)).toBe(-1)
    expect(book.at(number).rule).toBe('a')
  })

  test('is emptied between chunks when it is large, never within one', () => {
    const book = new JudgementBook(SECRET)
    book.begin()
    for (let i = 0; i < 70_000; i++) {
      book.key[0] = i
      book.put(book.add(judgement(String(i))), i)
      book.text(`text ${i}`)
    }
    book.key[0] = 69_999
    expect(book.at(book.find()).rule).toBe('69999')
    expect(book.text('text 0')).toBe(0)
    book.begin()
    expect(book.find()).toBe(-1)
    const first = book.add(judgement('again'))
    expect([first, book.place(first), book.text('another')]).toEqual([0, -1, 0])
  })
})
