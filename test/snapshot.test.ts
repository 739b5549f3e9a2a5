import { valueSymbol } from 'piscina'
import { expect, test } from 'vitest'
import { analyze, type Outcome } from '../src/analyze.ts'
import { loadAgents } from '../src/identity/agent-files.ts'
import { compileSnapshot, openSnapshot, shareSnapshot, snapshotHash } from '../src/snapshot.ts'
import analyzeTask from '../workers/analyze.ts'
import { chunkOf } from './flows.ts'

const files = ['a', 'b', 'ü'].map((name, i) => ({
  path: name,
  text: `id: urn:agent:${i}\nowner: ${name}\npurpose: p\nenvironment: e\naddresses: [10.0.0.${i}]\nscope: { egress: [{ cidr: 10.0.0.0/8, port: 443 }] }\n`,
}))
const { agents } = loadAgents(files)
const endpoints = [{ provider: 'P', role: 'api', match: 'api.example', evidence: 'e' }] as const
const bytes = compileSnapshot(agents, endpoints)

test('a snapshot holds what was compiled, and is named by its bytes', () => {
  const opened = openSnapshot(bytes)
  expect(opened.agents).toEqual(agents)
  expect(opened.hash).toBe(snapshotHash(bytes))
  expect(opened.endpoints.exact.get('api.example')).toEqual(endpoints[0])
})

test('the order of the agents is no part of it, every declaration is', () => {
  const hash = (list: typeof agents) => snapshotHash(compileSnapshot(list, endpoints))
  expect(hash([...agents].reverse())).toBe(hash(agents))
  expect(hash(agents.slice(1))).not.toBe(hash(agents))
  expect(hash(agents.map((agent) => ({ ...agent, owner: 'x' })))).not.toBe(hash(agents))
  expect(snapshotHash(compileSnapshot(agents, []))).not.toBe(hash(agents))
})

test('it opens from memory that threads share', () => {
  const shared = shareSnapshot(bytes)
  expect(shared.buffer).toBeInstanceOf(SharedArrayBuffer)
  expect(openSnapshot(shared)).toEqual(openSnapshot(bytes))
})

test('other bytes are refused', () => {
  expect(() => openSnapshot(Buffer.from('{}'))).toThrow('not a snapshot')
})

test('a worker judges as the function does, with the snapshot that its task names', () => {
  const chunk = chunkOf([{ orig: '10.0.0.1:1', resp: '10.0.0.9:443' }])
  const run = (snapshot: Uint8Array): Outcome => {
    const task = { chunk, snapshot, snapshotHash: snapshotHash(snapshot), ruling: 2 }
    // Outside of a thread the answer is still wrapped for its transfer.
    return (analyzeTask(task) as unknown as { [valueSymbol]: Outcome })[valueSymbol]
  }
  expect(run(shareSnapshot(bytes))).toEqual(analyze(chunk, openSnapshot(bytes), 2))
  expect(run(bytes).counts.in_scope).toBe(1)
  expect(run(compileSnapshot([], [])).counts.unattributed).toBe(1)
})
