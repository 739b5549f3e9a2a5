// Who captures: where we are root, a process of another user that may open raw sockets and nothing else. Two ways lead
// there. `setpriv` starts the capture process without any other right; where that user may not read this program's
// files, the process starts as root and becomes that user once the interface is open, before the first packet is
// looked at.

import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Ids } from './order.ts'

/** Where systems keep programs. No search path: whoever sets it would choose what runs with our rights. */
const PLACES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/local/sbin']
const NOBODY: Ids = { uid: 65534, gid: 65534 }
/** CAP_NET_RAW of capabilities(7). */
const NET_RAW = 1n << 13n
/** CAP_SETGID, CAP_SETUID and CAP_SETPCAP: what giving up rights takes. */
const CHANGE_USER = (1n << 6n) | (1n << 7n) | (1n << 8n)

export function programPath(name: string): string | undefined {
  return PLACES.map((place) => path.join(place, name)).find((one) => existsSync(one))
}

export const setprivPath = () => programPath('setpriv')

/** The ids of a user of /etc/passwd, or of `uid:gid`; undefined if there is no such user. */
export function userIds(name: string | undefined): Ids | undefined {
  if (name === undefined) return userIds('nobody') ?? NOBODY
  const numbers = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(name)
  if (numbers !== null) return { uid: Number(numbers[1]), gid: Number(numbers[2] ?? numbers[1]) }
  let text = ''
  try {
    text = readFileSync('/etc/passwd', 'utf8')
  } catch {
    return undefined
  }
  const fields = text.split('\n').map((line) => line.split(':'))
  const user = fields.find(([one]) => one === name)
  return user === undefined ? undefined : { uid: Number(user[2]), gid: Number(user[3]) }
}

/** A command line that runs `line` as that user, with the right to open raw sockets and no way to any other. */
export function withRights(setpriv: string, { uid, gid }: Ids, line: readonly string[]): string[] {
  const caps = ['inh', 'ambient'].map((set) => `--${set}-caps=-all,+net_raw`)
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
  const rest = ['--bounding-set=-all,+net_raw', '--no-new-privs', '--pdeathsig', 'KILL']
  return [setpriv, ...user, ...caps, ...rest, '--', ...line]
}

/** As above for a process that becomes that user by itself. */
function withRightsToDrop(setpriv: string, line: readonly string[]): string[] {
  const caps = '-all,+net_raw,+setuid,+setgid,+dac_read_search'
  const sets = [`--bounding-set=${caps}`, '--inh-caps=-all']
  return [setpriv, ...sets, '--no-new-privs', '--pdeathsig', 'KILL', '--', ...line]
}

export interface LaunchPlan {
  command: readonly string[]
  /** The process is to become this user itself. */
  become?: Ids
}

/**
 * How to start a capture process.
 * @param line the command, all paths absolute @param files what it must be able to read
 */
export function planLaunch(
  line: readonly string[],
  files: readonly string[],
  user: Ids,
): LaunchPlan {
  const setpriv = setprivPath()
  if (!mayChangeUser())
    return {
      command: setpriv === undefined ? line : [setpriv, '--pdeathsig', 'KILL', '--', ...line],
    }
  if (setpriv === undefined) return { command: line, become: user }
  if (files.every((file) => mayRead(file, user)))
    return { command: withRights(setpriv, user, line) }
  return { command: withRightsToDrop(setpriv, line), become: user }
}

/** Root may, unless somebody took the right from it: in a container, for one. */
function mayChangeUser(): boolean {
  const { uid, capabilities } = heldRights()
  return uid === 0 && (capabilities === undefined || (capabilities & CHANGE_USER) === CHANGE_USER)
}

/** Whether a user may read a file, by the modes of it and of the directories above. */
export function mayRead(file: string, { uid, gid }: Ids): boolean {
  const may = (name: string, bit: number) => {
    const { mode, uid: owner, gid: group } = statSync(name)
    const shift = owner === uid ? 6 : group === gid ? 3 : 0
    return ((mode >> shift) & bit) === bit
  }
  try {
    if (!may(file, 4)) return false
    for (let at = path.dirname(file); ; at = path.dirname(at)) {
      if (!may(at, 1)) return false
      if (at === path.dirname(at)) return true
    }
  } catch {
    return false
  }
}

/** Gives up every right. Only for a process that is alone with what it opened. */
export function become({ uid, gid }: Ids): void {
  process.setgroups!([])
  process.setgid!(gid)
  process.setuid!(uid)
}

/** What this process may do, as the kernel says: its user, and its effective capabilities. */
export function heldRights(): { uid: number; capabilities: bigint | undefined; words: string } {
  const uid = process.getuid?.() ?? -1
  let status = ''
  try {
    status = readFileSync('/proc/self/status', 'utf8')
  } catch {
    // Not Linux: the user alone says it.
  }
  const text = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  const capabilities = text === undefined ? undefined : BigInt(`0x${text}`)
  const held =
    capabilities === undefined
      ? ''
      : capabilities === 0n
        ? ' without any capability'
        : capabilities === NET_RAW
          ? ' with CAP_NET_RAW alone'
          : ` with capabilities ${capabilities.toString(16)}`
  return { uid, capabilities, words: `as uid ${uid}${held}` }
}

/** True if this process has no right but to open raw sockets. */
export function isConfined(user: Ids): boolean {
  const { uid, capabilities } = heldRights()
  return uid === user.uid && (capabilities === undefined || (capabilities & ~NET_RAW) === 0n)
}
