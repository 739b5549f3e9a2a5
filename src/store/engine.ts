// What the store needs of a ClickHouse, embedded or server. Both run the same SQL; they differ in how a block of
// bytes gets in, and in what it means to open and close.

/**
 * `report`: may take minutes. `lookup`: what is known of a few keys, asked before something is written. `page`:
 * somebody waits for it; tighter limits, and embedded never behind a report.
 */
export type ReadKind = 'report' | 'lookup' | 'page'

export interface Engine {
  /** As it may be shown: without a password. */
  readonly address: string
  /** Inserts that run side by side; more wait for their turn. 1 where there is one connection. */
  readonly writers: number
  /** Runs a statement without a result, with all its settings in its text. */
  command(sql: string): Promise<void>
  /**
   * Runs INSERTs, one after the other, that all read the same Native blocks.
   * @param blocks Native blocks, one after the other, of one table
   */
  insert(blocks: readonly Uint8Array[], inserts: readonly BlockInsert[]): Promise<void>
  /**
   * Runs a query that may only read. Values come as `{name:Type}` parameters, never in the text.
   * @param kind how long it may take; a report unless told otherwise
   */
  select(
    sql: string,
    params: Readonly<Record<string, unknown>>,
    kind?: ReadKind,
  ): Promise<unknown[]>
  /** Waits for what runs, then lets go. A second call does nothing. */
  close(): Promise<void>
}

/** One INSERT: which rows of the blocks go where, once. */
export interface BlockInsert {
  table: string
  /** Columns of the blocks with their ClickHouse types, in order. */
  columns: readonly (readonly [name: string, type: string])[]
  /** Value of the column `day` for all rows, in days since 1970; undefined for a table without it. */
  day: number | undefined
  /** Only rows whose time is of this day; undefined for all. */
  onlyDay: number | undefined
  /** Only rows of these chunks; undefined for all. */
  onlyChunks: readonly string[] | undefined
  /** Only rows whose place is not in the table yet, of this chunk and, where rows have one, ruling. */
  notThere?: { chunk: string; ruling: number | undefined }
  token: string
}
