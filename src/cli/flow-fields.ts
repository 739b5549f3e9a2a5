// The fields of a printed flow: one table for all output formats. Names and meaning are Zeek's where Zeek has
// the field; a flow's record columns are in src/flow.ts.

import type { FlowColumns } from '../flow.ts'

/**
 * How a field is written. `source`, `uid`, `proto`, `community` and `local` are made from more than one column;
 * `number` and `time` are always set, `nonzero` and `moment` are unset at 0, `count` and `seconds` are unset at NaN, text and lists when empty.
 */
export type FieldKind =
  | 'source'
  | 'uuid'
  | 'uid'
  | 'time'
  | 'moment'
  | 'seconds'
  | 'address'
  | 'proto'
  | 'number'
  | 'nonzero'
  | 'count'
  | 'word'
  | 'community'
  | 'words'
  | 'flag'
  | 'local'

export interface FlowField {
  name: string
  column: keyof FlowColumns
  kind: FieldKind
  /** Zeek's type name, for the header of its format. */
  zeek: string
}

const field = (name: string, column: keyof FlowColumns, kind: FieldKind, zeek: string) => ({
  name,
  column,
  kind,
  zeek,
})
const same = (column: keyof FlowColumns, kind: FieldKind, zeek: string) =>
  field(column, column, kind, zeek)

/** Every field, in the order of NDJSON and CSV. The first is always set. */
export const FLOW_FIELDS: readonly FlowField[] = [
  field('source', 'flow_id', 'source', 'string'),
  same('flow_id', 'uuid', 'string'),
  same('uid', 'uid', 'string'),
  same('ts', 'time', 'time'),
  field('id.orig_h', 'orig_h', 'address', 'addr'),
  field('id.orig_p', 'orig_p', 'number', 'port'),
  field('id.resp_h', 'resp_h', 'address', 'addr'),
  field('id.resp_p', 'resp_p', 'number', 'port'),
  field('proto', 'ip_proto', 'proto', 'enum'),
  same('ip_proto', 'number', 'count'),
  same('service', 'word', 'string'),
  same('duration', 'seconds', 'interval'),
  same('orig_bytes', 'count', 'count'),
  same('resp_bytes', 'count', 'count'),
  same('conn_state', 'word', 'string'),
  field('local_orig', 'orig_h', 'local', 'bool'),
  field('local_resp', 'resp_h', 'local', 'bool'),
  same('missed_bytes', 'count', 'count'),
  same('history', 'word', 'string'),
  same('orig_pkts', 'count', 'count'),
  same('orig_ip_bytes', 'count', 'count'),
  same('resp_pkts', 'count', 'count'),
  same('resp_ip_bytes', 'count', 'count'),
  same('tunnel_parents', 'words', 'set[string]'),
  same('vlan', 'nonzero', 'int'),
  same('inner_vlan', 'nonzero', 'int'),
  same('community_id', 'community', 'string'),
  same('server_name', 'word', 'string'),
  same('name_source', 'word', 'string'),
  same('name_proof', 'word', 'string'),
  same('dns_names', 'words', 'vector[string]'),
  same('ja3', 'word', 'string'),
  same('ja4', 'word', 'string'),
  same('alpn', 'word', 'string'),
  same('user_agent', 'word', 'string'),
  same('proxy_user', 'word', 'string'),
  same('direction_sure', 'flag', 'bool'),
  same('handshake', 'word', 'string'),
  same('decided_at', 'moment', 'time'),
  same('decided_by', 'word', 'string'),
  same('vantage', 'word', 'string'),
  same('interface_id', 'word', 'string'),
  same('interface_side', 'word', 'string'),
  same('action', 'word', 'string'),
  same('end_reason', 'word', 'string'),
  same('anomalies', 'words', 'set[string]'),
]

/** Zeek's own columns come first in its format, in its order. */
const ZEEK_FIRST = [
  'ts',
  'uid',
  'id.orig_h',
  'id.orig_p',
  'id.resp_h',
  'id.resp_p',
  'proto',
  'service',
  'duration',
  'orig_bytes',
  'resp_bytes',
  'conn_state',
  'local_orig',
  'local_resp',
  'missed_bytes',
  'history',
  'orig_pkts',
  'orig_ip_bytes',
  'resp_pkts',
  'resp_ip_bytes',
  'tunnel_parents',
  'ip_proto',
]

/** The fields in the order of Zeek's conn.log, ours after them. */
export function zeekOrder(fields: readonly FlowField[]): FlowField[] {
  const rank = (one: FlowField) => {
    const at = ZEEK_FIRST.indexOf(one.name)
    return at < 0 ? ZEEK_FIRST.length : at
  }
  return [...fields].sort((a, b) => rank(a) - rank(b))
}
