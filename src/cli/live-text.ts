// A flow of a live capture as one line for a person: when, what has become of it, from where to where, how much.

import { formatAddress } from '../address.ts'
import { printable } from '../wire-text.ts'
import { endpointText } from './flow-text.ts'
import type { FlowBlock } from './flow-writer.ts'
import { sizeWords } from './progress.ts'
import type { Colours } from './terminal.ts'

/** Zeek's words for the state of a connection, in ours. */
const STATES: Readonly<Record<string, string>> = {
  S0: 'no answer',
  S1: 'established',
  SF: 'closed',
  REJ: 'refused',
  S2: 'half closed',
  S3: 'half closed',
  RSTO: 'reset by the originator',
  RSTR: 'reset by the responder',
  RSTOS0: 'given up',
  RSTRH: 'reset by the responder',
  SH: 'half a handshake',
  SHR: 'half a handshake',
  OTH: 'seen from its middle',
}

/** So that arrows stand below each other where addresses are of IPv4. */
const END_WIDTH = 21

const TRANSPORTS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp' }

/** The line of a row, without line feed. Every text in it is printable. */
export function liveLine(block: FlowBlock, row: number, colours: Colours): string {
  const c = block.columns
  const reason = c.end_reason.get(row)
  const isNew = reason === 'open'
  const goesOn = isNew || reason === 'active'
  const protocol = c.ip_proto[row]!
  const transport = TRANSPORTS[protocol] ?? `ip ${protocol}`
  const end = (address: Uint8Array, port: number) =>
    endpointText(formatAddress(address, row * 16), port, transport)
  const name = printable(c.server_name.get(row))
  const target = end(c.resp_h, c.resp_p[row]!)
  const state = stateWords(c.conn_state.get(row), protocol, goesOn)
  const at = goesOn ? c.decided_at[row]! : c.end[row]!
  const word = isNew ? 'begins' : goesOn ? 'goes on' : 'ends'
  const paint = isNew ? colours.green : goesOn ? colours.cyan : colours.dim
  const bad = /refused|no answer|reset|given up/.test(state)
  const parts = [
    new Date((isNew ? at : c.end[row]!) / 1000).toISOString().slice(11, 23),
    paint(word.padEnd(7)),
    transport.padEnd(4),
    `${end(c.orig_h, c.orig_p[row]!).padEnd(END_WIDTH)} → ${name === '' ? target : `${colours.bold(name)} (${target})`}`,
  ]
  const vantage = c.vantage.get(row)
  if (vantage !== '') parts.push(`on ${printable(vantage)}`)
  const service = printable(c.service.get(row))
  if (service !== '') parts.push(colours.cyan(service))
  if (!isNew) parts.push(amount(block, row))
  parts.push(bad ? colours.yellow(state) : state)
  return parts.join('  ')
}

function stateWords(state: string, protocol: number, goesOn: boolean): string {
  if (protocol === 6) {
    if (goesOn && state === 'S0') return 'not answered yet'
    return STATES[state] ?? printable(state)
  }
  if (protocol !== 17) return ''
  if (state === 'SF') return 'answered'
  return state === 'S0' ? (goesOn ? 'not answered yet' : 'no answer') : 'seen from its middle'
}

function amount(block: FlowBlock, row: number): string {
  const c = block.columns
  const size = (payload: number, whole: number) =>
    sizeWords(Number.isNaN(payload) ? (Number.isNaN(whole) ? 0 : whole) : payload)
  const out = size(c.orig_bytes[row]!, c.orig_ip_bytes[row]!)
  const back = size(c.resp_bytes[row]!, c.resp_ip_bytes[row]!)
  const seconds = c.duration[row]!
  const time = Number.isNaN(seconds) ? '' : ` in ${secondsWords(seconds)}`
  return `${out} out, ${back} back${time}`
}

function secondsWords(seconds: number): string {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`
}
