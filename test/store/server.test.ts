// The store over HTTP, and what is said when there is none: the same rows and queries as embedded.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/store/store.ts'
import { StoreAccessError, StoreError, StoreUnreachableError } from '../../src/store/store-error.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { DAY, judged, MONDAY, sampleChunk } from './samples.ts'

const RUN = '11111111-1111-4111-8111-111111111111'
let child: ChildProcess
let port: string
const directory = mkdtempSync(join(tmpdir(), 'bailiwick-test-'))

beforeAll(async () => {
  const script = join(import.meta.dirname, 'server-process.mjs')
  child = spawn(process.execPath, [script, join(directory, 'data'), 'secret'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout! })) {
    port = line
    break
  }
})
afterAll(async () => {
  child.kill('SIGTERM')
  await once(child, 'exit')
  rmSync(directory, { recursive: true, force: true })
})

const target = (password = 'secret') =>
  parseStoreTarget(`http://default:${password}@127.0.0.1:${port}/default`)

describe('a server', () => {
  test('takes slices once and answers queries', async () => {
    const store = await openStore(target())
    const chunk = sampleChunk({
      flows: [
        { name: 'a', user_agent: 'é日本\n\nSELECT 1' },
        { name: 'b', ts: MONDAY + DAY, orig_bytes: 2 ** 40 },
      ],
      rejects: [{ reason: 'r', at: 1, sample: '' }],
    })
    const chunks = [judged(chunk, [{ name: 'a', verdict: 'out_of_scope', alert: 'x', score: 7 }])]
    for (let i = 0; i < 2; i++) await store.insertSlice({ key: 'http', chunks })
    await store.noteRun(RUN, [chunk.header.id])
    const [totals] = await store.query('report_totals', { run: RUN })
    expect(totals).toMatchObject({ flows: 2, records: 2, judgements: 1, alerts: 1, rejects: 1 })
    expect(totals?.bytes).toBe(2 ** 40 + 1000 + 10_000)
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    await store.close()
    await expect(store.query('alerts', { limit: 1 })).rejects.toThrow('is closed')

    const again = await openStore(target())
    expect((await again.completed([chunk.header.id])).get(chunk.header.id)?.complete).toBe(true)
    expect(await again.query('alerts', { limit: 1 })).toMatchObject([{ score: 7 }])
    await again.close()
  })

  test('that refuses the password is told apart, and the password is not shown', async () => {
    const opening = openStore(target('wrong-password'))
    await expect(opening).rejects.toThrow(StoreAccessError)
    await opening.catch((error: Error) => {
      expect(error.message).toMatch(/refused the user or the password/)
      expect(error.message).not.toMatch(/wrong-password/)
    })
  })
})

describe('no server', () => {
  test('nobody listens', async () => {
    const opening = openStore(parseStoreTarget('http://127.0.0.1:1/db'))
    await expect(opening).rejects.toThrow(StoreUnreachableError)
    await expect(opening).rejects.toThrow(/127\.0\.0\.1:1\/db cannot be reached \(ECONNREFUSED\)/)
  })

  test('something else answers', async () => {
    const other = createServer((_, response) => response.writeHead(404).end('<h1>not here</h1>'))
    await once(other.listen(0, '127.0.0.1'), 'listening')
    const { port: otherPort } = other.address() as AddressInfo
    const opening = openStore(parseStoreTarget(`http://127.0.0.1:${otherPort}`))
    await expect(opening).rejects.toThrow(StoreUnreachableError)
    await expect(opening).rejects.toThrow(/not as ClickHouse/)
    other.close()
  })

  test('a name that is no host', async () => {
    const opening = openStore(parseStoreTarget('http://no-such-host.invalid:8123'))
    await expect(opening).rejects.toThrow(StoreError)
    await expect(opening).rejects.toThrow(StoreUnreachableError)
  })
})
