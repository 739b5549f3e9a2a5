// What no log may do to any decoder of this room: throw, lose count of a line, depend on the pieces, or put an
// unprintable character into a chunk.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogFormat } from '../../src/logs/logs.ts'
import { type ReadLog, readLog } from './read-log.ts'
import { CONN_ROW, zeekJson, zeekTsv } from './zeek-writer.ts'

const V2 =
  '2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK'
const HEADER =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status'
const ROWS = [
  CONN_ROW,
  { ...CONN_ROW, uid: 'C2', service: 'a\u0007,é', tunnel_parents: ['C1', 'C3'] },
]

const VALID: Record<LogFormat, string> = {
  'zeek-tsv': zeekTsv('conn', ROWS),
  'zeek-json': zeekJson(ROWS),
  'aws-vpc': `${HEADER}\n${V2}\n${V2.replace('172.31.16.139', '-')}\n2 1 eni-1 - - - - - - - 1 2 - NODATA\n${V2}`,
  'aws-cloudwatch': JSON.stringify({
    messageType: 'DATA_MESSAGE',
    logEvents: [{ message: V2 }, { message: HEADER }],
  }),
  'gcp-vpc': JSON.stringify([
    {
      jsonPayload: {
        connection: {
          src_ip: '10.0.0.1',
          dest_ip: '10.0.0.2',
          src_port: 5,
          dest_port: 80,
          protocol: 6,
        },
        start_time: '2025-09-27T21:12:57.083366649Z',
        bytes_sent: '5',
      },
    },
  ]),
  'azure-flow': JSON.stringify({
    records: [
      {
        macAddress: 'a',
        flowRecords: {
          flows: [
            {
              flowGroups: [
                { flowTuples: ['1663146003606,10.0.0.4,10.0.0.5,36776,53,17,I,E,NX,22,2217,33,0'] },
              ],
            },
          ],
        },
      },
    ],
  }),
}
const FORMATS = Object.keys(VALID) as LogFormat[]

const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]|\p{Surrogate}/u

function isSound({ stats, flows, rejects, coverage }: ReadLog): void {
  expect(stats.accepted + stats.rejected + stats.skipped).toBe(stats.lines)
  expect(flows).toHaveLength(stats.accepted)
  expect(rejects).toHaveLength(stats.rejected)
  expect(stats.errorCount).toBe(stats.rejected)
  for (const row of [...flows, ...rejects, ...coverage, { errors: stats.errors }])
    for (const value of Object.values(row).flat())
      if (typeof value === 'string') expect(value).not.toMatch(UNPRINTABLE)
  for (const flow of flows) {
    expect(flow.orig_h).not.toBe('')
    for (const value of Object.values(flow))
      if (typeof value === 'number') expect(Number.isFinite(value) && value >= 0).toBe(true)
  }
}

describe.each(FORMATS)('%s', (format) => {
  const bytes = Buffer.from(VALID[format])

  test('whole and byte by byte give the same chunks', () => {
    const whole = readLog(format, bytes)
    expect(whole.stats.accepted).toBeGreaterThan(0)
    isSound(whole)
    for (const piece of [1, 2, 7, 100])
      expect(readLog(format, bytes, {}, piece).chunks).toEqual(whole.chunks)
  })

  test('every truncation is sound', () => {
    for (let end = 0; end < bytes.length; end++) isSound(readLog(format, bytes.subarray(0, end)))
  })

  test('scrambled bytes are sound, whatever the pieces', () => {
    const change = fc.tuple(
      fc.nat(bytes.length - 1),
      fc.oneof(fc.nat(255), fc.constantFrom(0, 9, 10, 32, 34, 92, 123, 125)),
    )
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 64 }),
        (changes, piece) => {
          const scrambled = Buffer.from(bytes)
          for (const [at, byte] of changes) scrambled[at] = byte
          const whole = readLog(format, scrambled)
          isSound(whole)
          expect(readLog(format, scrambled, {}, piece).chunks).toEqual(whole.chunks)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('random bytes are sound', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (random) => isSound(readLog(format, random))),
    )
  })
})
