// The names of Zeek's streams, and what a stream is called by its header, its file or its rows.

/** Streams that are read, and one word for all others. `open_conn` and `conn_long` hold running totals. */
export const ZEEK_STREAMS = [
  'conn',
  'open_conn',
  'conn_long',
  'ssl',
  'dns',
  'http',
  'quic',
  'x509',
  'other',
] as const
export type ZeekStream = (typeof ZEEK_STREAMS)[number]

const BY_NAME =
  /^(?:(open_conn|conn_long|conn-long|conn)|(?:open_)?(ssl|dns|http|quic|x509))(?![A-Za-z])/

/**
 * The stream of a `#path`, a tag or a file name (without its directory): `conn-2`, `conn.12:00:00-13:00:00.log`,
 * `open_ssl.log`. Undefined if it is none that is read.
 */
export function zeekStreamOf(name: string): ZeekStream | undefined {
  const found = BY_NAME.exec(name)
  if (found === null) return undefined
  const stream = found[1] ?? found[2]!
  return (stream === 'conn-long' ? 'conn_long' : stream) as ZeekStream
}

/** True for the name of any stream that wraps a tagged JSON row. */
export function isZeekStream(name: string): boolean {
  return zeekStreamOf(name) !== undefined
}

/** True if rows of this stream are running totals of a flow, not its end. */
export function isRunning(name: string): boolean {
  const stream = zeekStreamOf(name)
  return stream === 'open_conn' || stream === 'conn_long'
}

/** Columns that only this stream has, in the order in which they are asked. */
const BY_COLUMN: readonly [ZeekStream, readonly string[]][] = [
  ['conn', ['conn_state', 'orig_pkts', 'missed_bytes', 'local_orig']],
  ['dns', ['trans_id', 'query', 'qtype_name', 'answers']],
  ['http', ['trans_depth', 'status_code', 'method', 'request_body_len']],
  ['quic', ['client_initial_dcid', 'client_scid']],
  ['ssl', ['cipher', 'server_name', 'ssl_history', 'cert_chain_fps', 'cert_chain_fuids']],
]

/** The stream by the columns it has, where nothing names it. */
export function zeekStreamOfColumns(has: (column: string) => boolean): ZeekStream | undefined {
  for (const [stream, columns] of BY_COLUMN) if (columns.some(has)) return stream
  return undefined
}
