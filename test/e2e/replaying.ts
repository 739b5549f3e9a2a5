// Runs the built program on the bundled stories, as a person would: `bailiwick replay ... --json`.

import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Expectation } from '../../fixtures/expectation.ts'
import type { Report } from '../../src/report.ts'

const ROOT = join(import.meta.dirname, '..', '..')
export const FIXTURES = join(ROOT, 'fixtures')
/** A run takes two seconds; a machine that does much else at once may need many times that. */
export const RUN_MILLIS_MAX = 120_000

export interface Run {
  code: number
  /** What a person is told; shown when a test fails. */
  told: string
  report: Report
}

export function replay(...args: string[]): Promise<Run> {
  const program = join(ROOT, 'dist', 'src', 'cli', 'main.js')
  if (!existsSync(program)) throw new Error(`${program} is not there: npm run build first`)
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [program, 'replay', ...args, '--json'],
      { cwd: ROOT, timeout: RUN_MILLIS_MAX, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1)
        try {
          resolve({ code, told: stderr, report: JSON.parse(stdout) as Report })
        } catch {
          reject(new Error(`no report (exit ${code}): ${stderr.slice(0, 4_000)}`))
        }
      },
    )
  })
}

/** One case, or one folder of its input, against one of its expectations. */
export function replayCase(name: string, input = 'input', expected = 'expected.json') {
  const at = join(FIXTURES, name)
  return replay(join(at, input), '--agents', join(at, 'agents'), '--expect', join(at, expected))
}

/** What a case expects. */
export function expected(name: string): Expectation {
  return JSON.parse(readFileSync(join(FIXTURES, name, 'expected.json'), 'utf8'))
}
