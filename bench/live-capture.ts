// How many packets a second are captured without loss, and what that takes. Real packets on a pair of virtual
// interfaces: tcpreplay sends UDP conversations from a network namespace, `bailiwick flows --live` captures and decodes
// them and writes a line for every record. What was sent is the interface's own count, what was captured and lost is what
// the command says at its end.
//
//   npm run bench:live-capture -- [--packets 80000] [--bytes 200] [--conversations 8000] [--seconds 30] [--runs 3]
//                                 [--with auto|pcap|dumpcap|tcpdump] [--ring 64MiB]
//   npm run bench:live-capture -- --stop 500    the capture process stands still for so long: lost packets must show
//   npm run bench:live-capture -- --idle        what it takes while no packet comes, after a minute
//
// Needs root, `ip` and tcpreplay.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { LiveNet } from './live-net.ts'
import { MeasuredProcess, usageOf } from './measured-process.ts'
import { MAIN, pause } from './pipeline-stage.ts'

const { values: options } = parseArgs({
  options: {
    packets: { type: 'string', default: '80000' },
    bytes: { type: 'string', default: '200' },
    conversations: { type: 'string', default: '8000' },
    seconds: { type: 'string', default: '30' },
    runs: { type: 'string', default: '3' },
    with: { type: 'string', default: 'auto' },
    ring: { type: 'string', default: '64MiB' },
    stop: { type: 'string', default: '0' },
    idle: { type: 'boolean', default: false },
  },
})
const PACKETS = Number(options.packets)
const SECONDS = Number(options.seconds)
/** Packets that tcpreplay sends together: a thousand of such bursts a second. */
const TOGETHER = Math.max(1, Math.round(PACKETS / 1000))
const IDLE_MILLIS = 60_000
const IDLE_LOOK_MILLIS = 30_000

const say = (text: string) => process.stdout.write(`${text}\n`)
const directory = mkdtempSync(join(tmpdir(), 'bailiwick-live-capture-'))

/** A second of traffic: so many packets of so many bytes, of conversations that go both ways. */
function writeTraffic(path: string, packets: number, bytes: number, conversations: number): void {
  const record = 16 + bytes
  const file = Buffer.alloc(24 + packets * record)
  file.writeUInt32LE(0xa1b2c3d4, 0)
  file.writeUInt16LE(2, 4)
  file.writeUInt16LE(4, 6)
  file.writeUInt32LE(65_535, 16)
  file.writeUInt32LE(1, 20)
  for (let at = 0; at < packets; at++) {
    const start = 24 + at * record
    file.writeUInt32LE(Math.floor((at / packets) * 1e6), start + 4)
    file.writeUInt32LE(bytes, start + 8)
    file.writeUInt32LE(bytes, start + 12)
    const frame = file.subarray(start + 16, start + record)
    // Ethernet to and from nobody, IPv4, UDP without checksum.
    frame.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0, 0x45, 0])
    frame.writeUInt16BE(bytes - 14, 16)
    frame.set([64, 17], 22)
    const place = at % conversations
    const back = Math.floor(at / conversations) % 2 === 1
    frame.writeUInt32BE(0x0a00_0000 + (place & 0xff), back ? 30 : 26)
    frame.writeUInt32BE(0xc612_0001 + (place >> 8), back ? 26 : 30)
    frame.writeUInt16BE(20_000 + place, back ? 36 : 34)
    frame.writeUInt16BE(4433, back ? 34 : 36)
    frame.writeUInt16BE(bytes - 34, 38)
    frame.fill(0x78, 42)
  }
  writeFileSync(path, file)
}

const received = (name: string) =>
  Number(readFileSync(`/sys/class/net/${name}/statistics/rx_packets`, 'utf8'))

/** The command, and the process that it captures with. */
class Capturing {
  readonly main: MeasuredProcess
  child = 0

  constructor(net: LiveNet) {
    const out = `exec "$0" "$@" > ${join(directory, 'flows.ndjson')}`
    this.main = new MeasuredProcess(
      [
        ...['sh', '-c', out, process.execPath, MAIN, 'flows', '--live', net.interface],
        ...['--format', 'ndjson', '--capture-with', options.with],
      ],
      { BAILIWICK_LIVE_RING_BYTES: options.ring },
    )
  }

