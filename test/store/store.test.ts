// Opening and closing: directories that are held, foreign, stale or of another version, and what is said of each.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, test } from 'vitest'
import { lockHolder } from '../../src/store/directory.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { engineConfig } from '../../src/store/engine-config.ts'
import { openStore } from '../../src/store/store.ts'
import { StoreError, StoreLockedError, StoreSchemaError } from '../../src/store/store-error.ts'
import { judged, sampleChunk } from './samples.ts'

const root = mkdtempSync(join(tmpdir(), 'bailiwick-test-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const directory = (name: string) => ({ kind: 'directory', path: join(root, name) }) as const

/** Another process that holds the engine of a store. */
async function holder(path: string) {
  const code = `import { Session } from 'chdb'; new Session(process.argv[1]); console.log('open'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, join(path, 'engine')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(createInterface({ input: child.stdout }), 'line')
  return {
    pid: child.pid,
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

describe('a directory', () => {
  test('keeps its rows when it is closed and opened, also after another one', async () => {
    const chunk = judged(sampleChunk({ flows: [{ name: 'a' }] }), [])
    const first = await openStore(directory('kept'))
    await first.insertSlice({ key: 'k', chunks: [chunk] })
    await first.close()
    await first.close()
    const other = await openStore(directory('other'))
    expect(await other.completed([chunk.header.id])).toEqual(new Map())
    await other.close()
    const again = await openStore(directory('kept'))
    expect((await again.completed([chunk.header.id])).get(chunk.header.id)?.complete).toBe(true)
    expect(readdirSync(join(root, 'kept', 'blocks'))).toEqual([])
    await again.close()
  })

  test('what was begun before close is finished by it', async () => {
    const chunk = judged(sampleChunk({ origin: 'tap1/late', flows: [{ name: 'late' }] }), [])
    const store = await openStore(directory('kept'))
    const inserting = store.insertSlice({ key: 'late', chunks: [chunk] })
    await store.close()
    await inserting
    const again = await openStore(directory('kept'))
    expect((await again.completed([chunk.header.id])).get(chunk.header.id)?.complete).toBe(true)
    await again.close()
  })

  test('one process has one open at a time', async () => {
    const store = await openStore(directory('kept'))
    await expect(openStore(directory('other'))).rejects.toThrow(/close it before opening another/)
    await store.close()
  })

  test('that another process holds: who, where, and what to do', async () => {
    const path = join(root, 'kept')
    const other = await holder(path)
    const opening = openStore(directory('kept'))
    await expect(opening).rejects.toThrow(StoreLockedError)
    await expect(opening).rejects.toThrow(
      `the store ${path} is held by process ${other.pid}, another bailiwick or chdb: wait for it, end it, or name another directory`,
    )
    await other.kill()
    // Its status file still stands there, and holds nothing.
    expect(existsSync(join(path, 'engine/status'))).toBe(true)
    expect(lockHolder(join(path, 'engine'))).toBeUndefined()
    const store = await openStore(directory('kept'))
    await store.close()
  })

  test('that holds something else is not touched', async () => {
    const path = join(root, 'captures')
    mkdirSync(path)
    writeFileSync(join(path, 'a.pcap'), 'x')
    const opening = openStore({ kind: 'directory', path })
    await expect(opening).rejects.toThrow(StoreSchemaError)
    await expect(opening).rejects.toThrow(/holds other files and is no bailiwick store/)
    expect(readdirSync(path)).toEqual(['a.pcap'])
  })

  test('that cannot be made', async () => {
    writeFileSync(join(root, 'file'), '')
    await expect(openStore(directory('file/x'))).rejects.toThrow(/cannot be used \(ENOTDIR\)/)
    await expect(openStore(directory('file'))).rejects.toThrow(StoreError)
  })

  test('of a newer version is refused, and of a changed schema', async () => {
    const open = () => openEmbedded(join(root, 'newer'), { memoryBytes: 1 << 30, temporary: false })
    await (await openStore(directory('newer'))).close()
    let engine = await open()
    await engine.command(
      "INSERT INTO schema_migrations (version, name, sha256) SELECT 999, '999_later', 'x'",
    )
    await engine.close()
    await expect(openStore(directory('newer'))).rejects.toThrow(StoreSchemaError)
    await expect(openStore(directory('newer'))).rejects.toThrow(/newer bailiwick \(schema 999/)
    engine = await open()
    await engine.command('DELETE FROM schema_migrations WHERE version = 999')
    await engine.command(
      "ALTER TABLE schema_migrations UPDATE sha256 = 'x' WHERE version = 2 SETTINGS mutations_sync = 1",
    )
    await engine.close()
    await expect(openStore(directory('newer'))).rejects.toThrow(/another version of schema 002/)
  })
})

describe('a temporary store', () => {
  test('is gone after close', async () => {
    const before = new Set(readdirSync(tmpdir()))
    const store = await openStore({ kind: 'temporary' })
    const made = readdirSync(tmpdir()).filter(
      (name) => name.startsWith('bailiwick-store-') && !before.has(name),
    )
    expect(made.length).toBeGreaterThan(0)
    expect(store.temporary).toBe(true)
    await store.close()
    // Others may run at the same time, so it is one less, not none.
    expect(made.filter((name) => existsSync(join(tmpdir(), name))).length).toBeLessThan(made.length)
  })
})

describe('the engine', () => {
  test('is started with its limits, which a query sees', async () => {
    const engine = await openEmbedded(join(root, 'limits'), {
      memoryBytes: 512 << 20,
      temporary: false,
    })
    const rows = await engine.select(
      "SELECT * FROM (SELECT name, value FROM system.server_settings WHERE name IN ('max_server_memory_usage', 'mark_cache_size') UNION ALL SELECT name, value FROM system.merge_tree_settings WHERE name LIKE 'fsync%') ORDER BY name",
      {},
    )
    expect(rows).toEqual([
      { name: 'fsync_after_insert', value: '1' },
      { name: 'fsync_part_directory', value: '1' },
      { name: 'mark_cache_size', value: String(32 << 20) },
      { name: 'max_server_memory_usage', value: String(512 << 20) },
    ])
    await engine.close()
  })

  test('too little memory is refused', async () => {
    await expect(openStore({ kind: 'temporary' }, { memoryBytes: 1 })).rejects.toThrow(RangeError)
  })

  test('paths are escaped in its configuration', () => {
    const text = engineConfig({ memoryBytes: 1, durable: true, blockDirectory: '/a<b>&c' })
    expect(text).toContain('<user_files_path>/a&#60;b&#62;&#38;c</user_files_path>')
  })
})
