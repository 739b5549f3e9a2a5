// Host names in one form, so that they can be compared: A-labels in lower case without the last dot. A name
// that a policy declares and a name that was seen on the wire come here first.

import { domainToASCII } from 'node:url'
import { parseAddress } from '../address.ts'

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/

/** True for a name of host labels in lower case; whoever shows another one matches no declared domain. */
export function isHostName(name: string): boolean {
  return HOST_NAME.test(name)
}

/** True for text that is an IP address, also in brackets. */
export function isAddressLiteral(text: string): boolean {
  // Most names end in a letter and hold no colon; parsing is dear.
  if (!/^[0-9.]+$|:/.test(text)) return false
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  return parseAddress(bare) !== undefined
}

/**
 * A name as it was seen (SNI, Host, CONNECT, DNS): lower case, without the last dot and without a port. What is
 * no host name stays as it is and equals no declared domain.
 */
export function seenName(text: string): string {
  let name = text.toLowerCase()
  const colon = name.lastIndexOf(':')
  if (colon > 0 && (name.indexOf(':') === colon || name[colon - 1] === ']')) {
    if (/^\d{1,5}$/.test(name.slice(colon + 1))) name = name.slice(0, colon)
  }
  return name.endsWith('.') ? name.slice(0, -1) : name
}

/** A declared domain as the matcher wants it, or what is wrong with it, as words after "is". */
export type DeclaredDomain = { domain: string } | { complaint: string }

/** `api.openai.com`, `*.example.com`, `bücher.example` in canonical form. */
export function declaredDomain(text: string): DeclaredDomain {
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/:?#]+)/i.exec(text)
  if (url !== null) return { complaint: `a URL, not a domain (write ${url[1]})` }
  const starred = text.startsWith('*.')
  const bare = (starred ? text.slice(2) : text).replace(/\.$/, '')
  if (text === '*') return { complaint: 'no domain (to allow every host write cidr: 0.0.0.0/0)' }
  if (bare.includes('*'))
    return { complaint: 'no domain: a star may only be the whole first label (*.example.com)' }
  if (isAddressLiteral(bare)) return { complaint: `an address, not a domain (write cidr: ${bare})` }
  const port = /^(.+):\d+$/.exec(bare)
  if (port !== null) return { complaint: `a domain and a port (write domain: ${port[1]})` }
  const ascii = domainToASCII(bare)
  if (ascii === '' || isAddressLiteral(ascii) || !isHostName(ascii))
    return { complaint: 'no host name' }
  return { domain: starred ? `*.${ascii}` : ascii }
}

/** True if `name` is `domain`, or lies under it where `domain` starts with `*.`. Both in canonical form. */
export function domainMatches(domain: string, name: string): boolean {
  if (!isHostName(name)) return false
  if (domain.startsWith('*.'))
    return name.length > domain.length - 1 && name.endsWith(domain.slice(1))
  return domain !== '' && name === domain
}
