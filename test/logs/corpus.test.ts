// Real logs of other projects, where they are at hand: every line accounted for, and the sums of the connections.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { sniffLog } from '../../src/logs/logs.ts'
import { readLog } from './read-log.ts'

const CORPUS = process.env.BAILIWICK_CORPUS ?? path.join('..', 'shared', 'corpus')

function filesOf(directory: string): string[] {
  return readdirSync(path.join(CORPUS, directory), { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(directory, entry.name)
    if (entry.isDirectory()) return filesOf(at)
    return /\.(summary|parity|truth)\.json$/.test(entry.name) ? [] : [at]
  })
}

function bytesOf(file: string): Buffer {
  const bytes = readFileSync(path.join(CORPUS, file))
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes
}

function read(file: string) {
  const bytes = bytesOf(file)
  const sniffed = sniffLog(bytes, path.basename(file))
  if (sniffed === undefined) return undefined
  const { format, zeekPath } = sniffed
  return readLog(format, bytes, zeekPath === undefined ? {} : { zeekPath }, 65_536)
}

describe.skipIf(!existsSync(CORPUS))('the corpus', () => {
  test('every line of every log is accepted, rejected or skipped', () => {
    for (const file of [...filesOf('zeek'), ...filesOf('vpcflow')]) {
      const log = read(file)
      if (log === undefined) continue
      const { lines, accepted, rejected, skipped } = log.stats
      expect([file, accepted + rejected + skipped]).toEqual([file, lines])
      expect([file, log.flows.length]).toEqual([file, accepted])
    }
  })

  test('logs that repeat a uid with growing counters add up to the last row', () => {
    const log = read('zeek/rita/open_conns/open/open_conn.log')!
    const last = new Map<unknown, number>()
    for (const line of bytesOf('zeek/rita/open_conns/open/open_conn.log').toString().split('\n')) {
      const cells = line.split('\t')
      if (!line.startsWith('#') && cells[9] !== undefined) last.set(cells[1], Number(cells[9]))
    }
    const sum = log.flows.reduce((total, flow) => total + Number(flow.orig_bytes ?? 0), 0)
    expect(sum).toBe([...last.values()].reduce((total, bytes) => total + (bytes || 0), 0))
  })

  test('a Community ID given by another tool is ours too', () => {
    const log = read('zeek/elastic/conn.json.log')!
    expect(log.stats).toMatchObject({ accepted: 13, rejected: 0 })
    expect(log.flows[0]).toMatchObject({
      uid: 'CAcJw21BbVedgFnYH3',
      community_id: '1:Z26DBGVYoBKQ1FT6qfPaAqBnJik=',
    })
  })
})
