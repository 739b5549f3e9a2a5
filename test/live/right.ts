// Whether this machine lets a test capture packets. Where continuous integration demands it, it must.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

const TCPDUMP = '/usr/bin/tcpdump'
const DUMPCAP = '/usr/bin/dumpcap'
const IP = '/usr/sbin/ip'
const ADDON = path.join(
  import.meta.dirname,
  '../../node_modules/pcap/build/Release/pcap_binding.node',
)

function mayCapture(): boolean {
  if (process.getuid?.() !== 0) return false
  if (![TCPDUMP, DUMPCAP, IP, ADDON].every((file) => existsSync(file))) return false
  try {
    // It opens the interface and waits for no packet, of which there may be none.
    execFileSync(TCPDUMP, ['-i', 'lo', '-L'], { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}

function mayMakeNamespaces(): boolean {
  const space = `bailiwick-may-${process.pid}`
  try {
    for (const word of ['add', 'del']) execFileSync(IP, ['netns', word, space], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export const CAPTURES = mayCapture()
/** In a container root may capture, and often not make a network. */
export const NAMESPACES = CAPTURES && mayMakeNamespaces()
if (!CAPTURES) {
  const words = 'tests of LIVE CAPTURE need root, tcpdump, dumpcap and the addon pcap'
  if (process.env.BAILIWICK_REQUIRE_CAPTURE === '1') throw new Error(words)
  process.stderr.write(`SKIPPED: ${words}\n`)
}
if (CAPTURES && !NAMESPACES)
  process.stderr.write('SKIPPED: tests of LIVE CAPTURE on networks of their own: no namespaces\n')
