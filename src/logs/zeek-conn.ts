// Zeek's connection rows as flow records. Zeek says who began, so the direction is not guessed again; where Zeek
// itself was unsure it says so (`^` in history, states of a connection whose beginning it did not see).

import type { ChunkWriter } from '../chunk.ts'
import { FLOW_COUNTERS } from '../flow.ts'
import { contextHash, type FlowKey, flowId, flowIdOfUid } from '../flow-id.ts'
import type { LogReport } from './log-report.ts'
import { type FlowRow, FlowRows } from './rows.ts'
import { BAD, countOf, decimalMicros, readAddress, TOO_LARGE, timeOf, uintOf } from './scan.ts'
import { ColumnCodes, WordColumn } from './tokens.ts'
import type { ZeekJoins } from './zeek-joins.ts'
import { protocolNumber } from './zeek-protocols.ts'
import type { RowResult, ZeekConsumer, ZeekRow } from './zeek-rows.ts'
import type { RunningTotals } from './zeek-running.ts'
import { isRunning, zeekStreamOfRows } from './zeek-streams.ts'

const FIELDS = [
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
  'missed_bytes',
  'history',
  'orig_pkts',
  'orig_ip_bytes',
  'resp_pkts',
  'resp_ip_bytes',
  'tunnel_parents',
  'ip_proto',
  'vlan',
  'inner_vlan',
  'id.ctx.vlan',
  'id.ctx.inner_vlan',
  'community_id',
] as const
type Field = (typeof FIELDS)[number]

function fieldNumber(name: Field): number {
  return FIELDS.indexOf(name)
}

const F = {
  ts: fieldNumber('ts'),
  uid: fieldNumber('uid'),
  origH: fieldNumber('id.orig_h'),
  origP: fieldNumber('id.orig_p'),
  respH: fieldNumber('id.resp_h'),
  respP: fieldNumber('id.resp_p'),
  proto: fieldNumber('proto'),
  service: fieldNumber('service'),
  duration: fieldNumber('duration'),
  state: fieldNumber('conn_state'),
  history: fieldNumber('history'),
  parents: fieldNumber('tunnel_parents'),
  ipProto: fieldNumber('ip_proto'),
  communityId: fieldNumber('community_id'),
  vlan: fieldNumber('vlan'),
  innerVlan: fieldNumber('inner_vlan'),
  keyVlan: fieldNumber('id.ctx.vlan'),
  keyInnerVlan: fieldNumber('id.ctx.inner_vlan'),
} as const

/** The counters of a row, in the order of RunningTotals. */
const COUNTER_FIELDS = FLOW_COUNTERS.map(fieldNumber)

const NEEDED = ['ts', 'id.orig_h', 'id.orig_p', 'id.resp_h', 'id.resp_p', 'proto'] as const

export class ZeekConn implements ZeekConsumer {
  readonly fields: readonly string[] = FIELDS
  readonly #report: LogReport
  readonly #chunks: ChunkWriter
  readonly #rows: FlowRows
  readonly #sensor: string
  readonly #joins: ZeekJoins | undefined
  readonly #running: RunningTotals
  /** The rows of this file are running totals, by its name. */
  readonly #fileRuns: boolean
  #runs: boolean
  readonly #services: WordColumn
  readonly #states: WordColumn
  readonly #histories: WordColumn
  readonly #handshakes = new ColumnCodes(HANDSHAKE_OF)
  readonly #ends = new Uint8Array(32)
  readonly #counters = new Float64Array(FLOW_COUNTERS.length)
  readonly #key: FlowKey
  #anomalies: string[] = []

