// ClickHouse inside this process: chdb, loaded only when it is needed. It lives on the main thread, holds one
// data directory per process, and locks it against other processes.
//
// Three connections: one writes, two may only read, one of them for those who wait for the answer. Settings of the
// reading ones are set once and never change; the writing one has none, because what is set there stays for the next
// insert (see sql/insert/block.sql).

import { rmSync, writeFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
  ClickHouseLogLevel,
  createClient,
} from '@clickhouse/client'
import type { Session } from 'chdb'
import { lockedError, lockHolder, prepareDirectory, type StoreDirectory } from './directory.ts'
import type { BlockInsert, Engine, ReadKind } from './engine.ts'
import { type EngineSettings, engineConfig, readerSettings } from './engine-config.ts'
import { insertSql } from './insert-sql.ts'
import { StoreError, storeError } from './store-error.ts'

export interface EmbeddedOptions {
  memoryBytes: number
  /** Thrown away at close: needs no fsync. */
  temporary: boolean
}

/** The directory that this process has open: the engine can have one only. */
let openRoot: string | undefined

/**
 * Opens or makes the store in a directory.
 * @throws StoreLockedError, StoreSchemaError, StoreError
 */
export async function openEmbedded(path: string, options: EmbeddedOptions): Promise<Engine> {
  if (openRoot !== undefined)
    throw new StoreError(
      `this process has the store ${openRoot} open: close it before opening another`,
    )
  const directory = prepareDirectory(path)
  openRoot = directory.root
  try {
    return await start(directory, options)
  } catch (error) {
    openRoot = undefined
    throw error
  }
}

async function start(directory: StoreDirectory, options: EmbeddedOptions): Promise<Engine> {
  const chdb = await loadChdb()
  const settings: EngineSettings = {
    memoryBytes: options.memoryBytes,
    durable: !options.temporary,
    blockDirectory: directory.blocks,
  }
  writeFileSync(directory.config, engineConfig(settings))
  let session: Session
  try {
    // The first session binds the engine with its limits; the clients' connections join it.
    session = new chdb.Session(directory.engine, {
      connectionArgs: [`--config-file=${directory.config}`],
    })
  } catch (error) {
    const holder = lockHolder(directory.engine)
    if (holder !== undefined && holder !== process.pid) throw lockedError(directory.root, holder)
    throw storeError(error, directory.root, 'starting the embedded engine')
  }
  const connect = () =>
    createClient({
      log: { level: ClickHouseLogLevel.OFF },
      // The adapter was built against its own copy of the client's contract, hence the cast.
      connection: chdb.createChdbConnection({
        path: directory.engine,
      }) as unknown as NonNullable<ClickHouseClientConfigOptions['connection']>,
    })
  const engine = new EmbeddedEngine(directory, options.temporary, {
    writer: connect(),
    readers: { report: connect(), page: connect() },
    release: async () => {
      session.close()
      await chdb.drainPending()
    },
  })
  try {
    await engine.limitReaders(options.memoryBytes)
  } catch (error) {
    await engine.close()
    throw storeError(error, directory.root, 'starting the embedded engine')
  }
  return engine
}

async function loadChdb() {
  try {
    const { Session, drainPending } = await import('chdb')
    const { createChdbConnection } = await import('chdb/connection')
    return { Session, drainPending, createChdbConnection }
  } catch (error) {
    throw new StoreError(
      'the embedded engine (chdb) cannot be loaded here: it needs Linux with glibc or macOS; a ClickHouse server can be used instead with --store http://...',
      { cause: error },
    )
  }
}

type Reader = 'report' | 'page'

interface Connections {
  writer: ClickHouseClient
  readers: Readonly<Record<Reader, ClickHouseClient>>
  release: () => Promise<void>
}

class EmbeddedEngine implements Engine {
  readonly address: string
  /** One connection, one statement at a time. */
  readonly writers = 1
  readonly #directory: StoreDirectory
  readonly #temporary: boolean
  readonly #connections: Connections
  readonly #removeAtExit: () => void
  #writing: Promise<unknown> = Promise.resolve()
  readonly #reading: Record<Reader, Promise<unknown>> = {
    report: Promise.resolve(),
    page: Promise.resolve(),
  }
  #blockFiles = 0
  #closed: Promise<void> | undefined

  constructor(directory: StoreDirectory, temporary: boolean, connections: Connections) {
    this.address = temporary ? 'a temporary store' : directory.root
    this.#directory = directory
    this.#temporary = temporary
    this.#connections = connections
    this.#removeAtExit = () => rmSync(directory.root, { recursive: true, force: true })
    // A process that ends without closing still takes its temporary store with it, unless it is killed.
    if (temporary) process.once('exit', this.#removeAtExit)
  }

  async limitReaders(memoryBytes: number): Promise<void> {
    for (const reader of ['report', 'page'] as const)
      for (const sql of readerSettings(memoryBytes, reader))
        await this.#connections.readers[reader].command({ query: sql })
  }

  command(sql: string): Promise<void> {
    return this.#write('changing the store', async () => {
      await this.#connections.writer.command({ query: sql })
    })
  }

  async insert(blocks: readonly Uint8Array[], inserts: readonly BlockInsert[]): Promise<void> {
    const file = join(this.#directory.blocks, `${++this.#blockFiles}.native`)
    const statements = inserts.map((insert) => insertSql(insert, { file }))
    await this.#write('inserting', async () => {
      try {
        await writeFile(file, blocks, { flag: 'wx', mode: 0o600 })
        for (const query of statements) await this.#connections.writer.command({ query })
      } finally {
        await rm(file, { force: true })
      }
    })
  }

  async select(
    sql: string,
    params: Readonly<Record<string, unknown>>,
    kind: ReadKind = 'report',
  ): Promise<unknown[]> {
    this.#assertOpen()
    const reader: Reader = kind === 'page' ? 'page' : 'report'
    const run = this.#reading[reader].then(async () => {
      const result = await this.#connections.readers[reader].query({
        query: sql,
        format: 'JSONEachRow',
        query_params: params,
      })
      return result.json()
    })
    this.#reading[reader] = run.catch(() => {})
    try {
      return await run
    } catch (error) {
      throw storeError(error, this.address, 'reading')
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await Promise.allSettled([this.#writing, ...Object.values(this.#reading)])
    await this.#connections.writer.close()
    for (const reader of Object.values(this.#connections.readers)) await reader.close()
    await this.#connections.release()
    rmSync(this.#directory.blocks, { recursive: true, force: true })
    if (this.#temporary) {
      process.removeListener('exit', this.#removeAtExit)
      this.#removeAtExit()
    }
    openRoot = undefined
  }

  /** One statement at a time on a connection, in order. */
  async #write(doing: string, work: () => Promise<void>): Promise<void> {
    this.#assertOpen()
    const run = this.#writing.then(work)
    this.#writing = run.catch(() => {})
    try {
      await run
    } catch (error) {
      throw storeError(error, this.address, doing)
    }
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new StoreError(`the store ${this.address} is closed`)
  }
}
