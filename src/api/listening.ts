// Where a server of ours may listen, and why it could not. Loopback needs no word; anything else does, because what is
// said there travels in the clear unless something that speaks TLS stands in front.

import { isIP } from 'node:net'

/** Nobody can be listened to at the address; the message is for people, with the cure. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** `127.0.0.1:7650`, `[::1]:7650` */
export function placeText(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Whether what listens at the host is reached from this machine alone. A name counts only if it is `localhost`. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true
  return isIP(host) === 4 && host.startsWith('127.')
}

/** The error of `listen`, in words if it is one that people can mend. */
export function listenError(error: unknown, host: string, port: number): Error {
  const { code } = error as NodeJS.ErrnoException
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: 'is taken by another process: give another port with --listen, or end that process',
    EACCES: 'needs rights that this user does not have: give a port above 1023 with --listen',
    EADDRNOTAVAIL: 'is no address of this machine: give one of its own, or 0.0.0.0 for all',
    ENOTFOUND: 'is no known host: give an address of this machine',
  }
  const known = code === undefined ? undefined : words[code]
  if (known === undefined) return error instanceof Error ? error : new Error(String(error))
  return new ListenError(`cannot listen at ${placeText(host, port)}: it ${known}`)
}
