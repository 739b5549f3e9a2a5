// The snapshot: everything that judges flows, as bytes that never change, named by their hash. The main thread
// compiles it once; each worker thread opens it once, from memory that all of them share.
//
//   "BWS1" | JSON: { endpoints, agents } with agents by id
//
// The bytes are a function of what is declared: the same files give the same hash, and so the same ruling.

import { type EndpointBook, openEndpoints } from './detect/unregistered.ts'
import { sha256Hex } from './hash.ts'
import type { Agent } from './identity/agent.ts'
import { type OwnerBook, openOwners } from './identity/attribution.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import { openScopes, type ScopeBook } from './scope/policy.ts'

const MAGIC = 'BWS1'

export interface Snapshot {
  /** Lower-case hexadecimal SHA-256 of the bytes. */
  readonly hash: string
  /** Sorted by id; all books name an agent by its place here. */
  readonly agents: readonly Agent[]
  readonly owners: OwnerBook
  readonly scopes: ScopeBook
  readonly endpoints: EndpointBook
}

/** Text order by code units, the same on every machine. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The bytes of a registry, its scopes, and the endpoints that agents talk to. The order of the agents is free. */
export function compileSnapshot(
  agents: readonly Agent[],
  endpoints: readonly Endpoint[],
): Uint8Array<ArrayBuffer> {
  const sorted = [...agents].sort((a, b) => byText(a.id, b.id))
  return Uint8Array.from(Buffer.from(MAGIC + JSON.stringify({ endpoints, agents: sorted })))
}

/** The name of a snapshot's bytes. */
export function snapshotHash(bytes: Uint8Array): string {
  return sha256Hex(bytes)
}

/** The same bytes in memory that threads share instead of copying. */
export function shareSnapshot(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
  shared.set(bytes)
  return shared
}

/**
 * Compiles the bytes into lookups.
 * @throws Error if they were not made by `compileSnapshot` of this version: they never come from outside.
 */
export function openSnapshot(bytes: Uint8Array): Snapshot {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  if (!text.startsWith(MAGIC)) throw new Error('not a snapshot: the first bytes are not BWS1')
  const { agents, endpoints } = JSON.parse(text.slice(MAGIC.length)) as {
    agents: Agent[]
    endpoints: Endpoint[]
  }
  return {
    hash: snapshotHash(bytes),
    agents,
    owners: openOwners(agents),
    scopes: openScopes(agents),
    endpoints: openEndpoints(endpoints),
  }
}
