// Host names from the wire, brought to one form whatever protocol they came in, so that a name in a ClientHello,
// in a Host header and in a DNS question compare as equal text.

import { wireText } from './wire-text.ts'

/** Longest name that DNS can hold in text; what is longer is cut by `wireText` and marked. */
export const MAX_NAME = 255

/**
 * The name in bytes[start, end): lower case, one trailing dot removed, escaped by `wireText`.
 * `''` if nothing is left.
 */
export function hostName(bytes: Uint8Array, start: number, end: number): string {
  let stop = end
  if (stop > start && bytes[stop - 1] === 0x2e) stop--
  // The escapes of wireText are lower case already, so lower-casing the escaped text touches the name only.
  return wireText(bytes, start, stop, MAX_NAME).toLowerCase()
}

/**
 * The host of `host`, `host:port`, `[v6]` or `[v6]:port` in bytes[start, end), in the form of `hostName`. An
 * address stays the text it was written in. `''` if there is no host.
 */
export function hostOfAuthority(bytes: Uint8Array, start: number, end: number): string {
  if (bytes[start] === 0x5b && start < end) {
    const close = indexOf(bytes, 0x5d, start, end)
    if (close >= 0) return hostName(bytes, start + 1, close)
  }
  const colon = indexOf(bytes, 0x3a, start, end)
  // More than one colon without brackets is a bare IPv6 address: it has no port that could be told apart.
  const several = colon >= 0 && indexOf(bytes, 0x3a, colon + 1, end) >= 0
  return hostName(bytes, start, colon < 0 || several ? end : colon)
}

/** True if the name is made of letters, digits, hyphens, underscores and dots only, as names to be looked up are. */
export function isPlainName(name: string): boolean {
  return /^[a-z0-9._-]*$/.test(name)
}

function indexOf(bytes: Uint8Array, byte: number, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === byte) return i
  return -1
}
