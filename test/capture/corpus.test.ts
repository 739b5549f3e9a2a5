// Real and damaged captures with packet counts by another reader, where such a corpus is at hand
// (BAILIWICK_CORPUS, a directory with capinfos.json and index.json).

import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sniffCapture } from '../../src/capture/capture-file.ts'
import { packetsInFlows, run } from './capture-run.ts'

const CORPUS = resolve(process.env.BAILIWICK_CORPUS ?? '../shared/corpus')
const SIZE_MAX = 12_000

interface Listed {
  file: string
  size: number
  packets?: number
}

const readJson = (name: string) => JSON.parse(readFileSync(join(CORPUS, name), 'utf8'))

describe.skipIf(!existsSync(join(CORPUS, 'capinfos.json')))('captures of others', () => {
  test('have as many packets as capinfos finds, and none gets lost on the way', () => {
    const list = readJson('index.json') as Listed[]
    const counts = readJson('capinfos.json') as Record<
      string,
      { packets?: number; errors?: string[] }
    >
    let compared = 0
    for (const { file, size } of list) {
      if (size > SIZE_MAX) continue
      const bytes = readFileSync(join(CORPUS, file))
      if (sniffCapture(bytes) === undefined) continue
      const result = run(bytes)
      const known = counts[file]
      if (known?.packets !== undefined && known.errors === undefined) {
        compared++
        expect([file, result.stats.packets]).toEqual([file, known.packets])
      }
      let apart = 0
      for (const [metric, value] of result.coverage)
        if (metric === 'not_ip' || metric.startsWith('parse_error.')) apart += value
      const inner = result.flows.filter((flow) => flow.parents.length > 0)
      if (
        inner.length === 0 &&
        result.stats.errors.length === 0 &&
        !result.coverage.has('inner_parse_error.not_ip')
      )
        expect([file, packetsInFlows(result) + apart]).toEqual([file, result.stats.packets])
    }
    expect(compared).toBeGreaterThan(300)
  }, 60_000)
})
