// Words of judgements: whatever was asked before, a block gets the codes that its own dictionaries give.

import { expect, test } from 'vitest'
import { Block } from '../src/block.ts'
import { JUDGEMENT_COLUMNS } from '../src/flow.ts'
import type { Judgement } from '../src/judge.ts'
import { JudgementWords, WORD_COLUMNS, wordColumns } from '../src/judgement-words.ts'

const judgement = (agent: string, candidates: string[], weights: number[]): Judgement => ({
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
  port: 443,
  score: 0,
  reasons: weights.map((weight) => ({ code: 'no_name', weight, evidence: `w ${weight}` })),
  finding: false,
})

test('codes mean the same words in every block, in the order in which the block met them', () => {
  const words = new JudgementWords()
  // More of them than the tables begin with.
  const judgements = Array.from({ length: 300 }, (_, i) =>
    judgement(
      `urn:agent:${i % 150}`,
      i % 3 === 0 ? [] : [`c${i % 7}`, 'd'],
      i % 2 ? [5, i % 9] : [],
    ),
  )
  for (const order of [judgements, judgements.toReversed()]) {
    words.begin()
    const block = new Block(JUDGEMENT_COLUMNS)
    const columns = wordColumns(block)
    const codes = new Int32Array(WORD_COLUMNS.length)
    for (const one of order) {
      words.codes(judgements.indexOf(one), one, columns, codes, 0)
      const said = [...codes].map((code, i) => columns[i]!.values[code])
      const { reasons } = one
      expect(said).toEqual([
        ...['orig', 'in_scope', one.agent, one.candidates, 'address', 'certain', one.evidence],
        ...['egress', 'r', '', reasons.map(({ code }) => code)],
        ...[reasons.map(({ weight }) => weight), reasons.map(({ evidence }) => evidence)],
      ])
    }
    const first = order[0]!.agent
    expect(block.columns.agent.values[1]).toBe(first)
    words.begin()
    words.clear()
  }
})
