// Packets and flows per second from a capture file: our decoder, writing chunks, against the flow tools of Debian that
// are installed (nfpcapd, softflowd, tshark), each a process of its own over the same made capture, in turns, medians.
// Ours says more of a flow than they do: names, services, TCP states. Run: npm run bench:capture [-- PACKETS ROUNDS]

import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { captureDecoder } from '../src/capture/capture.ts'
import { ChunkWriter } from '../src/chunk.ts'
import { makeCapture } from './made-capture.ts'

const PIECE = 256 * 1024

/** Decodes `path` and writes its chunks to `out`: what the measured process of ours does. */
function decode(path: string, out: string): void {
  const input = openSync(path, 'r')
  const output = openSync(out, 'w')
  const chunks = new ChunkWriter({ sensor: 'bench', origin: 'bench', format: 'pcap' }, (chunk) => {
    writeSync(output, chunk)
  })
  const settings = { sensor: 'bench', verifyChecksums: false, hashSeed: Int32Array.of(1, 2, 3, 4) }
  const decoder = captureDecoder('pcap', settings, chunks)
  const piece = Buffer.allocUnsafe(PIECE)
  for (;;) {
    const length = readSync(input, piece, 0, PIECE, null)
    if (length === 0) break
    decoder.push(piece.subarray(0, length))
  }
  decoder.end()
  chunks.end()
  closeSync(output)
  const { packets } = decoder.stats
  process.stdout.write(JSON.stringify({ packets, flows: chunks.flowCount }))
}

interface Tool {
  name: string
  /** Prints the version somewhere on its two outputs. */
  version: readonly string[]
  run: (path: string, directory: string) => readonly string[]
}

// Idle and active timeouts as ours and as each other's, as far as the tool has them.
const TOOLS: readonly Tool[] = [
  {
    name: 'nfpcapd',
    version: ['nfpcapd', '-V'],
    run: (path, directory) => ['nfpcapd', '-r', path, '-w', directory, '-e', '300,60'],
  },
  {
    name: 'softflowd',
    version: ['softflowd', '-h'],
    run: (path) => [
      ...['softflowd', '-6', '-d', '-r', path, '-m', '2000000', '-c', 'none'],
      ...[
        '-t',
        'general=60',
        '-t',
        'tcp=60',
        '-t',
        'udp=60',
        '-t',
        'tcp.rst=60',
        '-t',
        'tcp.fin=60',
      ],
      ...['-t', 'maxlife=300'],
    ],
  },
  {
    name: 'tshark',
    version: ['tshark', '--version'],
    run: (path) => ['tshark', '-n', '-r', path, '-q', '-z', 'conv,tcp', '-z', 'conv,udp'],
  },
]

/** The first version number that a tool prints, or undefined if it is not installed. */
function versionOf(tool: Tool): string | undefined {
  const [command, ...args] = tool.version as [string, ...string[]]
  const ran = spawnSync(command, args, { encoding: 'utf8' })
  if (ran.error !== undefined) return undefined
  return /\d+\.\d+(?:\.\d+)?/.exec(ran.stdout + ran.stderr)?.[0] ?? 'of unknown version'
}

interface Run {
  wall: number
  /** User and system time, seconds. */
  cpu: number
  out: string
}

/** Runs a command to its end. @throws Error with what it said, if it failed. */
function timed(command: readonly string[]): Run {
  const start = performance.now()
  // The shell's own `times` tells what its children took: second line, `0m1.20s 0m0.10s`.
  const ran = spawnSync('sh', ['-c', '"$@" || exit; times >&2', 'sh', ...command], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  })
  const wall = (performance.now() - start) / 1000
  const last = ran.stderr.trimEnd().split('\n').at(-1) ?? ''
  const parts = [...last.matchAll(/(\d+)m([\d.]+)s/g)]
  if (ran.status !== 0 || parts.length !== 2)
    throw new Error(`${command[0]} failed: ${ran.stderr.slice(-300)}`)
  const cpu = parts.reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  )
  return { wall, cpu, out: ran.stdout }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function line(name: string, runs: readonly Run[], packets: number, flows?: number): string {
  const wall = median(runs.map((run) => run.wall))
  const cpu = median(runs.map((run) => run.cpu))
  const rate = (count: number) => (count / 1000).toFixed(0).padStart(6)
  const told = flows === undefined ? '' : `, ${rate(flows / wall)} k flows/s`
  return `${name.padEnd(20)}${rate(packets / wall)} k packets/s${told}  (${wall.toFixed(2)} s, ${cpu.toFixed(2)} s CPU)\n`
}

function main(wanted: number, rounds: number): void {
  const directory = mkdtempSync(join(tmpdir(), 'bailiwick-bench-'))
  try {
    const path = join(directory, 'made.pcap')
    const bytes = makeCapture(path, wanted)
    const out = join(directory, 'chunks')
    const self = [process.execPath, fileURLToPath(import.meta.url), '--decode', path, out]
    const installed = TOOLS.map((tool) => ({ tool, version: versionOf(tool), runs: [] as Run[] }))
    const peers = installed.filter(({ version }) => version !== undefined)
    mkdirSync(join(directory, 'flows'))
    const ours: Run[] = []
    // Round 0 warms the page cache and is not counted.
    for (let round = 0; round <= rounds; round++) {
      const own = timed(self)
      if (round > 0) ours.push(own)
      for (const peer of peers) {
        const run = timed(peer.tool.run(path, join(directory, 'flows')))
        if (round > 0) peer.runs.push(run)
      }
    }
    const { packets, flows } = JSON.parse(ours[0]!.out) as { packets: number; flows: number }
    let text = `capture             ${packets} packets, ${(bytes / 1e6).toFixed(0)} MB, ${rounds} rounds in turns, medians\n`
    text += line('bailiwick', ours, packets, flows)
    for (const { tool, version, runs } of peers) {
      const ratio = (of: (run: Run) => number) =>
        median(runs.map((run, i) => of(run) / of(ours[i]!))).toFixed(1)
      text += line(`${tool.name} ${version}`, runs, packets)
      text += `  ratio             ${ratio((run) => run.wall)} x, by CPU ${ratio((run) => run.cpu)} x (medians of the rounds' ratios)\n`
    }
    if (peers.length === 0)
      text +=
        'nothing to compare with: none of nfpcapd (package nfdump), softflowd, tshark is installed\n'
    process.stdout.write(text)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const args = process.argv.slice(2)
if (args[0] === '--decode') decode(args[1]!, args[2]!)
else main(Number(args[0] ?? 2_000_000), Number(args[1] ?? 5))
