import { describe, expect, it } from 'vitest'
import { sizeWords, startProgress } from '../../src/cli/progress.ts'
import { heard, RAW_CONTROL } from './heard.ts'

describe('startProgress', () => {
  it('says a line every ten seconds where nobody watches', async () => {
    const { terminal, err } = heard()
    let now = 0
    const progress = startProgress(terminal, true, () => now)
    for (; now <= 25_000; now += 1000)
      progress.at({ source: 'a\u001b.pcap', bytesRead: now * 1000, bytesTotal: 100e6 })
    progress.stop()
    await terminal.err.drained()
    expect(err.text).toBe(
      'reading a\\u{1b}.pcap: 10.0 MB of 100.0 MB\nreading a\\u{1b}.pcap: 20.0 MB of 100.0 MB\n',
    )
    expect(err.text).not.toMatch(RAW_CONTROL)
  })

  it('is silent if asked to be', async () => {
    const { terminal, err } = heard({ quiet: true })
    let now = 0
    const progress = startProgress(terminal, true, () => (now += 60_000))
    progress.at({ source: 'a', bytesRead: 1, bytesTotal: 0 })
    await terminal.err.drained()
    expect(err.text).toBe('')
  })
})

it('says sizes as people do', () => {
  expect([0, 999, 1000, 1_500_000, 999_960, 1_136_504_403].map(sizeWords)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '1.5 MB',
    '1.0 MB',
    '1.1 GB',
  ])
})
