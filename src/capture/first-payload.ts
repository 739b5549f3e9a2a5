// What the originator's first bytes say: which protocol, which name is asked for, by which client. This is where a
// flow gets its name, so everything that a protocol reader found odd is passed on.

import { readRequest } from './http.ts'
import { type Inspection, inspectHello } from './inspection.ts'
import { originatorService, responderService } from './service.ts'
import { readClientHello, readDtlsHello } from './tls.ts'

export type { Inspection } from './inspection.ts'

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
  const http = readRequest(bytes, start, end, final)
  if (http.status === 'request') {
    const { host, connect, userAgent, proxyUser, anomalies } = http.request
    return {
      status: host === '' ? 'no_name' : 'name',
      service: 'http',
      serverName: host,
      nameSource: host === '' ? '' : connect ? 'connect' : 'http_host',
      ja3: '',
      ja4: '',
      alpn: '',
      userAgent,
      proxyUser,
      anomalies,
    }
  }
  if (tls.status === 'more' || http.status === 'more') return MORE
  return { status: 'none', service: originatorService(bytes, start, end) }
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