  constructor(
    report: LogReport,
    sensor: string,
    escapes: 'hex' | 'json',
    hint: string,
    joins: ZeekJoins | undefined,
    running: RunningTotals,
  ) {
    this.#report = report
    this.#chunks = report.chunks
    this.#rows = new FlowRows(report.chunks, report.kind, sensor)
    this.#sensor = sensor
    this.#joins = joins
    this.#running = running
    this.#fileRuns = isRunning(hint)
    this.#runs = this.#fileRuns
    this.#services = new WordColumn(escapes, 256)
    this.#states = new WordColumn(escapes, 64, traitsOfState)
    this.#histories = new WordColumn(escapes, 4096, (text) => (text.includes('^') ? 1 : 0))
    this.#key = {
      context: contextHash(`zeek ${sensor}`),
      addressA: this.#ends,
      atA: 0,
      portA: 0,
      addressB: this.#ends,
      atB: 16,
      portB: 0,
      protocol: 0,
      time: 0,
      occurrence: 0,
    }
  }

  accepts(path: string, has: (column: string) => boolean): boolean | string {
    const stream = zeekStreamOfRows(path, has)
    if (stream !== 'conn' && stream !== 'open_conn' && stream !== 'conn_long') return false
    this.#runs = this.#fileRuns || isRunning(path)
    for (const name of NEEDED)
      if (!has(name)) {
        const missing = NEEDED.filter((column) => !has(column))
        return `a connection log without ${missing.join(', ')}`
      }
    return true
  }

  row(row: ZeekRow): RowResult {
    const { bytes, starts, ends } = row
    const ts = row.has(F.ts) ? timeOf(bytes, starts[F.ts]!, ends[F.ts]!) : Number.NaN
    if (Number.isNaN(ts)) return bad('bad_time', 'ts is no time')
    const addresses =
      readAddress(bytes, starts[F.origH]!, ends[F.origH]!, this.#ends, 0) &&
      readAddress(bytes, starts[F.respH]!, ends[F.respH]!, this.#ends, 16)
    if (!addresses) return bad('bad_address', 'id.orig_h and id.resp_h are not both addresses')
    this.#key.portA = portOf(row, F.origP)
    this.#key.portB = portOf(row, F.respP)
    if (this.#key.portA < 0 || this.#key.portB < 0)
      return bad('bad_field', 'id.orig_p and id.resp_p are not 0 to 65535')
    this.#anomalies = []
    const protocol = this.#protocol(row)
    const duration = this.#duration(row)
    if (Number.isNaN(duration)) return bad('bad_field', 'duration is no interval')
    const counters = this.#readCounters(row)
    if (counters !== undefined) return bad('bad_field', `${counters} is no count`)
    this.#key.time = ts
    this.#key.protocol = protocol
    this.#write(row, ts, Math.max(0, duration))
    this.#report.accept(ts, ts + Math.max(0, duration))
    return 'accepted'
  }

  end(): void {
    const { evicted, wentBack } = this.#running
    if (this.#runs && evicted > 0) this.#report.count('evicted.zeek_uid', evicted)
    if (this.#runs && wentBack > 0) this.#report.count('counters_went_back', wentBack)
  }

  /** ip_proto where Zeek gives it, else by the name of the transport; 0 for `unknown_transport`. */
  #protocol(row: ZeekRow): number {
    const { bytes, starts, ends } = row
    if (row.has(F.ipProto)) {
      const number = uintOf(bytes, starts[F.ipProto]!, ends[F.ipProto]!)
      if (number >= 0 && number <= 255) return number
    }
    const number = protocolNumber(row, F.proto, this.#ends)
    if (number >= 0) return number
    this.#anomalies.push('unknown_proto')
    return 0
  }

  /** Microseconds; -1 if unset, NaN if it is none. */
  #duration(row: ZeekRow): number {
    if (!row.has(F.duration)) return -1
    const { bytes, starts, ends } = row
    const micros = decimalMicros(bytes, starts[F.duration]!, ends[F.duration]!)
    if (micros >= 0 || Number.isNaN(micros)) return micros
    this.#anomalies.push('negative_duration')
    return 0
  }

  /** Reads the counters; the name of one that is none. */
  #readCounters(row: ZeekRow): string | undefined {
    const { bytes, starts, ends } = row
    let large = false
    for (let i = 0; i < COUNTER_FIELDS.length; i++) {
      const start = starts[COUNTER_FIELDS[i]!]!
      let value = Number.NaN
      if (start >= 0) {
        value = countOf(bytes, start, ends[COUNTER_FIELDS[i]!]!)
        if (value === BAD) return FLOW_COUNTERS[i]
        if (value === TOO_LARGE) {
          value = Number.NaN
          large = true
        }
      }
      this.#counters[i] = value
    }
    if (large) this.#anomalies.push('count_too_large')
    return undefined
  }

  #write(zeek: ZeekRow, ts: number, duration: number): void {
    const row = this.#rows.add()
    const columns = this.#chunks.flows.columns
    const uid = zeek.text(F.uid)
    if (uid === '') flowId(this.#key, columns.flow_id, row * 16)
    else flowIdOfUid(this.#sensor, uid, columns.flow_id, row * 16)
    columns.uid.set(row, uid)
    if (this.#runs && uid !== '') columns.rec_no[row] = this.#running.deltas(uid, this.#counters)
    else if (uid !== '') columns.rec_no[row] = this.#running.last(uid, this.#counters)
    this.#times(zeek, columns, row, ts, duration)
    this.#endpoints(zeek, columns, row)
    this.#writeStates(zeek, columns, row)
    const counters = this.#counters
    columns.orig_bytes[row] = counters[0]!
    columns.resp_bytes[row] = counters[1]!
    columns.missed_bytes[row] = counters[2]!
    columns.orig_pkts[row] = counters[3]!
    columns.orig_ip_bytes[row] = counters[4]!
    columns.resp_pkts[row] = counters[5]!
    columns.resp_ip_bytes[row] = counters[6]!
    if (zeek.has(F.parents)) {
      const parents = zeek.list(F.parents)
      if (parents.length > 0) columns.tunnel_parents.set(row, parents)
    }
    this.#joins?.name(uid, ts, this.#ends, columns, row, this.#anomalies)
    if (this.#anomalies.length > 0) columns.anomalies.set(row, this.#anomalies)
  }

  #times(zeek: ZeekRow, columns: FlowRow, row: number, ts: number, duration: number): void {
    columns.ts[row] = ts
    columns.decided_at[row] = ts
    columns.end[row] = ts + duration
    if (zeek.has(F.duration)) columns.duration[row] = duration / 1e6
  }

  #endpoints(zeek: ZeekRow, columns: FlowRow, row: number): void {
    const { portA, portB, protocol } = this.#key
    const ends = this.#ends
    const { orig_h, resp_h } = columns
    const at = row * 16
    for (let i = 0; i < 16; i++) {
      orig_h[at + i] = ends[i]!
      resp_h[at + i] = ends[16 + i]!
    }
    columns.orig_p[row] = portA
    columns.resp_p[row] = portB
    columns.ip_proto[row] = protocol
    columns.vlan[row] = vlanOf(zeek, F.vlan, F.keyVlan)
    columns.inner_vlan[row] = vlanOf(zeek, F.innerVlan, F.keyInnerVlan)
    if (zeek.has(F.communityId)) columns.community_id.set(row, zeek.text(F.communityId))
  }

  #writeStates(zeek: ZeekRow, columns: FlowRow, row: number): void {
    const { bytes, starts, ends } = zeek
    const { block } = this.#rows
    const service = starts[F.service]!
    if (service >= 0)
      this.#services.set(columns.service, row, block, bytes, service, ends[F.service]!)
    const state = starts[F.state]!
    const traits =
      state < 0
        ? UNSEEN
        : this.#states.set(columns.conn_state, row, block, bytes, state, ends[F.state]!)
    const history = starts[F.history]!
    const flipped =
      history >= 0 &&
      this.#histories.set(columns.history, row, block, bytes, history, ends[F.history]!) === 1
    this.#handshakes.set(columns.handshake, row, block, traits & 7)
    const { protocol, portA } = this.#key
    // ICMP is always in state OTH; a request tells who began.
    const request = (protocol === 1 && portA === 8) || (protocol === 58 && portA === 128)
    const sure = !flipped && ((traits & UNSURE) === 0 || request)
    columns.direction_sure[row] = sure ? 1 : 0
  }
}

const UNSEEN = 0
const HANDSHAKE_OF = ['unseen', 'completed', 'refused', 'unanswered'] as const
/** Bit beside the number of the handshake: who began is not sure. */
const UNSURE = 8

/** conn_state as number of HANDSHAKE_OF and UNSURE. For UDP, SF means that an answer came back. */
function traitsOfState(state: string): number {
  switch (state) {
    case 'SF':
    case 'S1':
    case 'S2':
    case 'S3':
    case 'RSTO':
    case 'RSTR':
      return 1
    case 'REJ':
      return 2
    case 'S0':
    case 'RSTOS0':
    case 'SH':
      return 3
    case 'OTH':
    case 'SHR':
    case 'RSTRH':
      return UNSEEN | UNSURE
    default:
      return UNSEEN
  }
}

function bad(reason: string, detail: string): RowResult {
  return { reason, detail }
}

/** 0 if unset, -1 if it is no port. */
function portOf(row: ZeekRow, field: number): number {
  if (!row.has(field)) return 0
  const port = countOf(row.bytes, row.starts[field]!, row.ends[field]!)
  return port <= 0xffff && port >= 0 ? port : -1
}

/** 0 if there is none. Scripts that put VLANs into the key write them there (`id.ctx`). */
function vlanOf(row: ZeekRow, plain: number, inKey: number): number {
  const field = row.has(plain) ? plain : inKey
  if (!row.has(field)) return 0
  const id = countOf(row.bytes, row.starts[field]!, row.ends[field]!)
  return id >= 0 && id <= 0xffff ? id : 0
}
