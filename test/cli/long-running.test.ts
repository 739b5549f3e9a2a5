// Processes that run until they are told to end: how they end, and what their log holds.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { AgentFilesError } from '../../src/agent-files.ts'
import { ListenError } from '../../src/api/listening.ts'
import { TokenFileError } from '../../src/api/tokens.ts'
import { BusError, BusFault } from '../../src/bus/bus.ts'
import { type ExitCause, usageError } from '../../src/cli/exit.ts'
import { runLongRunning } from '../../src/cli/long-running.ts'
import type { CommandParts } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { LiveError } from '../../src/live/live.ts'
import { type Running, untilReached } from '../../src/serve/running.ts'
import { readSettings } from '../../src/settings.ts'
import { heard } from './heard.ts'

interface Line {
  level: string
  msg: string
  [field: string]: unknown
}

async function run(
  work: (running: Running, stop: AbortController) => Promise<void>,
  env: Record<string, string> = {},
) {
  const { terminal, err } = heard()
  const stop = new AbortController()
  const causes: ExitCause[] = []
  let long = 0
  const parts: CommandParts = {
    terminal: () => terminal,
    environment: readEnvironment(env),
    signal: stop.signal,
    causes,
    runLong: () => {
      long++
    },
  }
  const { settings } = readSettings({ env, files: [], flags: {} })
  await runLongRunning(parts, 'worker', settings, (running) => work(running, stop))
  expect(long).toBe(1)
  const lines = err.text
    .trimEnd()
    .split('\n')
    .map((line): Line => JSON.parse(line))
  return { lines, causes, text: err.text }
}

it('ends well when its work does, and when it is told to', async () => {
  const { causes, lines } = await run(async () => {})
  expect(causes).toEqual([])
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    ['info', 'started'],
    ['info', 'ended'],
  ])
  expect(lines[0]).toMatchObject({ name: 'worker', pid: process.pid })
  expect(lines[0]).not.toHaveProperty('listen')
  const told = await run(async ({ signal }, stop) => {
    setTimeout(() => stop.abort(), 1)
    await sleep(60_000, undefined, { signal }).catch(() => {})
  })
  expect(told.causes).toEqual([])
  expect(told.lines.map(({ msg }) => msg)).toContain('told to end: finishing what was begun')
})

it.each<[error: Error, code: number]>([
  [new BusFault('the disk refused'), 70],
  [new BusError('refused', 'wrong password'), 4],
  [new BusError('no_stream', 'no topic'), 4],
  [usageError('what, and the cure'), 2],
  [new ListenError('the port is taken'), 2],
  [new TokenFileError('tokens.json is not JSON'), 4],
  [new AgentFilesError('there is no agent file'), 2],
  [new LiveError('no_interface', 'there is no eth9', 'give another'), 2],
  [new LiveError('permission', 'may not capture', 'run as root'), 4],
  [new TypeError('x is not a function'), 70],
])('an error of the work is the last line and the exit code: %s', async (error, code) => {
  const { lines, causes } = await run(() => Promise.reject(error))
  expect(causes).toMatchObject([{ code, told: true }])
  expect(lines.at(-1)).toMatchObject({ level: 'error', exit: code })
  expect(lines.at(-1)!.msg).toContain(error.message)
  // Only what nobody expected is told with its stack.
  expect('err' in lines.at(-1)!).toBe(error instanceof TypeError)
})

describe('what may not be there yet', () => {
  it('is waited for, with the reason, until it is', async () => {
    let tries = 0
    const seen: string[] = []
    const { lines } = await run(async (running) => {
      const parts = new Set<{ readiness(): { reason: string } }>()
      const watched: Running = {
        ...running,
        observe: (part) => {
          parts.add(part)
          return () => parts.delete(part)
        },
      }
      const got = await untilReached(watched, async () => {
        for (const part of parts) seen.push(part.readiness().reason)
        if (++tries < 3) throw new BusError('unreachable', 'nobody at kafka:9092')
        return 'open'
      })
      expect(got).toBe('open')
      expect(parts.size).toBe(0)
    })
    expect(seen).toEqual(['not yet connected', 'nobody at kafka:9092', 'nobody at kafka:9092'])
    expect(lines.filter(({ msg }) => msg.startsWith('not reachable'))).toMatchObject([
      { level: 'warn', reason: 'nobody at kafka:9092' },
    ])
  })

  it('is not waited for where that cannot help, nor after the end', async () => {
    const { causes } = await run(async (running) => {
      await untilReached(running, () => Promise.reject(new BusError('refused', 'no')))
    })
    expect(causes).toMatchObject([{ code: 4 }])
    const ended = await run(async (running, stop) => {
      const got = await untilReached(running, () => {
        stop.abort()
        return Promise.reject(new BusError('unreachable', 'no'))
      })
      expect(got).toBeUndefined()
    })
    expect(ended.causes).toEqual([])
  })
})

it('arms failpoints from the environment, and says so; a wrong one is wrong usage', async () => {
  const armed = await run(async () => {}, { BAILIWICK_FAILPOINTS: 'F12_drain=throw@99' })
  expect(armed.lines[0]).toMatchObject({ level: 'warn', failpoints: 'F12_drain=throw@99' })
})
