// Whether this machine lets a test capture packets. Where continuous integration demands it, it must.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

const TCPDUMP = '/usr/bin/tcpdump'
const ADDON = path.join(
  import.meta.dirname,
  '../../node_modules/pcap/build/Release/pcap_binding.node',
)

function mayCapture(): boolean {
  if (process.getuid?.() !== 0 || !existsSync(TCPDUMP) || !existsSync(ADDON)) return false
  try {
    execFileSync(TCPDUMP, ['-i', 'lo', '-w', '/dev/null', '-G', '1', '-W', '1'], {
      stdio: 'ignore',
      timeout: 10_000,
    })
    return true
  } catch {
    return false
  }
}

export const CAPTURES = mayCapture()
if (!CAPTURES) {
  const words = 'tests of LIVE CAPTURE need root, tcpdump and the addon pcap'
  if (process.env.BAILIWICK_REQUIRE_CAPTURE === '1') throw new Error(words)
  process.stderr.write(`SKIPPED: ${words}\n`)
}
