// Where a flow went, in words a person groups by: the registrable name, and what kind of address it was.

import { getDomain } from 'tldts'

/**
 * The registrable domain of a host name (`paste.example.net` gives `example.net`), with the private part of the
 * Public Suffix List: the tenants of a hosting name are different destinations. A name that has none
 * (`localhost`, a bare suffix, no host name at all) is its own.
 * @param name lower case, no dot at the end
 */
export function registrableName(name: string): string {
  return getDomain(name, { allowPrivateDomains: true }) ?? name
}

/** `metadata`: the address at which clouds give credentials to whoever asks from inside. */
export type AddressKind = 'public' | 'private' | 'metadata' | 'multicast' | 'local'

const METADATA_6 = [0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54]

/**
 * What kind of address the 16 bytes at `at` are, by the IANA special-purpose registries (RFC 6890). `private`
 * holds RFC 1918, shared address space (RFC 6598) and unique local IPv6; `local` loopback, link-local,
 * unspecified; the documentation networks count as public.
 */
export function addressKind(bytes: Uint8Array, at = 0): AddressKind {
  let zeros = 0
  while (zeros < 10 && bytes[at + zeros] === 0) zeros++
  if (zeros === 10 && bytes[at + 10] === 0xff && bytes[at + 11] === 0xff)
    return kind4(bytes, at + 12)
  const first = bytes[at]!
  if (first === 0xff) return 'multicast'
  if ((first & 0xfe) === 0xfc)
    return METADATA_6.every((byte, i) => bytes[at + i] === byte) ? 'metadata' : 'private'
  if (first === 0xfe && (bytes[at + 1]! & 0xc0) === 0x80) return 'local'
  if (zeros === 10 && bytes[at + 10] === 0 && bytes[at + 11] === 0)
    // ::, ::1 and the old IPv4-compatible addresses.
    return 'local'
  return 'public'
}

function kind4(bytes: Uint8Array, at: number): AddressKind {
  const a = bytes[at]!
  const b = bytes[at + 1]!
  if (a === 10 || (a === 172 && (b & 0xf0) === 16) || (a === 192 && b === 168)) return 'private'
  if (a === 100 && (b & 0xc0) === 64) return 'private'
  if (a === 169 && b === 254)
    return bytes[at + 2] === 169 && bytes[at + 3] === 254 ? 'metadata' : 'local'
  if (a === 127 || a === 0) return 'local'
  if (a >= 224) return 'multicast'
  return 'public'
}
