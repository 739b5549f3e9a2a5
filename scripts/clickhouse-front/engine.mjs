// The engine behind the front: chdb over one directory, one statement at a time. Each request has a connection of
// its own, so no setting, parameter or database of one is left for the next; a session_id keeps its connection.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { drainPending, Session } from 'chdb'
import { FrontError } from './errors.mjs'
import { sqlText } from './statement.mjs'

/** Statements that wait for their turn; more are refused, as by a server that is overrun. */
const WAITING_MAX = 100
const SESSIONS_MAX = 32
const MEMORY_BYTES = 1 << 30

export class Engine {
  #directory
  #keep
  #sessions = new Map()
  #waiting = 0
  #turn = Promise.resolve()

  /** @param {string} root directory of the front: `engine/` is the engine's, `bodies/` holds rows on their way
   * @param {string | undefined} settings file with more settings, in XML */
  constructor(root, settings) {
    this.#directory = path.resolve(root, 'engine')
    this.bodies = path.resolve(root, 'bodies')
    rmSync(this.bodies, { recursive: true, force: true })
    mkdirSync(this.bodies, { recursive: true, mode: 0o700 })
    const config = path.resolve(root, 'front.xml')
    writeFileSync(
      config,
      `<clickhouse>
<max_server_memory_usage>${MEMORY_BYTES}</max_server_memory_usage>
<mark_cache_size>33554432</mark_cache_size>
<uncompressed_cache_size>0</uncompressed_cache_size>
${settings === undefined ? '' : readFileSync(settings, 'utf8')}
</clickhouse>
`,
    )
    // The first connection binds the engine to its limits and holds it while others come and go.
    this.#keep = new Session(this.#directory, { connectionArgs: [`--config-file=${config}`] })
    this.version = this.#keep.query('SELECT version()', 'TabSeparated').trim()
  }

  createDatabase(name) {
    this.#keep.query(`CREATE DATABASE IF NOT EXISTS \`${name.replace(/[`\\]/g, '\\$&')}\``)
  }

  /**
   * Runs one statement when it is its turn.
   * @param {{
   *   sql: string, format: string, database: string | undefined, session: string | undefined,
   *   settings: [string, string][], params: [string, string][]
   * }} request
   * @returns {Promise<{bytes: Uint8Array, rows: number, rowBytes: number, seconds: number}>}
   * @throws FrontError when too many wait, and the engine's own errors with `clickhouseCode`
   */
  run(request) {
    if (this.#waiting >= WAITING_MAX)
      return Promise.reject(
        new FrontError(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', 'Too many simultaneous queries'),
      )
    this.#waiting++
    const result = this.#turn.then(() => this.#run(request))
    this.#turn = result.then(
      () => this.#waiting--,
      () => this.#waiting--,
    )
    return result
  }

  async #run({ sql, format, database, session: sessionId, settings, params }) {
    const session = this.#session(sessionId)
    try {
      // These take no time: no need to leave the thread for them.
      if (database !== undefined) session.query(`USE \`${database.replace(/[`\\]/g, '\\$&')}\``)
      for (const [name, value] of params) session.query(`SET ${name} = ${sqlText(value)}`)
      // After `readonly` nothing else can be set.
      const last = settings.filter(([name]) => name === 'readonly')
      for (const [name, value] of [...settings.filter(([name]) => name !== 'readonly'), ...last])
        session.query(`SET ${name} = ${sqlText(value)}`)
      const result = await session.queryAsync(sql, { format })
      return {
        bytes: result.bytes(),
        rows: result.rowsRead,
        rowBytes: result.bytesRead,
        seconds: result.elapsed,
      }
    } finally {
      if (sessionId === undefined) session.close()
    }
  }

  #session(id) {
    if (id === undefined) return new Session(this.#directory)
    const known = this.#sessions.get(id) ?? new Session(this.#directory)
    // The one used last stands last; the one used longest ago goes first.
    this.#sessions.delete(id)
    this.#sessions.set(id, known)
    if (this.#sessions.size > SESSIONS_MAX) {
      const [oldest, session] = this.#sessions.entries().next().value
      session.close()
      this.#sessions.delete(oldest)
    }
    return known
  }

  async close() {
    await this.#turn
    for (const session of this.#sessions.values()) session.close()
    this.#keep.close()
    await drainPending()
    rmSync(this.bodies, { recursive: true, force: true })
  }
}
