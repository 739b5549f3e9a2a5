// Rows per second into the store: the product's path (columns -> Native blocks -> a slice, with its intents, tokens
// and markers) against the obvious one (columns -> row objects -> JSONEachRow by the same client), with the same
// rows into tables of the same definition, in the same engine, in turns. The figure without the making of the
// objects is printed, too. Run: npm run bench:store [-- ROWS ROUNDS]

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClickHouseClientConfigOptions, createClient } from '@clickhouse/client'
import { createChdbConnection } from 'chdb/connection'
import { formatAddress } from '../src/address.ts'
import { Block, Dictionary, Texts } from '../src/block.ts'
import { CHUNK_RECORDS_MAX, type ChunkHeader } from '../src/chunk.ts'
import { FLOW_COLUMNS, type FlowColumns } from '../src/flow.ts'
import { contentUuid, formatUuid } from '../src/hash.ts'
import { encodeBlock } from '../src/native.ts'
import { openStore, type SliceChunk } from '../src/store/store.ts'
import { numbers } from './numbers.ts'

const [rowsWanted, rounds] = process.argv.slice(2).map(Number)
const ROWS = rowsWanted ?? 8 * CHUNK_RECORDS_MAX
const ROUNDS = rounds ?? 5

const STATES = ['SF', 'S0', 'REJ', 'RSTO', 'SF', 'SF']
const HISTORIES = ['ShADadFf', 'S', 'Sr', 'ShADadR', 'ShADadfF', 'ShADadFf']

function fillRow(block: Block<FlowColumns>, row: number, ts: number, next: () => number): void {
  const c = block.columns
  const odd = next() % STATES.length
  const name = `host${next() % 3000}.service.example`
  for (let i = 0; i < 16; i++) c.flow_id[row * 16 + i] = next()
  c.sensor.set(row, 'tap1')
  c.source_kind.set(row, 'pcap')
  c.ts[row] = ts
  c.end[row] = ts + (next() % 30_000_000)
  c.duration[row] = (c.end[row]! - ts) / 1e6
  c.orig_h.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, next() & 15, next()], row * 16)
  c.orig_p[row] = 1024 + (next() % 60_000)
  c.resp_h.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 93, next() & 63, next(), next()], row * 16)
  c.resp_p[row] = next() % 3 === 0 ? 80 : 443
  c.ip_proto[row] = 6
  c.service.set(row, 'ssl')
  for (const counter of ['orig_bytes', 'resp_bytes', 'orig_ip_bytes', 'resp_ip_bytes'] as const)
    c[counter][row] = next() % 1_000_000
  c.orig_pkts[row] = next() % 1000
  c.resp_pkts[row] = next() % 1000
  c.missed_bytes[row] = 0
  c.conn_state.set(row, STATES[odd]!)
  c.history.set(row, HISTORIES[odd]!)
  c.community_id.set(
    row,
    `1:${Buffer.from(c.flow_id.subarray(row * 16, row * 16 + 16)).toString('base64')}`,
  )
  c.direction_sure[row] = 1
  c.handshake.set(row, 'completed')
  c.decided_at[row] = ts + 20_000
  c.decided_by.set(row, 'name')
  c.server_name.set(row, name)
  c.name_source.set(row, 'sni')
  c.name_proof.set(row, 'confirmed')
  c.dns_names.set(row, [name])
  c.ja4.set(row, `t13d1516h2_8daaf6152771_${next() % 50}`)
  c.alpn.set(row, 'h2')
  c.end_reason.set(row, 'end')
}

function makeBlocks(round: number): Block<FlowColumns>[] {
  const next = numbers(round + 1)
  const blocks: Block<FlowColumns>[] = []
  let ts = Date.UTC(2026, 0, 5) * 1000 + round * 3_600_000_000
  for (let done = 0; done < ROWS; done += CHUNK_RECORDS_MAX) {
    const block = new Block(FLOW_COLUMNS, CHUNK_RECORDS_MAX)
    for (let i = 0; i < Math.min(CHUNK_RECORDS_MAX, ROWS - done); i++)
      fillRow(block, block.add(), (ts += next() % 20_000), next)
    blocks.push(block)
  }
  return blocks
}

/** A row as an object, as JSONEachRow wants it. */
function rowObject(block: Block<FlowColumns>, row: number): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [name, type] of Object.entries(FLOW_COLUMNS)) {
    const held = block.columns[name as keyof FlowColumns]
    if (held instanceof Dictionary || held instanceof Texts) object[name] = held.get(row)
    else if (type === 'uuid') object[name] = formatUuid(held as Uint8Array, row * 16)
    else if (type === 'address') object[name] = formatAddress(held as Uint8Array, row * 16)
    else if (type === 'time') object[name] = (held[row]! / 1e6).toFixed(6)
    else object[name] = Number.isNaN(held[row]) ? null : held[row]
  }
  return object
}