  async ready(): Promise<void> {
    for (let waited = 0; !/capturing/.test(this.main.said); waited += 50) {
      if (waited > 20_000) throw new Error(`it does not capture: ${this.main.said}`)
      await pause(50)
    }
    const children = `/proc/${this.main.pid}/task/${this.main.pid}/children`
    for (const pid of readFileSync(children, 'utf8').trim().split(' ').map(Number))
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('capture.js')) this.child = pid
  }

  cpu(): { main: number; child: number } {
    return { main: usageOf(this.main.pid)!.cpu, child: usageOf(this.child)!.cpu }
  }

  /** Ends it. @returns packets that were decoded, and that were lost */
  async end(): Promise<{ packets: number; lost: number; flows: number }> {
    await this.main.stop()
    const found = /([\d,]+) flows?, ([\d,]+) packets?, (none|[\d,]+) lost/.exec(this.main.said)
    if (found === null) throw new Error(`it ended without its counts: ${this.main.said}`)
    const [flows, packets, lost] = found
      .slice(1)
      .map((text) => (text === 'none' ? 0 : Number(text.replaceAll(',', ''))))
    return { flows: flows!, packets: packets!, lost: lost! }
  }
}

const percent = (cpu: number, seconds: number) => `${((cpu / seconds) * 100).toFixed(1)} %`

async function run(net: LiveNet, traffic: string): Promise<void> {
  const capturing = new Capturing(net)
  try {
    await capturing.ready()
    await pause(1000)
    const sentBefore = received(net.interface)
    const before = capturing.cpu()
    const began = performance.now()
    const generator = new MeasuredProcess(
      net.asAgent([
        ...[
          'nice',
          '-n',
          '-10',
          'tcpreplay',
          '-q',
          '-K',
          '-i',
          net.agentInterface,
          `--loop=${SECONDS}`,
        ],
        ...[`--pps=${PACKETS}`, `--pps-multi=${TOGETHER}`, traffic],
      ]),
    )
    generator.child.stdin?.end()
    const stop = Number(options.stop)
    if (stop > 0) {
      await pause((SECONDS / 2) * 1000)
      process.kill(capturing.child, 'SIGSTOP')
      await pause(stop)
      process.kill(capturing.child, 'SIGCONT')
    }
    await generator.done()
    const took = (performance.now() - began) / 1000
    const sent = received(net.interface) - sentBefore
    await pause(1500)
    const after = capturing.cpu()
    const memory = usageOf(capturing.child)!.rss / 2 ** 20
    const { packets, lost, flows } = await capturing.end()
    say(
      [
        `${sent} packets in ${took.toFixed(1)} s (${Math.round(sent / took)}/s)`,
        `captured ${packets}, lost ${lost}, neither ${sent - packets - lost}; ${flows} flows`,
        `CPU: capture process ${percent(after.child - before.child, took)} of a core, command ${percent(after.main - before.main, took)}`,
        `memory of the capture process ${memory.toFixed(0)} MiB`,
      ].join('; '),
    )
  } finally {
    await capturing.main.stop()
  }
}

async function idle(net: LiveNet): Promise<void> {
  const capturing = new Capturing(net)
  try {
    await capturing.ready()
    await pause(IDLE_MILLIS)
    for (let look = 0; look < 3; look++) {
      const before = capturing.cpu()
      await pause(IDLE_LOOK_MILLIS)
      const after = capturing.cpu()
      const seconds = IDLE_LOOK_MILLIS / 1000
      say(
        `idle: capture process ${percent(after.child - before.child, seconds)} of a core, command ${percent(after.main - before.main, seconds)}`,
      )
    }
  } finally {
    await capturing.main.stop()
  }
}

const net = LiveNet.open()
try {
  const traffic = join(directory, 'second.pcap')
  writeTraffic(traffic, PACKETS, Number(options.bytes), Number(options.conversations))
  closeSync(openSync(join(directory, 'flows.ndjson'), 'w'))
  say(
    `tcpreplay: ${PACKETS} packets/s of ${options.bytes} bytes, ${options.conversations} conversations by UDP, ${SECONDS} s; captured with ${options.with}, ring ${options.ring}`,
  )
  if (options.idle) await idle(net)
  else for (let at = 0; at < Number(options.runs); at++) await run(net, traffic)
} finally {
  net.close()
  rmSync(directory, { recursive: true, force: true })
}
