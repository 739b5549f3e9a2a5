// Which log this is, by its first bytes. A file's name is only a hint to the Zeek stream, where nothing inside names it.

import { isAwsHeader, looksLikeAwsRow, planOfDefault } from './aws-fields.ts'
import { type ZeekStream, zeekStreamOf, zeekStreamOfRows } from './zeek-streams.ts'

export type LogFormat =
  | 'zeek-tsv'
  | 'zeek-json'
  | 'aws-vpc'
  | 'aws-cloudwatch'
  | 'gcp-vpc'
  | 'azure-flow'

export interface SniffedLog {
  format: LogFormat
  /** Zeek only: the stream by #path, tag, columns or file name. */
  zeekPath?: ZeekStream
}

/** How much is looked at. */
const HEAD_BYTES = 65_536

/**
 * The format of a log, or undefined if these bytes are none that is known.
 * @param head the first bytes of the input, as many as there are at hand
 * @param name base name of the file, '' if there is none
 */
export function sniffLog(head: Uint8Array, name: string): SniffedLog | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, HEAD_BYTES))
  if (bytes.includes(0)) return undefined
  const text = bytes.toString('latin1').replace(/^\xef\xbb\xbf/, '')
  const lines = text.split(/\r?\n/, 64).filter((line) => line.trim() !== '')
  const first = lines.find((line) => !line.startsWith('#')) ?? ''
  if (lines[0]?.startsWith('#') === true) {
    const zeek = zeekTsv(lines, first, name)
    if (zeek !== undefined) return zeek
  }
  const start = first.trimStart()
  if (start.startsWith('{') || start.startsWith('[')) return sniffJson(text, start, name)
  if (first.includes('\t')) return bareZeek(first, name)
  const tokens = first.trim().split(/\s+/)
  const aws = isAwsHeader(tokens) || planOfDefault(tokens) !== undefined || looksLikeAwsRow(tokens)
  return aws ? { format: 'aws-vpc' } : undefined
}

function withStream(format: LogFormat, stream: ZeekStream): SniffedLog {
  return { format, zeekPath: stream }
}

/**
 * The stream by what names it inside (`#path`, a tag), by its columns, or else by the file's name. The file's name
 * says more where both mean connections: RITA's open_conn has `#path conn`.
 */
function streamOf(path: string, has: (column: string) => boolean, name: string): ZeekStream {
  const inside = zeekStreamOfRows(path, has)
  const outside = zeekStreamOf(name)
  const running = outside === 'open_conn' || outside === 'conn_long'
  if (inside === 'conn' && running) return outside
  return inside ?? (path === '' ? outside : undefined) ?? 'other'
}

function zeekTsv(lines: readonly string[], first: string, name: string): SniffedLog | undefined {
  const header = lines.filter((line) => line.startsWith('#'))
  if (!header.some((line) => /^#(?:separator |fields\W|set_separator\W)/.test(line)))
    return undefined
  const path = header.find((line) => line.startsWith('#path'))
  const fields = header.find((line) => line.startsWith('#fields')) ?? first
  const columns = new Set(fields.slice(8).split(fields[7] ?? '\t'))
  const has = (column: string): boolean => columns.has(column)
  return withStream('zeek-tsv', streamOf(path?.slice(6) ?? '', has, name))
}

/** Zeek without metadata: a bare header line (`tsv=T`), or rows whose header was cut off, which are then refused. */
function bareZeek(first: string, name: string): SniffedLog | undefined {
  const cells = first.split('\t')
  const columns = new Set(cells)
  const has = (column: string): boolean => columns.has(column)
  const bare = has('ts') && (has('uid') || has('id.orig_h'))
  const headless =
    /^\d{9,10}\.\d{6}$/.test(cells[0]!) && /^[CF][0-9A-Za-z]{9,}$/.test(cells[1] ?? '')
  return bare || headless ? withStream('zeek-tsv', streamOf('', has, name)) : undefined
}

function sniffJson(text: string, first: string, name: string): SniffedLog | undefined {
  if (/"messageType"\s*:/.test(text) && /"logEvents"\s*:/.test(text))
    return { format: 'aws-cloudwatch' }
  if (/"flowTuples"\s*:/.test(text) && /"(?:flowRecords|properties)"\s*:/.test(text))
    return { format: 'azure-flow' }
  const gcp = /"jsonPayload"\s*:/.test(text) && /"connection"\s*:/.test(text)
  if (gcp && /"(?:src_ip|dest_ip)"\s*:/.test(text)) return { format: 'gcp-vpc' }
  if (!first.startsWith('{')) return undefined
  const has = (key: string): boolean => first.includes(`"${key}"`)
  const tag = /^\{\s*"([\w-]+)"\s*:\s*\{/.exec(first)?.[1]
  const tagged = tag === undefined || tag === 'id' ? undefined : zeekStreamOf(tag)
  const path = /"_path"\s*:\s*"([^"]*)"/.exec(first)?.[1]
  const zeekish =
    tagged !== undefined ||
    path !== undefined ||
    ((has('ts') || has('_write_ts')) && (has('uid') || has('id.orig_h') || has('orig_h')))
  if (!zeekish && zeekStreamOf(name) === undefined) return undefined
  if (!zeekish && !has('ts') && !has('t')) return undefined
  return withStream('zeek-json', streamOf(path ?? tagged ?? '', has, name))
}
