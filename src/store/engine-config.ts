// Settings of the embedded engine that can only be given when it starts. Left to itself it would take 90 % of the
// memory and caches of many gigabytes.

import type { ReadKind } from './engine.ts'

/** Memory that the engine may hold in all, unless told otherwise. The process around it comes on top. */
export const ENGINE_BYTES_DEFAULT = 1 << 30
/** Less than this and inserts of a whole slice fail. */
export const ENGINE_BYTES_MIN = 256 << 20

export interface EngineSettings {
  memoryBytes: number
  /** True: an insert is acknowledged only after it is on the disk. False for stores that are thrown away. */
  durable: boolean
  /** The only directory that file() is meant for. */
  blockDirectory: string
}

/** The configuration file, as ClickHouse reads it. */
export function engineConfig(settings: EngineSettings): string {
  const mebibyte = 1 << 20
  const server: Record<string, number | string> = {
    max_server_memory_usage: settings.memoryBytes,
    mark_cache_size: 32 * mebibyte,
    index_mark_cache_size: 8 * mebibyte,
    primary_index_cache_size: 32 * mebibyte,
    uncompressed_cache_size: 0,
    index_uncompressed_cache_size: 0,
    query_condition_cache_size: 4 * mebibyte,
    compiled_expression_cache_size: 16 * mebibyte,
    parquet_metadata_cache_size: 0,
    iceberg_metadata_files_cache_size: 0,
    user_files_path: settings.blockDirectory,
  }
  const sync = settings.durable ? 1 : 0
  const tables = { fsync_after_insert: sync, fsync_part_directory: sync }
  return `<clickhouse>
${tags(server)}
<merge_tree>
${tags(tables)}
</merge_tree>
</clickhouse>
`
}

/** What a question may take and give, embedded or on a server. */
export const READING: Readonly<Record<ReadKind, { seconds: number; rows: number }>> = {
  report: { seconds: 600, rows: 1_000_000 },
  lookup: { seconds: 600, rows: 1_000_000 },
  page: { seconds: 20, rows: 20_000 },
}

/**
 * Limits of everything that only reads. Each runs once on the reading connection, in this order: after
 * `readonly` none of them can be changed, and `file()`, `url()` and every write are refused.
 */
export function readerSettings(memoryBytes: number, kind: ReadKind): string[] {
  const quarter = Math.floor(memoryBytes / 4)
  const memory = kind === 'report' ? 3 * quarter : quarter
  // What does not fit is put on disk, so a report over many flows is slow and not refused.
  const onDisk = Math.floor(kind === 'report' ? quarter : quarter / 2)
  const { seconds, rows } = READING[kind]
  return [
    `SET max_memory_usage = ${memory}`,
    `SET max_bytes_before_external_group_by = ${onDisk}`,
    `SET max_bytes_before_external_sort = ${onDisk}`,
    `SET max_execution_time = ${seconds}`,
    `SET max_result_rows = ${rows}`,
    "SET result_overflow_mode = 'throw'",
    'SET output_format_json_quote_64bit_integers = 0',
    'SET readonly = 1',
  ]
}

function tags(values: Readonly<Record<string, number | string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `<${name}>${escapeXml(String(value))}</${name}>`)
    .join('\n')
}

function escapeXml(text: string): string {
  return text.replace(/[<>&]/g, (char) => `&#${char.charCodeAt(0)};`)
}
