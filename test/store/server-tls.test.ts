// The store over HTTPS: with the authority that signed its certificate, without it, and where nobody speaks TLS.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openServer, type ServerTarget } from '../../src/store/server.ts'
import { StoreAccessError } from '../../src/store/store-error.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { type Front, startFront } from './front.ts'

const directory = mkdtempSync(join(tmpdir(), 'bailiwick-tls-'))
let front: Front
let server: Server
let ca = ''

beforeAll(async () => {
  front = await startFront({ path: join(directory, 'store') })
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2']
      .concat(['-keyout', key, '-out', cert])
      .concat(subject),
    { stdio: 'ignore' },
  )
  ca = readFileSync(cert, 'utf8')
  // What stands before a ClickHouse server that speaks HTTP alone.
  server = createServer({ key: readFileSync(key), cert: ca }, (asked, answer) => {
    const { method, headers, url } = asked
    const onward = request({ port: front.port, host: '127.0.0.1', path: url, method, headers })
    onward.on('response', (got) => {
      answer.writeHead(got.statusCode ?? 500, got.headers)
      got.pipe(answer)
    })
    asked.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(async () => {
  server.close()
  await front.kill('SIGTERM')
  rmSync(directory, { recursive: true, force: true })
})

const behindTls = (change: Partial<ServerTarget> = {}): ServerTarget => ({
  ...(parseStoreTarget(front.store) as ServerTarget),
  url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
  ...change,
})

test('it is reached with the authority that signed its certificate', async () => {
  const engine = await openServer(behindTls({ ca }))
  expect(await engine.select('SELECT 7 AS n', {})).toEqual([{ n: 7 }])
  await engine.close()
})

test('without it, the certificate is not trusted, and waiting would not help', async () => {
  const refused = await openServer(behindTls()).catch((error) => error)
  expect(refused).toBeInstanceOf(StoreAccessError)
  expect(refused.retriable).toBe(false)
  expect(refused.message).toBe(
    `the certificate of the store at ${behindTls().url}/flows is not to be trusted (DEPTH_ZERO_SELF_SIGNED_CERT): name the file of the authority that signed it in store.ca_file`,
  )
})

test('where nobody speaks TLS, that is said', async () => {
  const plain = behindTls({ url: `https://127.0.0.1:${front.port}`, ca })
  await expect(openServer(plain)).rejects.toThrow(
    /^the store at https:\S+ speaks no TLS there: write http:\/\/ in its URL/,
  )
})
