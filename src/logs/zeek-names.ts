// The rows of ssl.log, quic.log, http.log and dns.log, read for the names in them and held in ZeekJoins.

import { hostName, hostOfAuthority, isPlainName } from '../host-name.ts'
import type { LogReport } from './log-report.ts'
import { decimalMicros, readAddress, timeOf } from './scan.ts'
import type { NameClaim, ZeekJoins } from './zeek-joins.ts'
import type { RowResult, ZeekConsumer, ZeekRow } from './zeek-rows.ts'
import { zeekStreamOfRows } from './zeek-streams.ts'

export type JoinedStream = 'ssl' | 'dns' | 'http' | 'quic'

const FIELDS = [
  'ts',
  'uid',
  'server_name',
  'next_protocol',
  'ja3',
  'ja4',
  'ech_kdf_id',
  'client_protocol',
  'host',
  'method',
  'user_agent',
  'username',
  'proxied',
  'id.orig_h',
  'query',
  'answers',
  'TTLs',
  'rtt',
  'trans_depth',
  'cipher',
  'established',
  'ssl_history',
  'cert_chain_fps',
  'cert_chain_fuids',
  'client_initial_dcid',
  'client_scid',
  'trans_id',
  'conn_state',
] as const
type Field = (typeof FIELDS)[number]
const at = (name: Field): number => FIELDS.indexOf(name)

const NEEDED: Readonly<Record<JoinedStream, readonly Field[]>> = {
  ssl: ['ts', 'uid'],
  quic: ['ts', 'uid'],
  http: ['ts', 'uid'],
  dns: ['ts', 'id.orig_h'],
}

/** Answers of one DNS row that are read. */
const ANSWERS_MAX = 256

export class ZeekNames implements ZeekConsumer {
  readonly fields: readonly string[] = FIELDS
  readonly #report: LogReport
  readonly #stream: JoinedStream
  readonly #joins: ZeekJoins
  readonly #client = new Uint8Array(16)
  readonly #answer = new Uint8Array(16)

  constructor(report: LogReport, stream: JoinedStream, joins: ZeekJoins) {
    this.#report = report
    this.#stream = stream
    this.#joins = joins
  }

  accepts(path: string, has: (column: string) => boolean): boolean | string {
    if (zeekStreamOfRows(path, has) !== this.#stream) return false
    const missing = NEEDED[this.#stream].filter((name) => !has(name))
    return missing.length === 0 || `a ${this.#stream} log without ${missing.join(', ')}`
  }

  row(row: ZeekRow): RowResult {
    const ts = at('ts')
    const time = row.has(ts) ? timeOf(row.bytes, row.starts[ts]!, row.ends[ts]!) : Number.NaN
    if (Number.isNaN(time)) return { reason: 'bad_time', detail: 'ts is no time' }
    if (this.#stream === 'dns') return this.#answers(row, time)
    const uid = row.text(at('uid'))
    if (uid === '') return 'skipped'
    this.#joins.claim(uid, this.#stream === 'http' ? request(row, time) : this.#hello(row, time))
    this.#report.accept(time, time)
    return 'accepted'
  }

  #hello(row: ZeekRow, time: number): NameClaim {
    const raw = row.raw(at('server_name'))
    const name = hostName(raw, 0, raw.length)
    const quic = this.#stream === 'quic'
    const outer = row.has(at('ech_kdf_id'))
    return {
      time,
      name,
      source: outer ? 'ech_outer' : quic ? 'quic_sni' : 'sni',
      ja3: row.text(at('ja3')),
      ja4: row.text(at('ja4')),
      alpn: row.text(at(quic ? 'client_protocol' : 'next_protocol')),
      userAgent: '',
      proxyUser: '',
      anomalies: isPlainName(name) ? [] : ['odd_name'],
    }
  }

  /** Every address in the answers belongs to the name asked for, also behind aliases. */
  #answers(row: ZeekRow, time: number): RowResult {
    const client = at('id.orig_h')
    const known =
      row.has(client) &&
      readAddress(row.bytes, row.starts[client]!, row.ends[client]!, this.#client, 0)
    if (!known) return { reason: 'bad_address', detail: 'id.orig_h is no address' }
    const raw = row.raw(at('query'))
    const name = hostName(raw, 0, raw.length)
    const answers = name === '' ? [] : row.list(at('answers'))
    if (answers.length === 0) return 'skipped'
    const ttls = row.list(at('TTLs'))
    const rtt = at('rtt')
    const wait = row.has(rtt) ? decimalMicros(row.bytes, row.starts[rtt]!, row.ends[rtt]!) : 0
    // The client knows the address when the answer has come, not when it asked.
    const learned = wait > 0 ? time + wait : time
    let addresses = 0
    for (let i = 0; i < answers.length && i < ANSWERS_MAX; i++) {
      const text = Buffer.from(answers[i]!, 'latin1')
      if (!readAddress(text, 0, text.length, this.#answer, 0)) continue
      const ttl = Math.max(0, Number(ttls[i] ?? 0) || 0)
      this.#joins.dns.learn(this.#client, 0, name, this.#answer, 0, learned, ttl)
      addresses++
    }
    if (addresses === 0) return 'skipped'
    this.#report.accept(time, time)
    return 'accepted'
  }
}

/** One request. `username` is of a proxy where the connection is to one: Zeek writes both kinds into one field. */
function request(row: ZeekRow, time: number): NameClaim {
  const raw = row.raw(at('host'))
  const name = hostOfAuthority(raw, 0, raw.length)
  const connect = row.is(at('method'), 'CONNECT')
  const proxied = connect || (row.has(at('proxied')) && row.list(at('proxied')).length > 0)
  return {
    time,
    name,
    source: connect ? 'connect' : 'http_host',
    ja3: '',
    ja4: '',
    alpn: '',
    userAgent: row.text(at('user_agent')),
    proxyUser: proxied ? row.text(at('username')) : '',
    anomalies: isPlainName(name.replaceAll(':', '')) ? [] : ['odd_name'],
  }
}
