// Where a request may go: forms of URLs that have led others inside, and names that change their answer.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseNetwork } from '../../src/address.ts'
import {
  type Resolve,
  specialAddress,
  TargetRefused,
  targetGuard,
} from '../../src/respond/target-guard.ts'
import { WebhookNotifier } from '../../src/respond/webhook.ts'
import { SECRET } from './receiver.ts'

const PUBLIC = '93.184.215.14'

/** Forms of addresses that are not public, in a URL. */
const PRIVATE_HOSTS = [
  // Loopback, as people and machines write it.
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '127.255.255.254',
  '2130706433',
  '0x7f000001',
  '0x7f.0x0.0x0.0x1',
  '0x7f.1',
  '0177.0.0.1',
  '0177.1',
  '017700000001',
  '00000177.0.0.1',
  '127.0.0.1.',
  '①②⑦.⓪.⓪.①',
  '１２７.０.０.１',
  '127。0。0。1',
  '%31%32%37.0.0.1',
  '0',
  '0.0.0.0',
  '0x0',
  '0.1.2.3',
  // Private, link-local, shared, reserved.
  '10.0.0.1',
  '10.255.255.255',
  '012.0.0.1',
  '167772161',
  '0xa000001',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '192.168.1',
  '3232235777',
  '0xc0a80101',
  '169.254.169.254',
  '169.254.43518',
  '2852039166',
  '0xa9fea9fe',
  '0xA9.0xFE.0xA9.0xFE',
  '0251.0376.0251.0376',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.255',
  '168.63.129.16',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '4294967295',
  // IPv6, and IPv4 inside of it.
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000:0000:0000:0000:0000:0000:0000:0001]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:a9fe:a9fe]',
  '[::ffff:10.0.0.1]',
  '[0:0:0:0:0:ffff:192.168.0.1]',
  '[::ffff:0:127.0.0.1]',
  '[::127.0.0.1]',
  '[::a9fe:a9fe]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b::a9fe:a9fe]',
  '[64:ff9b::10.0.0.1]',
  '[64:ff9b:1::a00:1]',
  '[2002:7f00:1::]',
  '[2002:a9fe:a9fe::1]',
  '[2001:0:4136:e378:8000:63bf:3fff:fdd2]',
  '[2001:db8::1]',
  '[2001:10::1]',
  '[3fff::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[fd12:3456:789a::1]',
  '[fe80::1]',
  '[fe80::a9fe:a9fe]',
  '[febf::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[ff05::1:3]',
  '[100::1]',
  '[5f00::1]',
  '[4000::1]',
  '[e000::1]',
]

const BAD_URLS = [
  '',
  'example.com/hook',
  '//example.com/hook',
  'ftp://example.com/',
  'file:///etc/passwd',
  'gopher://example.com:70/_',
  'data:text/plain,x',
  'javascript:alert(1)',
  'unix:/var/run/docker.sock',
  'https://',
  'https://?hook',
  'https://user@example.com/',
  'https://user:pass@example.com/',
  'https://:pass@example.com/',
  'https://example.com@10.0.0.1/',
  'https://example.com:25/',
  'https://example.com:22/',
  'https://example.com:70000/',
  'https://[fe80::1%25eth0]/',
  'https://[::1/',
  'https://exa mple.com/',
  'https://256.256.256.256/',
  'https://1.2.3.4.5.6.0x/',
]

const never: Resolve = () => {
  throw new Error('asked for the addresses of an address')
}

