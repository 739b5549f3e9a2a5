// Runs a command of the built program to its end.

import { execFile } from 'node:child_process'
import path from 'node:path'

export const PROGRAM = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'main.js')

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** @param codes of an end that is well @throws with what it said if it ends otherwise */
export function runProgram(args: readonly string[], codes: readonly number[] = [0]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [PROGRAM, ...args],
      { timeout: 120_000, maxBuffer: 256 << 20 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code ?? -1)
        if (codes.includes(code)) resolve({ code, stdout, stderr })
        else reject(new Error(`bailiwick ${args.join(' ')}: exit ${code}\n${stdout}\n${stderr}`))
      },
    )
  })
}
