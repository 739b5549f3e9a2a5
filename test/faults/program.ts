// Runs a command of the built program to its end.

import { execFile } from 'node:child_process'
import path from 'node:path'

export const PROGRAM = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'main.js')

/**
 * A store as a program is given it, whose arguments anybody can read: the password is in the environment.
 * @param url with user and password
 */
export function givenStore(url: string): { store: string; env: Record<string, string> } {
  const { origin, pathname, username, password } = new URL(url)
  return {
    store: origin.replace('//', `//${username}@`) + pathname,
    env: { BAILIWICK_STORE_PASSWORD: decodeURIComponent(password) },
  }
}

/** The environment without settings of the program: those are what a test gives it. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const all = Object.entries(process.env)
  return Object.fromEntries(all.filter(([name]) => !name.startsWith('BAILIWICK_')))
}

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** @param codes of an end that is well @throws with what it said if it ends otherwise */
export function runProgram(
  args: readonly string[],
  { codes = [0], env = {} }: { codes?: readonly number[]; env?: Record<string, string> } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [PROGRAM, ...args],
      { timeout: 120_000, maxBuffer: 256 << 20, env: { ...plainEnvironment(), ...env } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1)
        if (codes.includes(code)) resolve({ code, stdout, stderr })
        else reject(new Error(`bailiwick ${args.join(' ')}: exit ${code}\n${stdout}\n${stderr}`))
      },
    )
  })
}
