// Opens the engine that a target names: embedded in a directory, or a server.

import { rmSync } from 'node:fs'
import { temporaryDirectory } from './directory.ts'
import { openEmbedded } from './embedded.ts'
import type { Engine } from './engine.ts'
import { ENGINE_BYTES_DEFAULT, ENGINE_BYTES_MIN } from './engine-config.ts'
import { openServer } from './server.ts'
import type { StoreTarget } from './store-target.ts'

/**
 * @param memoryBytes what an embedded engine may take
 * @throws StoreLockedError, StoreUnreachableError, StoreAccessError, StoreSchemaError, StoreError
 */
export async function openEngine(
  target: StoreTarget,
  memoryBytes: number = ENGINE_BYTES_DEFAULT,
): Promise<Engine> {
  if (!(memoryBytes >= ENGINE_BYTES_MIN))
    throw new RangeError(`the engine needs at least ${ENGINE_BYTES_MIN} bytes`)
  const bytes = Math.floor(memoryBytes)
  if (target.kind === 'server') return openServer(target)
  if (target.kind === 'directory')
    return openEmbedded(target.path, { memoryBytes: bytes, temporary: false })
  const path = temporaryDirectory()
  try {
    return await openEmbedded(path, { memoryBytes: bytes, temporary: true })
  } catch (error) {
    rmSync(path, { recursive: true, force: true })
    throw error
  }
}
