// Runs once before the tests: worker threads and whole-program tests use the built program, so it must be current.

import { execFileSync } from 'node:child_process'
import path from 'node:path'

export function setup(): void {
  const root = path.join(import.meta.dirname, '..')
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  for (const project of ['tsconfig.build.json', 'dashboards/web'])
    execFileSync(process.execPath, [compiler, '-p', project], { cwd: root, stdio: 'inherit' })
}
