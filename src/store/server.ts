// A ClickHouse server over HTTP. Blocks travel as the body of the request, so they are never part of a text.

import { Readable } from 'node:stream'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import type { BlockInsert, Engine, ReadKind } from './engine.ts'
import { READING } from './engine-config.ts'
import { insertSql } from './insert-sql.ts'
import { StoreError, StoreUnreachableError, storeError } from './store-error.ts'
import { type StoreTarget, targetAddress } from './store-target.ts'

export type ServerTarget = Extract<StoreTarget, { kind: 'server' }>

/** Bounds of waiting for a server, in milliseconds. */
export interface ServerPatience {
  /** To say that it is there. */
  hello: number
  /** To take an INSERT, from its last byte on. */
  insert: number
  /** To say what it knows of a few keys. */
  lookup: number
  /** Without a byte, for any other statement. */
  request: number
}

/**
 * An INSERT is one slice of one table: half a second, a few seconds on a machine that is busy. Two things end it. The
 * server gives up after INSERT_SECONDS by itself, so that an INSERT which nobody waits for any more is not done later;
 * a server that hangs is given up after 60 s, twenty seconds behind that. That is longer than half a session of the
 * bus (15 s), and may be: heartbeats go on meanwhile, and whoever takes the slice over repeats it under the same tokens.
 */
export const INSERT_SECONDS = 40
export const SERVER_PATIENCE: ServerPatience = {
  hello: 15_000,
  insert: 60_000,
  // Whoever stores asks first what is there: were a dead connection waited for like a report, nothing would be stored
  // for ten minutes.
  lookup: 30_000,
  request: 600_000,
}

/** Sockets for inserts: those of the slices that are written side by side, each of a few tables. */
const INSERT_SOCKETS = 8

/**
 * Connects and asks a first question, so that a wrong address or password is known now.
 * @throws StoreUnreachableError, StoreAccessError
 */
export async function openServer(
  target: ServerTarget,
  patience: ServerPatience = SERVER_PATIENCE,
): Promise<Engine> {
  const engine = new ServerEngine(target, patience)
  try {
    await engine.hello(patience.hello)
  } catch (error) {
    await engine.close()
    throw error
  }
  return engine
}

/** Slices that are written side by side: more only pile up parts. */
export const SERVER_WRITERS = 4

class ServerEngine implements Engine {
  readonly address: string
  readonly writers = SERVER_WRITERS
  readonly #inserter: ClickHouseClient
  readonly #commander: ClickHouseClient
  readonly #readers: Readonly<Record<ReadKind, ClickHouseClient>>
  #running = new Set<Promise<unknown>>()
  #closed = false

  constructor(target: ServerTarget, patience: ServerPatience) {
    this.address = targetAddress(target)
    const connection = {
      url: target.url,
      username: target.user,
      password: target.password,
      database: target.database,
      application: 'bailiwick',
      ...(target.ca === undefined ? {} : { tls: { ca_cert: Buffer.from(target.ca) } }),
      request_timeout: patience.request,
      // Long lists go in the body: a proxy, or any server but ClickHouse, refuses long URLs without a word.
      use_multipart_params_auto: true,
      // What goes wrong is thrown and told once, by whoever asked.
      log: { level: ClickHouseLogLevel.OFF },
    }
    this.#inserter = createClient({
      ...connection,
      request_timeout: patience.insert,
      max_open_connections: INSERT_SOCKETS,
    })
    this.#commander = createClient(connection)
    // Settings go with each request and stay with it. A server may forbid some of them by its own profile.
    const reader = (millis: number, kind: ReadKind) =>
      createClient({
        ...connection,
        request_timeout: millis,
        clickhouse_settings: {
          max_execution_time: Math.max(
            1,
            Math.min(READING[kind].seconds, Math.floor(millis / 1000)),
          ),
          max_result_rows: String(READING[kind].rows),
          result_overflow_mode: 'throw',
          output_format_json_quote_64bit_integers: 0,
          // An error in the middle of a result is then the answer, not a torn result.
          wait_end_of_query: 1,
          // Of a cluster: a subquery over all shards is run once, for all of them. No matter elsewhere.
          distributed_product_mode: 'global',
          readonly: '1',
        },
      })
    this.#readers = {
      report: reader(patience.request, 'report'),
      lookup: reader(patience.lookup, 'lookup'),
      page: reader(patience.lookup, 'page'),
    }
  }

  async hello(millis: number): Promise<void> {
    const signal = AbortSignal.timeout(millis)
    try {
      const result = await this.#commander.query({
        query: 'SELECT 1 AS one',
        format: 'JSONEachRow',
        abort_signal: signal,
      })
      const [row] = await result.json<{ one: number }>()
      if (row?.one === 1) return
    } catch (error) {
      const known = storeError(error, this.address, 'asking the server for its name')
      if (known.code !== undefined || known.constructor !== StoreError) throw known
      const what = signal.aborted
        ? 'does not answer in time'
        : 'answers, but not as ClickHouse does'
      throw new StoreUnreachableError(
        `the store at ${this.address} ${what}: correct the URL or start the ClickHouse server`,
        { cause: error },
      )
    }
    throw new StoreUnreachableError(
      `the store at ${this.address} answers, but not as ClickHouse does: correct the URL`,
    )
  }

  command(sql: string): Promise<void> {
    return this.#run('changing the store', async () => {
      await this.#commander.command({ query: sql })
    })
  }

  async insert(blocks: readonly Uint8Array[], inserts: readonly BlockInsert[]): Promise<void> {
    const statements = inserts.map((insert) => insertSql(insert, 'body', INSERT_SECONDS))
    await this.#run('inserting', async () => {
      for (const query of statements) {
        const { stream } = await this.#inserter.exec({
          query,
          values: Readable.from(blocks, { objectMode: false }),
        })
        // The socket is free again only after the answer was read. A good answer is empty.
        let words = ''
        for await (const piece of stream) words += String(piece)
        if (words.trim() !== '') throw lateError(words)
      }
    })
  }

  select(
    sql: string,
    params: Readonly<Record<string, unknown>>,
    kind: ReadKind = 'report',
  ): Promise<unknown[]> {
    return this.#run('reading', async () => {
      const result = await this.#readers[kind].query({
        query: sql,
        format: 'JSONEachRow',
        query_params: { ...params },
      })
      return result.json()
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled([...this.#running])
    await this.#inserter.close()
    await this.#commander.close()
    for (const reader of Object.values(this.#readers)) await reader.close()
  }

  async #run<T>(doing: string, work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError(`the store ${this.address} is closed`)
    const running = work()
    this.#running.add(running)
    try {
      return await running
    } catch (error) {
      throw storeError(error, this.address, doing)
    } finally {
      this.#running.delete(running)
    }
  }
}

/** A failure that came when the answer had begun as a good one: then it stands in the answer. */
function lateError(words: string): Error {
  const code = /Code: (\d+)\./.exec(words)?.[1]
  return Object.assign(new Error(words), code === undefined ? {} : { code })
}
