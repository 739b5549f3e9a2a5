// What a person at a command line sees of live capture: flows as they come, reasons and cures where it cannot begin, and
// what doctor finds. The commands run as processes, as root and as a user without any right.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mayRead } from '../../src/live/privileges.ts'
import { Network } from './network.ts'
import { captureProcesses, statusOf } from './processes.ts'
import { CAPTURES, NAMESPACES } from './right.ts'
import { until } from './watching.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const MAIN = path.join(ROOT, 'dist/src/cli/main.js')
const NOBODY = { uid: 65534, gid: 65534 }
const AS_NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups', '--']

/** Whether a user without rights can run the program from where it lies. */
const NOBODY_RUNS = CAPTURES && [MAIN, process.execPath].every((file) => mayRead(file, NOBODY))
if (CAPTURES && !NOBODY_RUNS)
  process.stderr.write(
    'SKIPPED: tests of capture WITHOUT RIGHTS: nobody may not read the program\n',
  )

const scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-live-command-'))
const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
})
let port = 0

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as { port: number }).port
})
afterAll(() => {
  server.close()
  rmSync(scratch, { recursive: true })
})

class Command {
  out = ''
  err = ''
  readonly child: ChildProcess
  readonly #ended: Promise<number | string>

  /** @param before what the command is run by @param main the program, if not where it is built */
  constructor(
    args: readonly string[],
    env: Record<string, string> = {},
    before: string[] = [],
    main = MAIN,
  ) {
    const line = [...before, process.execPath, main, ...args]
    this.child = spawn(line[0]!, line.slice(1), {
      env: { PATH: process.env.PATH, HOME: scratch, COLUMNS: '500', ...env },
      cwd: tmpdir(),
    })
    this.child.stdout!.on('data', (piece: Buffer) => {
      this.out += piece
    })
    this.child.stderr!.on('data', (piece: Buffer) => {
      this.err += piece
    })
    this.#ended = once(this.child, 'close').then(([code, signal]) => code ?? signal)
  }

  get lines(): Record<string, unknown>[] {
    const whole = this.out.slice(0, this.out.lastIndexOf('\n') + 1)
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }

  async end(): Promise<number | string> {
    return await this.#ended
  }
}

const asNobody = (...args: string[]) => new Command(args, {}, ['/usr/bin/setpriv', ...AS_NOBODY])

interface Found {
  name: string
  state: string
  found: string
  cure: string
}

async function doctor(command: Command): Promise<{ code: number | string; checks: Found[] }> {
  const code = await command.end()
  const { checks } = JSON.parse(command.out) as { checks: Found[] }
  return { code, checks: checks.filter(({ name }) => /capture|interfaces/.test(name)) }
}

