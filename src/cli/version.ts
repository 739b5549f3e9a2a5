// What is running: our own version, and that of what we run on.

import { readFileSync } from 'node:fs'

// One directory further up when built: dist/src/cli.
const ROOT = new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url)

/** A file or directory of the package, where it lies now. */
export function packageUrl(path: string): URL {
  return new URL(path, ROOT)
}

export function packageVersion(): string {
  const text = readFileSync(packageUrl('package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export function versionText(): string {
  return `bailiwick ${packageVersion()} (node ${process.versions.node}, ${process.platform} ${process.arch})`
}
