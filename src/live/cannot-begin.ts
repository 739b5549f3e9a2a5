// Why capture cannot begin on an interface, and what mends it.

import { printable } from '../wire-text.ts'
import { interfaceNames } from './interfaces.ts'
import { LiveError, type LiveErrorKind } from './live-event.ts'

/** @param detail what the backend, or the kernel, said */
export function cannotBegin(
  kind: LiveErrorKind,
  name: string,
  filter: string,
  detail: string,
): LiveError {
  const on = printable(name)
  switch (kind) {
    case 'filter':
      return new LiveError(
        kind,
        `the filter \`${printable(filter)}\` is none: ${detail}`,
        'see man pcap-filter, and try it with tcpdump -d',
      )
    case 'no_interface':
      return new LiveError(
        kind,
        `there is no interface ${on}`,
        `expected one of ${interfaceNames().map(printable).join(', ')}`,
      )
    case 'permission':
      return new LiveError(
        kind,
        `no right to capture on ${on} (${detail})`,
        'run as root (sudo), or with the capability CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW), or let dumpcap capture: setcap cap_net_raw+ep /usr/bin/dumpcap, and be in its group',
      )
    default:
      return new LiveError(
        kind,
        `nothing to capture with on ${on} (${detail})`,
        'install libpcap-dev and a compiler and run npm rebuild pcap, or install tcpdump',
      )
  }
}