function chunkOf(block: Block<FlowColumns>, origin: string, seq: number): SliceChunk {
  const native = encodeBlock(block)
  // A chunk's id is made by its sensor; any unique one does here.
  const id = formatUuid(contentUuid([origin, String(seq)]))
  const header: ChunkHeader = {
    v: 2,
    id,
    sensor: 'tap1',
    origin,
    seq,
    last: false,
    format: 'pcap',
    hours: [],
    parts: [{ table: 'flow_records', rows: block.rows, bytes: native.length }],
  }
  const none = new Uint8Array(0)
  return {
    header,
    parts: new Map([['flow_records', native]]),
    judgements: none,
    findings: none,
    ruling: 0,
    judgedKey: 'bench',
  }
}

/** CPU of all threads since then, in milliseconds. */
function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

/** Nobody pays for the other's garbage. Needs node --expose-gc. */
function collectGarbage(): void {
  globalThis.gc?.()
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

const directory = mkdtempSync(join(tmpdir(), 'bailiwick-bench-'))
const opening = performance.now()
const store = await openStore({ kind: 'directory', path: directory })
const opened = performance.now() - opening
const client = createClient({
  connection: createChdbConnection({
    path: join(directory, 'engine'),
  }) as unknown as NonNullable<ClickHouseClientConfigOptions['connection']>,
})
const columns = Object.keys(FLOW_COLUMNS)
await client.command({ query: 'SET async_insert = 0' })
await client.command({ query: 'CREATE TABLE flow_records_json AS flow_records' })

const native: number[] = []
const json: number[] = []
const insertOnly: number[] = []
const cpuRatios: number[] = []
// Round 0 warms up and is not counted.
for (let round = 0; round <= ROUNDS; round++) {
  const blocks = makeBlocks(round)
  collectGarbage()
  let cpu = process.cpuUsage()
  let start = performance.now()
  const chunks = blocks.map((block, seq) => chunkOf(block, `bench/${round}`, seq))
  await store.insertSlice({ key: `bench/${round}`, chunks })
  const ours = performance.now() - start
  const oursCpu = cpuMs(cpu)
  collectGarbage()
  cpu = process.cpuUsage()
  start = performance.now()
  const objects = blocks.flatMap((block) =>
    Array.from({ length: block.rows }, (_, row) => rowObject(block, row)),
  )
  const made = performance.now()
  await client.insert({
    table: 'flow_records_json',
    values: objects,
    format: 'JSONEachRow',
    columns: columns as [string, ...string[]],
  })
  const end = performance.now()
  const theirsCpu = cpuMs(cpu)
  if (round === 0) continue
  native.push(ROWS / ours)
  json.push(ROWS / (end - start))
  insertOnly.push(ROWS / (end - made))
  cpuRatios.push(theirsCpu / oursCpu)
}

const same = await client.query({
  query: `SELECT
    (SELECT (count(), sum(cityHash64(${columns.join(', ')}))) FROM flow_records) AS a,
    (SELECT (count(), sum(cityHash64(${columns.join(', ')}))) FROM flow_records_json) AS b,
    a = b AS same`,
  format: 'JSONEachRow',
})
const [check] = await same.json<{ same: number; a: unknown; b: unknown }>()
const ratios = (others: readonly number[]) =>
  median(native.map((rate, i) => rate / others[i]!)).toFixed(1)
const rate = (values: readonly number[]) => `${median(values).toFixed(0).padStart(6)} k rows/s`
process.stdout.write(`rows a round        ${ROWS}, ${ROUNDS} rounds in turns, medians
Native slices       ${rate(native)}
client JSONEachRow  ${rate(json)}
  objects ready     ${rate(insertOnly)}
ratio               ${ratios(json)} x, objects ready ${ratios(insertOnly)} x (medians of the rounds' ratios)
CPU ratio           ${median(cpuRatios).toFixed(1)} x, which a busy machine changes less
stored rows equal   ${check?.same === 1 ? 'yes' : `NO: ${JSON.stringify(check)}`}
open                ${opened.toFixed(0)} ms
peak RSS            ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB
`)
await client.close()
await store.close()
rmSync(directory, { recursive: true, force: true })
process.exitCode = check?.same === 1 ? 0 : 1
