// Receivers that are slow, dead, rude or somebody else: each gets so many tries and no more, people see in words what is
// wrong with it, an endpoint beside it notices nothing, and when it is mended what was kept arrives.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer, type Server as PlainServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { targetGuard } from '../../src/respond/target-guard.ts'
import { WebhookNotifier } from '../../src/respond/webhook.ts'
import { finding, uuid } from './made-findings.ts'
import { Receiver, SECRET } from './receiver.ts'
import { LOOPBACK, QUICK, Responding, webhook } from './responding.ts'

/** Answers, and what people are told of them. `tries` where it is not the whole schedule. */
const ANSWERS: readonly {
  name: string
  answer: (response: ServerResponse) => void
  says: RegExp
  tries?: number
}[] = [
  {
    name: 'HTML and 500',
    answer: (one) => one.writeHead(500, { 'content-type': 'text/html' }).end('<html>oops</html>'),
    says: /answered 500$/,
  },
  {
    name: 'a redirect to a metadata service',
    answer: (one) =>
      one.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end(),
    says: /302, a redirect, which is not followed/,
  },
  {
    name: 'a redirect to itself',
    answer: (one) => one.writeHead(308, { location: '/hooks/s3cr3t-path' }).end(),
    says: /308, a redirect, which is not followed/,
  },
  {
    name: '429 for a time that is no time',
    answer: (one) => one.writeHead(429, { 'retry-after': '-1e99, soon' }).end(),
    says: /answered 429$/,
  },
  {
    name: '429 until a date long ago',
    answer: (one) => one.writeHead(429, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }).end(),
    says: /answered 429$/,
  },
  { name: '410', answer: (one) => one.writeHead(410).end(), says: /410: it is gone/, tries: 1 },
  { name: 'nothing, ever', answer: () => {}, says: /no answer within 0\.3 s/ },
  {
    name: 'headers a byte at a time',
    answer: (one) => dribble(one),
    says: /no answer within 0\.3 s/,
  },
  {
    name: 'by hanging up',
    answer: (one) => one.socket?.destroy(),
    says: /broke the connection off/,
  },
  {
    name: 'with headers of a megabyte',
    answer: (one) => one.socket?.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1 << 20)}\r\n\r\n`),
    says: /too large headers/,
  },
  {
    name: 'in another language',
    answer: (one) => one.socket?.end('SSH-2.0-OpenSSH_9.2\r\n'),
    says: /does not speak HTTP/,
  },
]

function dribble({ socket }: ServerResponse): void {
  const text = `HTTP/1.1 200 OK\r\nx-slow: ${'y'.repeat(10_000)}`
  let at = 0
  const timer = setInterval(() => {
    if (socket === null || socket.destroyed) clearInterval(timer)
    else socket.write(text[at++ % text.length]!)
  }, 5)
}

let bad: Receiver
let good: Receiver
let one: Responding | undefined
beforeEach(async () => {
  bad = await Receiver.start()
  good = await Receiver.start()
})
afterEach(async () => {
  await one?.stop()
  one = undefined
  await bad.stop()
  await good.stop()
})

const start = async (url: string) => {
  one = await Responding.start([webhook(url, { name: 'bad' }), webhook(good.url, { name: 'good' })])
  return one
}

describe('a receiver that answers', () => {
  test.each(ANSWERS)('$name', async ({ answer, says, tries = QUICK.schedule.length }) => {
    const { responder } = await start(bad.url)
    bad.answer = (_, response) => answer(response)
    await responder.take([finding('a')])
    await good.untilAlerts(1)
    await one!.until('dead')
    expect(bad.received).toHaveLength(tries)
    expect(bad.effects.size).toBe(1)
    expect(good.effects.size).toBe(1)
    const [dead] = responder.dead()
    expect(dead).toMatchObject({
      endpoint: 'bad',
      attempts: tries,
      lastError: expect.stringMatching(says),
    })
    const { ready, warning } = responder.readiness()
    expect([ready, warning]).toEqual([true, expect.stringMatching(/1 message is tried no more/)])
    // Mended, it gets what was kept, under the same id.
    bad.answer = (_, response) => response.writeHead(204).end()
    await responder.redrive(dead!.id)
    await one!.until('delivered', 2)
    expect([bad.effects.size, responder.dead()]).toEqual([1, []])
    const shown = JSON.stringify([one!.logged, one!.events, responder.endpoints(), warning])
    expect(shown).not.toMatch(/s3cr3t-path|whsec_/)
  })

  test('HTML and 200 has it: the status counts', async () => {
    const { responder } = await start(bad.url)
    bad.answer = (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')
    await responder.take([finding('a')])
    await one!.until('delivered', 2)
    expect(bad.received).toHaveLength(1)
  })

  test('200 and a body without end has it, and holds nothing up', async () => {
    const { responder } = await start(bad.url)
    bad.answer = (_, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write(Buffer.alloc(4096)), 1)
      response.on('close', () => clearInterval(timer))
    }
    for (let n = 0; n < 6; n++) await responder.take([finding(n)])
    await good.untilAlerts(6)
    await expect.poll(() => new Set(bad.alerts).size, { timeout: 20_000 }).toBe(6)
    await expect.poll(() => responder.endpoints()[0]!.queued, { timeout: 20_000 }).toBe(0)
    expect(responder.dead()).toEqual([])
  })

  test('429 for a century is left alone for a day at most, and nothing beside it is', async () => {
    const { responder } = await start(bad.url)
    bad.answer = (_, response) => response.writeHead(429, { 'retry-after': '999999999' }).end()
    await responder.take([finding('a')])
    await one!.step(({ endpoint, lastError }) => endpoint === 'bad' && lastError !== undefined)
    for (let n = 0; n < 5; n++) await responder.take([finding(n)])
    await good.untilAlerts(6)
    const view = responder
      .alert(uuid('alert', 'a'))!
      .deliveries.find((it) => it.endpoint === 'bad')!
    expect(view).toMatchObject({ state: 'queued', attempts: 1 })
    expect(view.nextAt! - Date.now()).toBeLessThanOrEqual(86_400_000)
    expect(view.nextAt! - Date.now()).toBeGreaterThan(86_000_000)
    expect([bad.received.length, responder.endpoints()[0]!.state]).toEqual([1, 'throttled'])
  })

  test('503 again and again: people see that it is left alone, and why', async () => {
    one = await Responding.start([webhook(bad.url, { name: 'bad' })], {
      limits: { ...QUICK, breakMillis: [60_000], schedule: [0, 10, 10, 10, 10, 10, 10, 10, 10] },
    })
    bad.answer = (_, response) => response.writeHead(503).end()
    await one.responder.take([finding('a')])
    await expect.poll(() => one!.responder.endpoints()[0]!.state, { timeout: 20_000 }).toBe('held')
    expect(one.responder.readiness()).toMatchObject({
      ready: true,
      warning: 'webhook bad fails and is left alone for a while: the receiver answered 503',
    })
    expect(bad.received).toHaveLength(QUICK.breakAfter)
  })
})

describe('a receiver that is not there:', () => {
  test('nobody listens', async () => {
    const { port } = bad
    await bad.stop()
    const { responder } = await start(`http://127.0.0.1:${port}/hooks/s3cr3t-path`)
    await responder.take([finding('a')])
    await one!.until('dead')
    expect(responder.dead()[0]).toMatchObject({
      attempts: QUICK.schedule.length,
      lastError: 'the receiver refuses connections',
    })
    expect(good.received).toHaveLength(1)
    bad = await Receiver.start()
  })

  test('it takes connections and never a request', async () => {
    const sockets = new Set<Socket>()
    let most = 0
    const hole: PlainServer = createServer((socket) => {
      sockets.add(socket)
      most = Math.max(most, sockets.size)
      socket.resume()
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    })
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve))
    const { port } = hole.address() as AddressInfo
    const { responder } = await start(`http://127.0.0.1:${port}/`)
    for (let n = 0; n < 20; n++) await responder.take([finding(n)])
    await good.untilAlerts(20)
    await one!.until('dead')
    expect(responder.dead()[0]).toMatchObject({
      endpoint: 'bad',
      lastError: 'no answer within 0.3 s',
    })
    // Never more of them at once than it is given.
    expect(most).toBeLessThanOrEqual(QUICK.concurrency + 1)
    for (const socket of sockets) socket.destroy()
    hole.close()
  })

  test('a name that leads inside, at the first try or at a later one', async () => {
    // What the name is said to be, look by look: the second is the metadata service, then loopback, then both.
    const answers = [['127.0.0.1'], ['169.254.169.254'], ['127.0.0.1', '10.0.0.1']]
    let look = 0
    const resolve = (
      _: string,
      done: (e: null, a: { address: string; family: number }[]) => void,
    ) =>
      done(
        null,
        answers[Math.min(look++, answers.length - 1)]!.map((address) => ({ address, family: 4 })),
      )
    one = await Responding.start([webhook(`http://soc.example:${bad.port}/`, { name: 'bad' })], {
      notifierOf: ({ url, secrets }, { allowTargets }) =>
        new WebhookNotifier(
          { url, secrets, version: '1' },
          targetGuard(allowTargets, { resolve, connections: 4 }),
        ),
    })
    // Each answer ends its connection, so that each try looks again.
    bad.answer = (_, response) => response.writeHead(500, { connection: 'close' }).end()
    await one.responder.take([finding('a')])
    await one.until('dead')
    expect(bad.received).toHaveLength(1)
    expect(one.logged.join('\n')).toMatch(/169\.254\.169\.254[^"]*link-local/)
    expect(one.responder.dead()[0]!.lastError).toMatch(/10\.0\.0\.1[^"]*private/)
  })

  test('its certificate is of nobody we know', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-tls-'))
    const file = (name: string) => path.join(directory, name)
    const request = [
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=127.0.0.1',
    ]
    execFileSync('openssl', ['req', ...request, '-keyout', file('key'), '-out', file('cert')], {
      stdio: 'ignore',
    })
    const seen: string[] = []
    const server = createTlsServer(
      { key: readFileSync(file('key')), cert: readFileSync(file('cert')) },
      (request_, response) => {
        seen.push(String(request_.url))
        response.end()
      },
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { responder } = await start(
      `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    )
    await responder.take([finding('a')])
    await one!.until('dead')
    expect(responder.dead()[0]!.lastError).toBe(
      'the certificate or the TLS of the receiver is not accepted (DEPTH_ZERO_SELF_SIGNED_CERT)',
    )
    expect([seen, good.received.length]).toEqual([[], 1])
    server.close()
    rmSync(directory, { recursive: true })
  })
})

test('a URL that changed its path is another one: what was gone there is not gone here', async () => {
  const { responder, settings } = await start(bad.url)
  bad.answer = (_, response) => response.writeHead(410).end()
  await responder.take([finding('a')])
  await one!.until('dead')
  expect(responder.readiness().warning).toMatch(/webhook bad is disabled: .*410/)
  bad.answer = (_, response) => response.writeHead(204).end()
  const moved = webhook(`http://127.0.0.1:${bad.port}/hooks/other`, { name: 'bad' })
  responder.reload({ ...settings, webhooks: [moved] })
  expect(responder.endpoints()).toMatchObject([{ state: 'working' }])
  await responder.take([finding('b')])
  await expect.poll(() => bad.alerts).toContain(uuid('alert', 'b'))
})

test('the guard and the key are those of what is used', () => {
  const made = (url: string) =>
    new WebhookNotifier({ url, secrets: () => [SECRET], version: '1' }, targetGuard(LOOPBACK))
  const [a, b] = [made('https://soc.example/a'), made('https://soc.example/b')]
  expect(a.target).toBe(b.target)
  expect(a.key).not.toBe(b.key)
  expect(a.key).not.toContain('soc')
})
