// `bailiwick webhooks`, asked of a server and of what it left: how each does, a test message, what is dead, once more.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { Hub } from '../../src/respond/hub.ts'
import { Responder } from '../../src/respond/responder.ts'
import { finding } from '../respond/made-findings.ts'
import { Receiver, SECRET } from '../respond/receiver.ts'
import { LOOPBACK, QUICK, webhook } from '../respond/responding.ts'
import { Server } from '../serve/server.ts'
import { Memory } from './heard.ts'

const AGENTS = path.join(import.meta.dirname, '../../fixtures/day-of-work/agents')

describe('bailiwick webhooks', () => {
  let scratch = ''
  let receiver: Receiver
  let server: Server | undefined
  const data = () => path.join(scratch, 'data')

  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-webhooks-'))
    receiver = await Receiver.start()
    writeFileSync(path.join(scratch, 'secret'), SECRET, { mode: 0o600 })
    writeFileSync(
      path.join(scratch, 'bailiwick.yaml'),
      `respond:
  webhooks: [{name: soc, url: "${receiver.url}", secret_file: secret}]
  allow_targets: [127.0.0.0/8]
`,
    )
    await leaveOneDead()
  })
  afterEach(() => {
    receiver.answer = (_, response) => response.writeHead(204).end()
  })
  afterAll(async () => {
    server?.child.kill('SIGKILL')
    await receiver.stop()
    rmSync(scratch, { recursive: true, force: true })
  })

  /** A process whose receiver refused everything, and that ended. */
  async function leaveOneDead(): Promise<void> {
    receiver.answer = (_, response) => response.writeHead(400).end()
    const hub = new Hub(() => {})
    const died = new Promise<void>((resolve) => {
      hub.subscribe(({ type, data }) => {
        if (type === 'delivery' && data.state === 'dead') resolve()
      })
    })
    const responder = await Responder.open(
      {
        directory: path.join(data(), 'respond'),
        webhooks: [webhook(receiver.url)],
        allowTargets: LOOPBACK,
      },
      { log: () => {}, hub, version: '1', limits: QUICK },
    )
    await responder.take([finding(1)])
    await died
    await responder.close()
    receiver.answer = (_, response) => response.writeHead(204).end()
  }

  async function webhooks(...args: string[]) {
    const [stdout, stderr] = [new Memory(), new Memory()]
    const config = ['--config', path.join(scratch, 'bailiwick.yaml'), '--data', data()]
    const code = await run(['webhooks', ...args, ...config], {
      ...{ stdout, stderr, environment: readEnvironment({}) },
      signal: new AbortController().signal,
    })
    return { code, out: stdout.text, err: stderr.text }
  }

  test('without a process: the settings, a test from here, what is dead', async () => {
    const listed = await webhooks('ls')
    expect([listed.code, listed.out]).toEqual([0, expect.stringContaining('http://127.0.0.1:')])
    expect(listed.err).toContain('no process sends now')

    const sent = receiver.received.length
    const tested = await webhooks('test', 'soc')
    expect(tested.out).toMatch(
      /^delivered to http:\/\/127\.0\.0\.1:\d+\/… \(status 204\) in \d+ ms/,
    )
    expect(receiver.received[sent]).toMatchObject({ message: { type: 'webhook.test' } })
    expect(tested.out).toContain(receiver.received[sent]!.id)
    receiver.answer = (_, response) => response.writeHead(500).end('<html>s3cr3t-answer')
    const refused = await webhooks('test', 'soc')
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('answered 500')])
    expect((await webhooks('test', 'no-such')).err).toContain('there are soc')

    const { dead } = JSON.parse((await webhooks('dead', '--json')).out)
    expect(dead).toMatchObject([{ endpoint: 'soc', alerts: [finding(1).alertId] }])
    for (const { out, err } of [listed, tested, refused])
      for (const secret of [SECRET, 's3cr3t']) expect(out + err).not.toContain(secret)
  })

  test('what is dead goes out with the next process, or at once', async () => {
    const [{ id }] = JSON.parse((await webhooks('dead', '--json')).out).dead
    expect((await webhooks('redrive', 'msg_none')).code).toBe(2)
    const before = receiver.received.length
    expect((await webhooks('redrive', id)).out).toBe(
      `${id} goes out when the next process begins\n`,
    )
    server = new Server(scratch, ['--agents', AGENTS, '--data', 'data'])
    await server.address()
    await receiver.until(before + 1)
    expect(receiver.received.at(-1)!.id).toBe(id)
    expect(JSON.parse((await webhooks('dead', '--json')).out)).toMatchObject({ total: 0 })
    const listed = JSON.parse((await webhooks('ls', '--json')).out)
    expect(listed.webhooks).toMatchObject([{ name: 'soc', state: 'working', dead: 0 }])

    const tested = JSON.parse((await webhooks('test', 'soc', '--json')).out)
    expect(tested).toMatchObject({ delivered: true, status: 204 })
    expect(receiver.received.at(-1)!.id).toBe(tested.id)
    expect(receiver.wrong).toEqual([])
    expect(server.text).not.toContain(SECRET)
  })
})
