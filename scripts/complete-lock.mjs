// Makes package-lock.json whole. npm leaves out optional packages of platforms that the registry in use does not
// offer, and then `npm ci` refuses the lock file. Each one that a package asks for gets its entry here, with what
// its name says of the platform. Run after every `npm install`; it changes nothing the second time.
//
//   node scripts/complete-lock.mjs [--check]

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const SYSTEMS = new Map([
  ['aix', 'aix'],
  ['android', 'android'],
  ['darwin', 'darwin'],
  ['freebsd', 'freebsd'],
  ['linux', 'linux'],
  ['linuxmusl', 'linux'],
  ['netbsd', 'netbsd'],
  ['openbsd', 'openbsd'],
  ['openharmony', 'openharmony'],
  ['sunos', 'sunos'],
  ['win32', 'win32'],
  ['windows', 'win32'],
])
const PROCESSORS = new Map([
  ['aarch64', 'arm64'],
  ['arm', 'arm'],
  ['arm64', 'arm64'],
  ['armv7', 'arm'],
  ['ia32', 'ia32'],
  ['loong64', 'loong64'],
  ['mips64el', 'mips64el'],
  ['ppc64', 'ppc64'],
  ['riscv64', 'riscv64'],
  ['s390x', 's390x'],
  ['wasm32', 'wasm32'],
  ['x64', 'x64'],
])
const LIBRARIES = new Map([
  ['gnu', 'glibc'],
  ['gnueabihf', 'glibc'],
  ['linuxmusl', 'musl'],
  ['musl', 'musl'],
  ['musleabihf', 'musl'],
])

/** The lock's key under which node would find `name` from the package at `from`, if there is one. */
function resolved(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const key = `${at === '' ? '' : `${at}/`}node_modules/${name}`
    if (packages[key] !== undefined) return key
    if (at === '') return undefined
    if (!at.includes('/node_modules/')) at = ''
    if (at === '' && packages[`node_modules/${name}`] !== undefined) return `node_modules/${name}`
    if (at === '') return undefined
  }
}

/**
 * Optional packages that the lock's packages ask for and that have no entry.
 * @param {{packages: Record<string, {dev?: boolean, optionalDependencies?: Record<string, string>}>}} lock
 * @returns {{key: string, name: string, range: string, dev: boolean}[]}
 */
export function missingFromLock(lock) {
  const missing = new Map()
  for (const [from, entry] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
      if (resolved(lock.packages, from, name) !== undefined) continue
      const key = `node_modules/${name}`
      // Of development only if everybody who asks for it is.
      const dev = entry.dev === true && missing.get(key)?.dev !== false
      missing.set(key, { key, name, range, dev })
    }
  }
  return [...missing.values()]
}

/** What a package's name says of the platform it is for. */
function platformOf(name) {
  const words = name.split(/[/_.-]/)
  const all = (known) => [...new Set(words.flatMap((word) => known.get(word) ?? []))]
  const [os, cpu, libc] = [all(SYSTEMS), all(PROCESSORS), all(LIBRARIES)]
  return {
    ...(cpu.length > 0 ? { cpu } : {}),
    ...(libc.length > 0 ? { libc } : {}),
    ...(os.length > 0 ? { os } : {}),
  }
}

/** Adds the missing entries; the number of them. */
export function completeLock(lock) {
  const missing = missingFromLock(lock)
  for (const { key, name, range, dev } of missing) {
    const { cpu, libc, os } = platformOf(name)
    lock.packages[key] = {
      version: range.replace(/^[\^~=v]+/, ''),
      ...(cpu === undefined ? {} : { cpu }),
      ...(dev ? { dev: true } : {}),
      ...(libc === undefined ? {} : { libc }),
      optional: true,
      ...(os === undefined ? {} : { os }),
    }
  }
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  lock.packages = Object.fromEntries(sorted)
  return missing.length
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = new URL('../package-lock.json', import.meta.url)
  const lock = JSON.parse(readFileSync(file, 'utf8'))
  const added = completeLock(lock)
  if (process.argv.includes('--check')) {
    if (added > 0)
      process.stderr.write(`package-lock.json lacks ${added} packages: run npm run lock\n`)
    process.exitCode = added > 0 ? 1 : 0
  } else if (added > 0) {
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
    process.stdout.write(`${added} packages added to package-lock.json\n`)
  }
}
