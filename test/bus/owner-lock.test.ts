// Who owns a directory, where the owner can be seen and where it cannot: in another container, on another host.

import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { lockDirectory } from '../../src/bus/owner-lock.ts'

let root = ''
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-lock-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const nobodyLost = () => expect.unreachable('the lock was lost')
const nameOf = (directory: string) => path.join(directory, 'owner.lock')
const elsewhere = JSON.stringify({
  pid: process.pid,
  started: '1',
  place: 'other-host boot pid:[1]',
})

/** A lock that was last touched so many seconds ago. */
async function lockedFrom(text: string, secondsAgo: number): Promise<string> {
  const directory = await mkdtemp(path.join(root, 'd-'))
  await writeFile(nameOf(directory), text)
  const then = new Date(Date.now() - secondsAgo * 1000)
  await utimes(nameOf(directory), then, then)
  return directory
}

test('an owner on another host that touched it lately has it, and is named', async () => {
  const directory = await lockedFrom(elsewhere, 5)
  await expect(lockDirectory(directory, nobodyLost)).rejects.toMatchObject({
    kind: 'in_use',
    message: expect.stringContaining(`process ${process.pid} on other-host`),
  })
})

test('one that has not for 15 s has lost it: the same volume, a new host', async () => {
  const directory = await lockedFrom(elsewhere, 20)
  const lock = await lockDirectory(directory, nobodyLost)
  expect(JSON.parse(await readFile(nameOf(directory), 'utf8')).pid).toBe(process.pid)
  await lock.release()
})

test('here, a process that is gone has lost it at once, also where its id is used again', async () => {
  const directory = await mkdtemp(path.join(root, 'd-'))
  const lock = await lockDirectory(directory, nobodyLost)
  const mine = JSON.parse(await readFile(nameOf(directory), 'utf8'))
  await lock.release()
  // The same place and process id, of a process that began at another time.
  const other = await lockedFrom(JSON.stringify({ ...mine, started: '7' }), 0)
  await (await lockDirectory(other, nobodyLost)).release()
})

test.each([
  ['cut short', '{"pid":'],
  ['empty', ''],
])('a lock file that is %s is nobody, and goes when it is old', async (_, content) => {
  await expect(lockDirectory(await lockedFrom(content, 5), nobodyLost)).rejects.toMatchObject({
    kind: 'in_use',
  })
  await (await lockDirectory(await lockedFrom(content, 20), nobodyLost)).release()
})

test('an owner whose lock was taken over is told, and does not take the new one away', async () => {
  const directory = await mkdtemp(path.join(root, 'd-'))
  let lost = false
  const lock = await lockDirectory(directory, () => {
    lost = true
  })
  await writeFile(nameOf(directory), elsewhere)
  await expect.poll(() => lost, { timeout: 10_000 }).toBe(true)
  await lock.release()
  expect(await readFile(nameOf(directory), 'utf8')).toBe(elsewhere)
})

test('of many that want it at once one has it', async () => {
  const directory = await lockedFrom(elsewhere, 20)
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, () => lockDirectory(directory, nobodyLost)),
  )
  const won = tries.filter((one) => one.status === 'fulfilled')
  expect(won).toHaveLength(1)
  await won[0]!.value.release()
})
