// What the originator's first bytes say: which protocol, which name is asked for, by which client. This is where a
// flow gets its name, so everything that a protocol reader found odd is passed on.

import { type HttpRequest, readRequest } from './http.ts'
import { type Inspection, inspectHello, namelessClient } from './inspection.ts'
import { type Preamble, readPreamble } from './preamble.ts'
import { originatorService, responderService } from './service.ts'
import { readClientHello, readDtlsHello } from './tls.ts'

export type { ClientInspection, Inspection } from './inspection.ts'

const MORE: Inspection = { status: 'more' }

/**
 * Inspects the originator's reassembled bytes from the first one on.
 * @param final no more bytes will come (closed, a gap, the reassembly limit): answers with what is there
 */
export function inspectStream(
  bytes: Uint8Array,
  start: number,
  end: number,
  final: boolean,
): Inspection {
  const tls = readClientHello(bytes, start, end, final)
  if (tls.status === 'hello') return inspectHello(tls.hello, 't')
  if (start >= end || mayBeginRequest(bytes[start]!)) {
    const http = readRequest(bytes, start, end, final)
    if (http.status === 'request') return inspectRequest(http.request)
    if (http.status === 'more') return MORE
  }
  if (tls.status === 'more') return MORE
  const preamble = readPreamble(bytes, start, end)
  if (preamble !== undefined) return inspectPreamble(preamble, bytes, end, final)
  return { status: 'none', service: originatorService(bytes, start, end) }
}

/** A capital letter, or the empty line that a server ignores. */
function mayBeginRequest(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x0d || byte === 0x0a
}

function inspectRequest(request: HttpRequest): Inspection {
  const { host, connect, userAgent, proxyUser, anomalies } = request
  return {
    ...namelessClient('http', anomalies),
    status: host === '' ? 'no_name' : 'name',
    serverName: host,
    nameSource: host === '' ? '' : connect ? 'connect' : 'http_host',
    userAgent,
    proxyUser,
  }
}

/** What a preamble asks for, and the hello behind it. A proxy's target is the name, whatever is said through it. */
function inspectPreamble(
  preamble: Preamble,
  bytes: Uint8Array,
  end: number,
  final: boolean,
): Inspection {
  const { service, complete, next, host, proxyUser } = preamble
  if (!complete || (next >= end && host === '')) return final ? { status: 'none', service } : MORE
  const inner = readClientHello(bytes, next, end, final || host !== '')
  const both = service === '' ? 'ssl' : `${service},ssl`
  if (host !== '') {
    const proxied = { status: 'name', serverName: host, nameSource: 'connect', proxyUser } as const
    if (inner.status !== 'hello') return { ...namelessClient(service), ...proxied }
    const client = inspectHello(inner.hello, 't')
    const differs = client.serverName !== '' && client.serverName !== host
    const anomalies = differs ? [...client.anomalies, 'proxied_name_differs'] : client.anomalies
    return { ...client, ...proxied, service: both, anomalies }
  }
  if (inner.status === 'more') return MORE
  if (inner.status === 'other') return { status: 'none', service }
  return { ...inspectHello(inner.hello, 't'), service: both }
}

/** Inspects a datagram of the originator for a DTLS hello; undefined if it holds none. QUIC has `QuicInitials`. */
export function inspectDatagram(
  bytes: Uint8Array,
  start: number,
  end: number,
): Inspection | undefined {
  const dtls = readDtlsHello(bytes, start, end)
  return dtls.status === 'hello' ? inspectHello(dtls.hello, 'd') : undefined
}

/** The service by the responder's first bytes, in Zeek's words; '' if they are not known for sure. */
export function inspectResponder(bytes: Uint8Array, start: number, end: number): string {
  return responderService(bytes, start, end)
}