describe.skipIf(!CAPTURES)('bailiwick flows --live', () => {
  test('tells of a flow when it is decided, while it goes on, and when it is told to end', async () => {
    const flows = new Command(
      ['flows', '--live', 'lo', '--filter', `tcp port ${port}`, '--format', 'ndjson'],
      { BAILIWICK_LIVE_ACTIVE_TIMEOUT_SECONDS: '1' },
    )
    await until(() => /capturing/.test(flows.err), 'capture')
    const socket = connect(port, '127.0.0.1')
    const asking = setInterval(() => socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'), 200)
    const reasons = () => flows.lines.map(({ end_reason }) => end_reason)
    await until(() => reasons().includes('open'), 'an open flow')
    await until(() => reasons().filter((one) => one === 'active').length >= 2, 'updates')
    clearInterval(asking)
    flows.child.kill('SIGTERM')
    expect(await flows.end()).toBe(0)
    socket.destroy()
    const last = flows.lines.at(-1)!
    expect(last).toMatchObject({ end_reason: 'input_end', server_name: 'a.example', source: 'lo' })
    expect(new Set(flows.lines.map(({ flow_id }) => flow_id)).size).toBe(1)
    // Sums so far, not differences.
    const packets = flows.lines.map(({ orig_pkts }) => orig_pkts as number)
    expect(packets).toEqual(packets.toSorted((a, b) => a - b))
    expect(last.orig_pkts).toBeGreaterThanOrEqual(12)
    expect(flows.err).toMatch(/^1 flow, \d+ packets, none lost$/m)
    expect(captureProcesses()).toEqual([])
  })

  test('prints lines for people, of those that match', async () => {
    const flows = new Command([
      ...['flows', '--live', 'lo', '--filter', `tcp port ${port}`],
      ...['--format', 'text', '--match', 'Wanted'],
    ])
    await until(() => /capturing/.test(flows.err), 'capture')
    for (const name of ['wanted.example', 'other.example']) {
      const socket = connect(port, '127.0.0.1')
      socket.end(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`)
      await once(socket.resume(), 'close')
    }
    await until(() => /ends/.test(flows.out), 'its end')
    flows.child.kill('SIGINT')
    expect(await flows.end()).toBe(0)
    const time = String.raw`\d\d:\d\d:\d\d\.\d{3}`
    const ends = String.raw`127\.0\.0\.1:\d+ +→ wanted\.example \(127\.0\.0\.1:${port}\)`
    expect(flows.out.trimEnd().split('\n')).toEqual([
      expect.stringMatching(new RegExp(`^${time}  begins   tcp   ${ends}  http`)),
      expect.stringMatching(new RegExp(`^${time}  ends     tcp   ${ends}  http  .* out, .* back`)),
    ])
  })

  test('takes the capture process along when it is killed', async () => {
    const flows = new Command(['flows', '--live', 'lo', '--capture-with', 'tcpdump'])
    await until(() => /capturing/.test(flows.err), 'capture')
    const left = captureProcesses(flows.child.pid)
    expect(left).toHaveLength(2)
    flows.child.kill('SIGKILL')
    await flows.end()
    const alive = ({ pid }: { pid: number }) => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    }
    await until(() => !left.some(alive), 'the end of what it started')
  })

  test('gives up every right where nobody else may read the program', async () => {
    const closed = path.join(scratch, 'closed')
    mkdirSync(closed, { mode: 0o700 })
    for (const name of ['dist/src', 'dist/workers', 'package.json', 'data'])
      cpSync(path.join(ROOT, name), path.join(closed, name), { recursive: true })
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(closed, 'node_modules'))
    const main = path.join(closed, 'dist/src/cli/main.js')
    const flows = new Command(['flows', '--live', 'lo'], {}, [], main)
    await until(() => /capturing .* as uid 65534 without any capability/.test(flows.err), 'capture')
    const status = statusOf(captureProcesses(flows.child.pid)[0]!.pid)
    const rights = ['Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm', 'NoNewPrivs']
    expect(rights.map((right) => status.get(right)?.trim())).toEqual([
      '65534\t65534\t65534\t65534',
      '65534\t65534\t65534\t65534',
      '',
      '0000000000000000',
      '0000000000000000',
      '1',
    ])
    flows.child.kill('SIGTERM')
    expect(await flows.end()).toBe(0)
  })

  test.skipIf(!NOBODY_RUNS)('without the right to capture says so, with the cure', async () => {
    const flows = asNobody('flows', '--live', 'lo', '--capture-with', 'pcap')
    expect(await flows.end()).toBe(4)
    expect(flows.err).toBe(
      'bailiwick: no right to capture on lo (pcap: socket: Operation not permitted): run as root (sudo), or with the capability CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW), or let dumpcap capture: setcap cap_net_raw+ep /usr/bin/dumpcap, and be in its group\n',
    )
    const all = asNobody('flows', '--live', 'lo')
    expect(await all.end()).toBe(4)
    expect(all.err).toMatch(
      /no right to capture on lo \(pcap: .*; dumpcap: .*; tcpdump: .*\): run as/,
    )
    // Root from whom all rights were taken has none either.
    const bare = ['/usr/bin/setpriv', '--bounding-set=-all', '--inh-caps=-all', '--']
    const root = new Command(['flows', '--live', 'lo'], {}, bare)
    expect(await root.end()).toBe(4)
    expect(root.err).toMatch(/no right to capture on lo/)
  })

  test('is told of a filter and of an interface that are none', async () => {
    const filter = new Command(['flows', '--live', 'lo', '--filter', 'tcp prot 80'])
    expect(await filter.end()).toBe(2)
    expect(filter.err).toMatch(/^bailiwick: the filter `tcp prot 80` is none: .*man pcap-filter/)
    const none = new Command(['flows', '--live', 'nosuch0'])
    expect(await none.end()).toBe(2)
    expect(none.err).toMatch(/^bailiwick: there is no interface nosuch0: expected one of .*\blo\b/)
  })
})

describe.skipIf(!CAPTURES)('bailiwick doctor', () => {
  test.skipIf(!NAMESPACES)(
    'captures for a moment, and says with what; of each interface that is asked for',
    async () => {
      const network = new Network()
      try {
        network.switch('down')
        const list = ['lo', network.interface, 'nosuch0'].join(',')
        const { code, checks } = await doctor(new Command(['doctor', '--json', '--live', list]))
        expect(code).toBe(4)
        expect(checks).toMatchObject([
          {
            name: 'interfaces',
            state: 'ok',
            found: expect.stringContaining(`${network.interface} switched off`),
          },
          {
            name: 'capture on lo',
            state: 'ok',
            found: expect.stringMatching(
              /^by the pcap addon, libpcap .* as uid 65534 with CAP_NET_RAW alone; dumpcap and tcpdump could too$/,
            ),
          },
          {
            name: `capture on ${network.interface}`,
            state: 'warn',
            cure: 'it is waited for: switch it on',
          },
          {
            name: 'capture on nosuch0',
            state: 'fail',
            cure: expect.stringMatching(/^expected one of .*\blo\b/),
          },
        ])
      } finally {
        network.close()
      }
    },
  )

  test.skipIf(!NOBODY_RUNS)(
    'without the right to capture warns, and fails where it was asked to',
    async () => {
      const { code, checks } = await doctor(asNobody('doctor', '--json'))
      expect(code).toBe(0)
      expect(checks).toMatchObject([
        { name: 'interfaces', state: 'ok' },
        {
          name: 'live capture',
          state: 'warn',
          found: 'no right to capture on lo (pcap: socket: Operation not permitted)',
          cure: expect.stringContaining('sudo'),
        },
      ])
      const asked = await doctor(asNobody('doctor', '--json', '--live', 'lo'))
      expect(asked.code).toBe(4)
      expect(asked.checks[1]).toMatchObject({ name: 'capture on lo', state: 'fail' })
    },
  )
})
