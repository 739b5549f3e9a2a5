// `scripts/stack` over its life: ended and started again, with a part that died, interrupted while it starts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaAvailable } from '../bus/broker.ts'
import { LocalStack, ROOT, STACK } from './local-stack.ts'

const STORY = path.join(ROOT, 'fixtures', 'two-agents')
const AGENTS = path.join(STORY, 'agents')

describe.skipIf(!(await kafkaAvailable()))('the local stack', () => {
  let stack: LocalStack
  beforeAll(async () => {
    stack = await LocalStack.make()
    await stack.run('up', '--agents', AGENTS)
  }, 240_000)
  afterAll(() => stack?.remove(), 120_000)

  const judged = async () =>
    Number((await stack.rows('SELECT count() AS n FROM judgements_current'))[0]!.n)
  const untilJudged = (more: number) =>
    expect.poll(judged, { timeout: 60_000, interval: 500 }).toBeGreaterThan(more)

  test('goes on where it was, with what it had stored', async () => {
    await cp(path.join(STORY, 'input'), path.join(stack.inbox, 'first'), { recursive: true })
    await untilJudged(0)
    const before = await judged()
    await stack.run('down')
    expect((await stack.parts()).map(({ state }) => state)).toEqual(['not running'])
    await stack.run('up')
    expect(await judged()).toBe(before)
    // Another morning.
    const other = path.join(ROOT, 'fixtures', 'day-of-work', 'input')
    await cp(other, path.join(stack.inbox, 'second'), { recursive: true })
    await untilJudged(before)
  })

  test('starts what died and leaves alone what runs', async () => {
    const { processes } = await stack.state()
    process.kill(processes['worker-1']!.pid, 'SIGKILL')
    await expect
      .poll(async () => (await stack.parts()).find(({ name }) => name === 'worker-1')?.state)
      .toBe('not running')
    await stack.run('up')
    const after = (await stack.state()).processes
    expect(after['worker-1']!.pid).not.toBe(processes['worker-1']!.pid)
    expect(after.sensor).toEqual(processes.sensor)
    expect((await stack.parts()).find(({ name }) => name === 'worker-1')?.state).toBe('ready')
  })

  test('an up that is interrupted leaves nothing running', async () => {
    const half = await LocalStack.make()
    const up = spawn(process.execPath, [STACK, 'up', '--agents', AGENTS, '--dir', half.dir])
    let said = ''
    up.stderr.on('data', (piece) => {
      said += piece
    })
    await expect.poll(() => said, { timeout: 60_000, interval: 20 }).toContain('migrate: running')
    up.kill('SIGINT')
    const [code] = await once(up, 'exit')
    expect(code).toBe(130)
    expect((await half.state()).processes).toEqual({})
    // Nobody on this machine has its directory among what it was started with.
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      expect(words).not.toContain(half.dir)
    }
    await half.remove()
  })

  test('takes a broker and a server that are there already, and leaves them alone', async () => {
    const guest = await LocalStack.make()
    const { ports } = await stack.state()
    const kafka = (await stack.parts()).find(({ name }) => name === 'kafka')!.address
    const password = await readFile(path.join(stack.dir, 'secrets', 'store-password'), 'utf8')
    const store = `http://bailiwick:${password.trim()}@127.0.0.1:${ports[0]}/bailiwick`
    await guest.run('up', '--agents', AGENTS, '--kafka', kafka, '--store', store)
    expect((await guest.parts()).map(({ name, state }) => [name, state])).toEqual([
      ['kafka', 'given'],
      ['clickhouse', 'given'],
      ['worker-1', 'ready'],
      ['sensor', 'ready'],
      ['respond', 'ready'],
      ['api', 'ready'],
    ])
    for (const name of ['bailiwick.yaml', 'stack.json'])
      expect(await readFile(path.join(guest.dir, name), 'utf8')).not.toContain(password.trim())
    await guest.run('down', '--remove-data')
    expect((await stack.parts()).every(({ state }) => state !== 'not running')).toBe(true)
  })

  test('says what it cannot do', async () => {
    const none = await LocalStack.make()
    await expect(none.run('up')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('give --agents DIR'),
    })
    await expect(none.run('fly')).rejects.toMatchObject({ code: 2 })
    await expect(stack.run('logs', 'nobody')).rejects.toMatchObject({ code: 1 })
    await none.remove()
  })
})