describe('a URL', () => {
  test('there are enough forms of it here', () => {
    expect(PRIVATE_HOSTS.length + BAD_URLS.length).toBeGreaterThanOrEqual(80)
  })

  test.each(PRIVATE_HOSTS)('to %s is refused, with TLS and without', (host) => {
    const { check } = targetGuard([], { resolve: never })
    expect(() => check(`https://${host}/latest/meta-data/`)).toThrow(TargetRefused)
    expect(() => check(`http://${host}:8080/`)).toThrow(TargetRefused)
  })

  test.each(BAD_URLS)('%j is refused', (url) => {
    expect(() => targetGuard([], { resolve: never }).check(url)).toThrow(TargetRefused)
  })

  test.each([
    'https://example.com/hook',
    'https://example.com:8443/hook?x=1',
    `https://${PUBLIC}/`,
    'https://[2606:4700:4700::1111]/',
    'https://xn--bcher-kva.example/',
  ])('%s is not', (url) => {
    expect(targetGuard([]).check(url).href).toBe(new URL(url).href)
  })

  test('what is refused is not repeated: path and query may be secrets', () => {
    for (const url of ['https://10.0.0.1/s3cr3t?t=s3cr3t', 'https://me:s3cr3t@example.com/s3cr3t'])
      expect(() => targetGuard([]).check(url)).toThrow(/^(?!.*s3cr3t)/)
  })

  test("the operator's networks are allowed, and only they", () => {
    const { check } = targetGuard([parseNetwork('10.1.0.0/16')!, parseNetwork('fd00:1::/32')!])
    for (const good of ['http://10.1.2.3/', 'https://10.1.2.3:8080/', 'https://[fd00:1::5]/'])
      expect(check(good)).toBeInstanceOf(URL)
    for (const bad of ['https://10.2.0.1/', 'http://[fd00:2::5]/', `http://${PUBLIC}/`])
      expect(() => check(bad)).toThrow(TargetRefused)
  })
})

test.each([PUBLIC, '1.1.1.1', '2606:4700::1', '2a00:1450:4001:830::200e', '::ffff:8.8.8.8'])(
  '%s is public',
  (address) => {
    expect(specialAddress(address)).toBeUndefined()
  },
)

test.each(['nonsense', '', 'fe80::1%eth0', '1.2.3'])('%j is not', (address) => {
  expect(specialAddress(address)).toBeDefined()
})

describe('a name', () => {
  let hits = 0
  const server = createServer((request, response) => {
    hits++
    if (request.url === '/away') response.writeHead(302, { location: '/inside' }).end()
    else response.writeHead(200).end(request.headers.host)
  })
  let port = 0
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => void server.close())

  /** Answers with the first list, then with the second, and so on; the last one for ever. */
  const answers = (...lists: string[][]): Resolve => {
    let asked = 0
    return (_, done) => {
      const list = lists[Math.min(asked++, lists.length - 1)]!
      done(
        null,
        list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
    }
  }
  const send = async (resolve: Resolve, allowed: string[], target = '/hook') => {
    const networks = allowed.map((one) => parseNetwork(one)!)
    const url = `http://hooks.example.com:${port}${target}`
    const given = { url, secrets: () => [SECRET], version: '1' }
    const notifier = new WebhookNotifier(given, targetGuard(networks, { resolve }))
    const before = hits
    const outcomes: unknown[] = []
    for (let n = 0; n < 2; n++) {
      const { signal } = new AbortController()
      outcomes.push(await notifier.send({ id: 'msg_1', body: '{}' }, signal))
    }
    await notifier.close()
    return { outcomes, hits: hits - before }
  }
  const refused = expect.objectContaining({
    kind: 'failed',
    why: expect.stringMatching(/respond\.allow_targets/),
  })
  const delivered = { kind: 'delivered', status: 200 }

  test('that leads inside is refused; nothing is sent', async () => {
    expect(await send(answers(['127.0.0.1']), [])).toEqual({
      outcomes: [refused, refused],
      hits: 0,
    })
  })

  test('with one bad address among good ones is refused', async () => {
    const { outcomes, hits } = await send(answers(['127.0.0.1', '169.254.169.254']), [
      '127.0.0.0/8',
    ])
    expect([outcomes[0], hits]).toEqual([refused, 0])
  })

  test('is connected to at the address that was checked', async () => {
    expect(await send(answers(['127.0.0.1']), ['127.0.0.0/8'])).toEqual({
      outcomes: [delivered, delivered],
      hits: 2,
    })
  })

  test('that changes its answer after a check gains nothing: it is asked once for a connection', async () => {
    let asked = 0
    const rebinding: Resolve = (_, done) =>
      done(null, [{ address: asked++ === 0 ? '203.0.113.9' : '127.0.0.1', family: 4 }])
    // Documentation addresses are special too: allowed here so that the first answer passes.
    const { outcomes, hits } = await send(rebinding, ['203.0.113.0/24'])
    expect(hits).toBe(0)
    expect(outcomes[1]).toEqual(refused)
  })

  test('that redirects is not followed', async () => {
    const { outcomes, hits } = await send(answers(['127.0.0.1']), ['127.0.0.0/8'], '/away')
    expect(outcomes[0]).toMatchObject({ kind: 'failed', why: expect.stringContaining('302') })
    expect(hits).toBe(2)
  })
})
