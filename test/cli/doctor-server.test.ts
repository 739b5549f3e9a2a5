// What doctor says of a process that runs: whether it gets on, in its own words.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HealthServer } from '../../src/api/health.ts'
import { checkServer } from '../../src/cli/doctor-server.ts'
import { readSettings } from '../../src/settings.ts'
import type { Readiness } from '../../src/telemetry.ts'

let data = ''
beforeEach(() => {
  data = mkdtempSync(path.join(tmpdir(), 'bailiwick-doctor-server-'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

const ask = (env: Record<string, string> = {}) => {
  const { settings, problems } = readSettings({
    env: { BAILIWICK_SERVE_DATA: data, ...env },
    flags: {},
    files: [],
  })
  expect(problems).toEqual([])
  return checkServer(settings, new AbortController().signal)
}

test('a process says itself whether it gets on, and what is odd; no token is needed', async () => {
  expect(await ask()).toEqual([])
  let told: Readiness = { ready: true, reason: '' }
  const part = { samples: () => [], readiness: () => told }
  const server = await HealthServer.open({ host: '127.0.0.1', port: 0 }, 'serve', [part], () => {})
  try {
    const note = { address: server.address, pid: process.pid, started: 0, version: '0.1.0' }
    writeFileSync(path.join(data, 'serve.json'), JSON.stringify(note))
    expect(await ask()).toMatchObject([{ name: 'server', state: 'ok' }])
    told = { ready: true, reason: '', warning: 'agent files: a.yaml:1:1: error' }
    expect(await ask()).toMatchObject([
      { state: 'warn', found: `${server.address} gets on, but agent files: a.yaml:1:1: error` },
    ])
    told = { ready: false, reason: 'eth0: there is no such interface' }
    expect(await ask()).toMatchObject([
      {
        state: 'fail',
        found: `${server.address} does not get on: eth0: there is no such interface`,
      },
    ])
  } finally {
    await server.close()
  }
  expect(await ask()).toMatchObject([{ state: 'fail', found: `${server.address} does not answer` }])
})

test('what is no bailiwick is told from it', async () => {
  const other = createServer((_request, response) => response.end('<html>'))
  await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
  const { port } = other.address() as AddressInfo
  try {
    expect(await ask({ BAILIWICK_API: `http://127.0.0.1:${port}` })).toMatchObject([
      { state: 'fail', found: 'what answers is no bailiwick' },
    ])
  } finally {
    other.close()
  }
})
