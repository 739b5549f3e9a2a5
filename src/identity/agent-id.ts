// Which texts may name an agent: SPIFFE IDs, checked by the SPIFFE-ID specification (sections 2.1 to 2.4), and
// any other absolute URI (RFC 3986, section 4.3).

/** Longest id in bytes (SPIFFE-ID, section 2.3). */
export const AGENT_ID_BYTES_MAX = 2048
const TRUST_DOMAIN_BYTES_MAX = 255

const URI = /^[a-z][a-z0-9+.-]*:(?:[a-z0-9._~:/?[\]@!$&'()*+,;=-]|%[0-9a-f]{2})+$/i

/** What is wrong with an agent id, as words after "which" and with the cure, or undefined if nothing is. */
export function agentIdComplaint(id: string): string | undefined {
  if (Buffer.byteLength(id) > AGENT_ID_BYTES_MAX)
    return `is longer than ${AGENT_ID_BYTES_MAX} bytes`
  if (/^spiffe:/i.test(id)) return spiffeComplaint(id)
  if (!/^[a-z][a-z0-9+.-]*:./i.test(id))
    return 'is no absolute URI (write a scheme in front: spiffe://acme.example/agent/name)'
  if (!URI.test(id)) return 'has a character that a URI may not hold (percent-encode it)'
  return undefined
}

function spiffeComplaint(id: string): string | undefined {
  if (!id.startsWith('spiffe://')) return 'should start with spiffe:// in lower case'
  const rest = id.slice('spiffe://'.length)
  const slash = rest.indexOf('/')
  const domain = slash < 0 ? rest : rest.slice(0, slash)
  if (domain === '') return 'has no trust domain (spiffe://acme.example/agent/name)'
  if (domain.length > TRUST_DOMAIN_BYTES_MAX)
    return `has a trust domain longer than ${TRUST_DOMAIN_BYTES_MAX} bytes`
  if (/[@:]/.test(domain)) return 'has a user or a port in its trust domain (take it away)'
  if (/[A-Z]/.test(domain))
    return `has capitals in its trust domain (write ${domain.toLowerCase()})`
  if (!/^[a-z0-9._-]+$/.test(domain))
    return 'has more than a-z, 0-9, dot, dash, underscore in its trust domain'
  if (slash < 0 || rest.length === slash + 1)
    return 'has no path: a trust domain alone names no agent (add /agent/name)'
  if (/[?#]/.test(rest)) return 'has a query or a fragment (take it away)'
  if (rest.includes('%')) return 'has percent-encoding, which a SPIFFE ID may not'
  if (rest.endsWith('/')) return 'ends with a slash (take it away)'
  for (const segment of rest.slice(slash + 1).split('/')) {
    if (segment === '') return 'has an empty path segment'
    if (segment === '.' || segment === '..') return 'has a relative path segment'
    if (!/^[A-Za-z0-9._-]+$/.test(segment))
      return 'has more than letters, digits, dot, dash, underscore in its path'
  }
  return undefined
}
