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
  // Rows ask for the same name again and again.
  if (name !== askedLast) {
    const found = BY_NAME.exec(name)
    const stream = found?.[1] ?? found?.[2]
    answeredLast = (stream === 'conn-long' ? 'conn_long' : stream) as ZeekStream | undefined
    askedLast = name
  }
  return answeredLast
}

let askedLast = ''
let answeredLast: ZeekStream | undefined

/** True for the name of any stream that wraps a tagged JSON row. */
export function isZeekStream(name: string): boolean {
  return zeekStreamOf(name) !== undefined
}

/** True if rows of this stream are running totals of a flow, not its end. */
export function isRunning(name: string): boolean {
  const stream = zeekStreamOf(name)
  return stream === 'open_conn' || stream === 'conn_long'
}

/** Columns that together only this stream has; other streams share single ones (`sip`, `kerberos`, `files`, `dhcp`). */
const BY_COLUMNS: readonly [ZeekStream, readonly string[]][] = [
  ['conn', ['conn_state']],
  ['conn', ['orig_pkts', 'resp_pkts']],
  ['conn', ['missed_bytes']],
  ['dns', ['trans_id', 'query']],
  ['dns', ['query', 'answers']],
  ['http', ['trans_depth', 'host']],
  ['quic', ['client_initial_dcid']],
  ['quic', ['client_scid']],
  ['ssl', ['ssl_history']],
  ['ssl', ['cert_chain_fps']],
  ['ssl', ['cert_chain_fuids']],
  ['ssl', ['server_name', 'cipher']],
  ['ssl', ['server_name', 'established']],
]

/**
 * The stream of rows with these columns. A path that is not known by name may be a filter's for connections, which
 * their columns tell; any other stream is one of those that are not read.
 * @param path `#path`, tag or name; '' or 'other' if nothing names the stream
 */
export function zeekStreamOfRows(
  path: string,
  has: (column: string) => boolean,
): ZeekStream | undefined {
  const named = zeekStreamOf(path)
  if (named !== undefined) return named
  const found = BY_COLUMNS.find(([, columns]) => columns.every(has))?.[0]
  return path === '' || path === 'other' || found === 'conn' ? found : undefined
}
