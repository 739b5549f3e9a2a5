// The units of deploy/systemd: known to systemd word by word, and as little exposed as they were when this was written.

import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { readSettings } from '../../src/settings.ts'
import { Memory } from '../cli/heard.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const UNITS = path.join(ROOT, 'deploy', 'systemd')
const execute = promisify(execFile)
const files = await readdir(UNITS)
const names = files.filter((name) => name.endsWith('.service'))

async function systemdAvailable(): Promise<boolean> {
  try {
    await execute('systemd-analyze', ['--version'])
    return true
  } catch (error) {
    if (process.env.BAILIWICK_REQUIRE_SYSTEMD === '1') throw error
    process.stderr.write('\n*** SKIPPED: units against systemd. Debian: systemd\n\n')
    return false
  }
}

describe.skipIf(!(await systemdAvailable()))('systemd', () => {
  let dir = ''
  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'bailiwick-units-'))
    for (const name of files) {
      const text = await readFile(path.join(UNITS, name), 'utf8')
      // Where the program is in this checkout: that it can be run is looked at, too.
      const here = text
        .replaceAll('/usr/bin/node', process.execPath)
        .replaceAll('/opt/bailiwick', ROOT)
      const instance = path.join(dir, name.replace('@.', '@1.'))
      await writeFile(path.join(dir, name), here)
      if (name.includes('@')) await copyFile(path.join(dir, name), instance)
    }
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  test.each(files)('%s has no word that systemd does not know', async (name) => {
    const unit = path.join(dir, name.replace('@.', '@1.'))
    const { stderr } = await execute('systemd-analyze', ['verify', '--man=no', unit])
    expect(stderr).toBe('')
  })

  test.each(names)('%s is exposed by at most 2.0 of 10', async (name) => {
    const unit = path.join(dir, name.replace('@.', '@1.'))
    const args = ['security', '--offline=yes', '--no-pager', '--threshold=20', unit]
    const { stdout } = await execute('systemd-analyze', args)
    expect(stdout).toContain('OK')
  })
})

interface Unit {
  values(key: string): string[]
}

async function unitOf(name: string): Promise<Unit> {
  const lines = (await readFile(path.join(UNITS, name), 'utf8')).split('\n')
  return {
    values: (key) =>
      lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1)),
  }
}

describe.each(names)('%s', (name) => {
  test('is started again after a fault, not after wrong settings, and not for ever', async () => {
    const unit = await unitOf(name)
    expect(unit.values('Restart')).toEqual(['on-failure'])
    expect(unit.values('RestartPreventExitStatus')).toEqual(['2'])
    const [seconds, burst] = [unit.values('RestartSec'), unit.values('StartLimitBurst')].map(Number)
    // All starts fall into the interval, so that their limit is reached.
    expect(unit.values('StartLimitIntervalSec')).toEqual(['15min'])
    expect(seconds! * burst!).toBeLessThan(15 * 60)
  })

  test('is told by settings and options that there are', async () => {
    const unit = await unitOf(name)
    const env = Object.fromEntries(
      unit
        .values('Environment')
        .map((text) => text.replaceAll('%i', '1').split('=') as [string, string]),
    )
    expect(readSettings({ env, flags: {}, files: [] }).problems).toEqual([])
    const [start] = unit.values('ExecStart')
    const args = start!
      .split(' ')
      .slice(2)
      .map((word) => (word === '$INPUTS' ? '/srv/logs' : word))
    const stderr = new Memory()
    const code = await run([...args, '--config', '/nowhere/config.yaml'], {
      stdout: new Memory(),
      stderr,
      environment: readEnvironment(env),
      signal: new AbortController().signal,
    })
    expect([code, stderr.text]).toEqual([2, expect.stringContaining('/nowhere/config.yaml')])
  })
})
