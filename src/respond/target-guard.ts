// Where a request may go. A URL that somebody wrote down must not reach what stands inside: loopback, private networks,
// the metadata service of a cloud. The check is made on the addresses that are connected to, at the moment of
// connecting: a name that changes its answer after a check gains nothing. Redirects are not followed by anybody.

import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector } from 'undici'
import { contains, type Network, parseAddress, parseNetwork } from '../address.ts'
import { printable } from '../wire-text.ts'

/** The target is not one that may be reached. The message says why and the cure, and repeats no path or query. */
export class TargetRefused extends Error {
  override readonly name = 'TargetRefused'
}

/**
 * Addresses that are not of the public internet: the special-purpose registries of IANA (RFC 6890 and its updates),
 * and every way to write an IPv4 address into an IPv6 one, which could lead to any of them.
 */
const SPECIAL: readonly (readonly [cidr: string, what: string])[] = [
  ['0.0.0.0/8', 'this network'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', "a carrier's shared space"],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local, where clouds keep metadata'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved for protocols'],
  ['192.0.2.0/24', 'for documentation'],
  ['192.31.196.0/24', 'AS112'],
  ['192.52.193.0/24', 'AMT'],
  ['192.88.99.0/24', 'a 6to4 relay'],
  ['192.168.0.0/16', 'private'],
  ['192.175.48.0/24', 'AS112'],
  ['198.18.0.0/15', 'for benchmarks'],
  ['198.51.100.0/24', 'for documentation'],
  ['203.0.113.0/24', 'for documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
  // Public services of clouds for their own machines, outside of the private ranges.
  ['168.63.129.16/32', "Azure's wire server"],
  ['2001::/23', 'reserved for protocols'],
  ['2001:db8::/32', 'for documentation'],
  ['2002::/16', '6to4, which hides an IPv4 address'],
  ['2620:4f:8000::/48', 'AS112'],
  ['3fff::/20', 'for documentation'],
]
const GLOBAL_IPV6 = networkOf('2000::/3')
const IPV4 = networkOf('::ffff:0.0.0.0/96')
const RANGES = SPECIAL.map(([cidr, what]) => ({ network: networkOf(cidr), what }))

function networkOf(cidr: string): Network {
  const network = parseNetwork(cidr)
  if (network === undefined) throw new RangeError(`no network: ${cidr}`)
  return network
}

/** What an address is if not one of the public internet; undefined if it is one. */
export function specialAddress(address: string): string | undefined {
  // A zone (fe80::1%eth0) only names an interface.
  const bytes = parseAddress(address.replace(/%.*$/s, ''))
  if (bytes === undefined) return 'no address'
  const range = RANGES.find(({ network }) => contains(network, bytes))
  if (range !== undefined) return range.what
  return contains(IPV4, bytes) || contains(GLOBAL_IPV6, bytes) ? undefined : 'not public'
}

/** Ports that HTTP is served at; a webhook is no way to speak to a mail server. */
const LOW_PORTS = ['', '80', '443']

/** Which addresses a name has. As dns.lookup with `all`. */
export type Resolve = (
  host: string,
  done: (error: Error | null, addresses: { address: string; family: number }[]) => void,
) => void

const systemResolve: Resolve = (host, done) =>
  systemLookup(host, { all: true, verbatim: true }, done)

export interface TargetGuard {
  /**
   * Is this a URL that a request may be sent to, as far as it can be seen without asking for its addresses?
   * @throws TargetRefused
   */
  check(url: string): URL
  /** Connects to addresses that were checked. */
  agent: Agent
}

type Refusal = (host: string, address: string, plain: boolean) => TargetRefused | undefined

function refusalBy(allowed: readonly Network[]): Refusal {
  return (host, address, plain) => {
    const bytes = parseAddress(address.replace(/%.*$/s, ''))
    if (bytes !== undefined && allowed.some((network) => contains(network, bytes))) return undefined
    const what = specialAddress(address)
    const place = host === address ? address : `${host} is at ${address}, which`
    if (what !== undefined)
      return new TargetRefused(
        `${printable(place)} is ${what}: not sent (name its network in respond.allow_targets if it is meant)`,
      )
    if (!plain) return undefined
    return new TargetRefused(
      `${printable(place)} is outside of respond.allow_targets and has no TLS: use https`,
    )
  }
}

/**
 * A URL that a request may be sent to, as far as it can be seen without asking for its addresses.
 * @throws TargetRefused
 */
export function checkTarget(text: string, allowed: readonly Network[]): URL {
  const url = parseTarget(text)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const refused =
    isIP(host) > 0 ? refusalBy(allowed)(host, host, url.protocol === 'http:') : undefined
  if (refused !== undefined) throw refused
  return url
}

/**
 * @param allowed networks of the operator: targets in there may be private, and need no TLS
 * @param connectMillis limit of the time to connect
 */
export function targetGuard(
  allowed: readonly Network[],
  { connections = 4, connectMillis = 5000, resolve = systemResolve } = {},
): TargetGuard {
  const refusal = refusalBy(allowed)
  const lookupFor =
    (plain: boolean): LookupFunction =>
    (host, options, done) =>
      resolve(host, (error, addresses) => {
        if (error !== null) return done(error, '')
        // One bad address is enough: which of them is taken is not in our hands.
        for (const { address } of addresses) {
          const refused = refusal(host, address, plain)
          if (refused !== undefined) return done(refused, '')
        }
        const first = addresses[0]
        if (first === undefined) return done(new TargetRefused(`${host} has no address`), '')
        if (options.all === true) return done(null, addresses)
        done(null, first.address, first.family)
      })
  const connectors = [false, true].map((plain) =>
    buildConnector({ lookup: lookupFor(plain), timeout: connectMillis, maxCachedSessions: 16 }),
  )
  const connect: buildConnector.connector = (options, done) => {
    const plain = options.protocol !== 'https:'
    // An address in the URL is connected to without being looked up.
    const { hostname } = options
    const refused = isIP(hostname) > 0 ? refusal(hostname, hostname, plain) : undefined
    if (refused !== undefined) return done(refused, null)
    connectors[plain ? 1 : 0]!(options, done)
  }
  return {
    check: (text) => checkTarget(text, allowed),
    agent: new Agent({
      connect,
      connections,
      pipelining: 1,
      keepAliveTimeout: 10_000,
      maxOrigins: 64,
    }),
  }
}

function parseTarget(text: string): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new TargetRefused('this is no URL: expected https://host/path')
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new TargetRefused(`expected https://host/path, found ${printable(url.protocol)}`)
  if (url.username !== '' || url.password !== '')
    throw new TargetRefused(
      'a URL with user or password in it is not used: the signature says who sends',
    )
  if (!LOW_PORTS.includes(url.port) && Number(url.port) < 1024)
    throw new TargetRefused(`port ${url.port} is no port of HTTP: 443, 80 or one above 1023`)
  return url
}
