// Words of judgements: whatever was asked before, a block gets the codes that its own dictionaries give.

import { expect, test } from 'vitest'
import { Block } from '../src/block.ts'
import { JUDGEMENT_COLUMNS } from '../src/flow.ts'
import type { Judgement } from '../src/judge.ts'
import { JudgementWords } from '../src/judgement-words.ts'

const judgement = (
  agent: string,
  candidates: string[],
  weights: number[],
  port: number,
): Judgement => ({
  side: 'orig',
  verdict: 'in_scope',
  agent,
  candidates,
  method: 'address',
  grade: 'certain',
  evidence: [`address of ${agent}`, 'tcp handshake completed'],
  direction: 'egress',
  turned: false,
  rule: 'r',
  scopeVersion: '',
  port,
  score: port % 100,
  reasons: weights.map((weight) => ({ code: 'no_name', weight, evidence: `w ${weight}` })),
  finding: false,
})

test('codes mean the same words in every block, in the order in which the block met them', () => {
  const words = new JudgementWords()
  // More of them than the tables begin with.
  const judgements = Array.from({ length: 1300 }, (_, i) =>
    judgement(
      `urn:agent:${i % 150}`,
      i % 3 === 0 ? [] : [`c${i % 7}`, 'd'],
      i % 2 ? [5, i % 9] : [],
      60_000 + i,
    ),
  )
  for (const [i, one] of judgements.entries()) words.learn(i, one)
  for (const order of [judgements, judgements.toReversed()]) {
    words.begin()
    const block = new Block(JUDGEMENT_COLUMNS, order.length)
    block.rows = order.length
    const numbers = Uint32Array.from(order, (one) => judgements.indexOf(one))
    const counts = words.fill(numbers, block)
    expect(counts.get('in_scope')).toBe(order.length)
    const { columns: c } = block
    for (const [row, one] of order.entries()) {
      const { reasons } = one
      expect({
        said: [
          ...[c.side, c.verdict, c.agent, c.candidates, c.method, c.grade, c.evidence],
          ...[c.direction, c.rule, c.scope_version],
        ].map((column) => column.get(row)),
        reasons: [c.reason_codes, c.reason_weights, c.reason_evidence].map((column) =>
          column.get(row),
        ),
        numbers: [c.peer_port[row], c.score[row]],
      }).toEqual({
        said: [
          ...['orig', 'in_scope', one.agent, one.candidates, 'address', 'certain', one.evidence],
          ...['egress', 'r', ''],
        ],
        reasons: [
          reasons.map(({ code }) => code),
          reasons.map(({ weight }) => weight),
          reasons.map(({ evidence }) => evidence),
        ],
        numbers: [one.port, one.score],
      })
    }
    expect(c.agent.values[1]).toBe(order[0]!.agent)
  }
})

test('what was learnt is forgotten with the book', () => {
  const words = new JudgementWords()
  words.learn(0, judgement('urn:agent:a', [], [], 1))
  words.clear()
  words.learn(0, judgement('urn:agent:b', [], [], 2))
  words.begin()
  const block = new Block(JUDGEMENT_COLUMNS)
  block.rows = 1
  words.fill(Uint32Array.of(0), block)
  expect([block.columns.agent.get(0), block.columns.peer_port[0]]).toEqual(['urn:agent:b', 2])
})
