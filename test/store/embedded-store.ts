// A store in this process for the tests of one file, empty and of today's schema.

import { temporaryDirectory } from '../../src/store/directory.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import type { Engine } from '../../src/store/engine.ts'
import { migrate } from '../../src/store/migrate.ts'
import { EngineStore } from '../../src/store/store.ts'

/** The store and the engine below it; closing the store closes both and removes what they hold. */
export async function openEmbeddedStore(): Promise<{ engine: Engine; store: EngineStore }> {
  const engine = await openEmbedded(temporaryDirectory(), { memoryBytes: 1 << 30, temporary: true })
  await migrate(engine)
  return { engine, store: new EngineStore(engine, true) }
}
