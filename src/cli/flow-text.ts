// A flow and a destination in words, for reports.

import type { ReportDestination, ReportFlow } from '../report.ts'

/** `10.0.0.5:443`, `[fd00::1]:443`; the address alone where there is no port. */
export function endpointText(address: string, port: number, proto: string): string {
  if (proto !== 'tcp' && proto !== 'udp' && proto !== 'sctp') return address
  return `${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** `api.example.com:443/tcp`, as an expectation names a place. */
export function destinationText(
  one: Pick<ReportDestination, 'destination' | 'server_name' | 'port' | 'proto'>,
): string {
  const host = one.server_name || one.destination
  return `${host.includes(':') ? `[${host}]` : host}:${one.port}/${one.proto}`
}

/** One conversation on one line: when, from, to, and the uid that finds it again. */
export function flowText(flow: ReportFlow): string {
  const { ts, orig_h, orig_p, resp_h, resp_p, proto, server_name, uid } = flow
  const name = server_name === '' ? '' : ` (${server_name})`
  return `${ts} ${endpointText(orig_h, orig_p, proto)} > ${endpointText(resp_h, resp_p, proto)}${name} ${proto}, uid ${uid}`
}

/** The lines of a text, each behind `indent`. */
export function indented(text: string, indent: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => indent + line)
}
