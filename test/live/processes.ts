// Processes that a test's captures have started, as the kernel knows them.

import { readdirSync, readFileSync } from 'node:fs'

export interface Running {
  pid: number
  name: string
  /** `Z` if it ended and nobody looked. */
  state: string
}

/** All descendants of a process. */
export function descendants(root = process.pid): Running[] {
  const children = new Map<number, Running[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const [stat, line] = [textOf(`/proc/${entry}/stat`), textOf(`/proc/${entry}/cmdline`)]
    const fields = / ([A-Za-z]) (\d+) /.exec(stat.slice(stat.lastIndexOf(')')))
    if (fields === null) continue
    const parent = Number(fields[2])
    const one = { pid: Number(entry), name: line.replaceAll('\0', ' '), state: fields[1]! }
    children.set(parent, [...(children.get(parent) ?? []), one])
  }
  const found: Running[] = []
  for (const at of children.get(root) ?? []) found.push(at, ...descendants(at.pid))
  return found
}

/** Capture processes, programs that they have started, and whatever ended and nobody looked. */
export const captureProcesses = (root?: number) =>
  descendants(root).filter(
    ({ name, state }) => state === 'Z' || /capture\.js|dumpcap|tcpdump/.test(name),
  )

/** What the kernel says of a process, by name. */
export function statusOf(pid: number): Map<string, string> {
  const lines = textOf(`/proc/${pid}/status`).split('\n')
  return new Map(lines.map((line) => line.split(/:\s*/, 2) as [string, string]))
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // It has ended meanwhile.
    return ''
  }
}
