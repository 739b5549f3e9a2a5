// What an undisturbed `bailiwick replay` stores: what all others are compared with.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startFront } from '../store/front.ts'
import { AGENT, writeFlows } from './numbered-flows.ts'
import { type FlowsOf, faultsOfReference, type Known, readKnown } from './oracle.ts'
import { runProgram } from './program.ts'

/**
 * FAULTS_REFERENCE=DIR keeps the store there for the next run. Remove it when the program stores something else.
 * @param flows of each sensor, `s0` and so on
 * @throws if the replay does not hold each of them once
 */
export async function makeReference(flows: FlowsOf): Promise<Known> {
  const kept = process.env.FAULTS_REFERENCE
  const directory = kept ?? (await mkdtemp(path.join(tmpdir(), 'bailiwick-reference-')))
  const note = path.join(directory, 'holds.json')
  const text = JSON.stringify(flows)
  const there = existsSync(note) && readFileSync(note, 'utf8') === text
  if (!there) rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const front = await startFront({ path: path.join(directory, 'store') })
  try {
    if (!there) await fill(directory, front.store, flows)
    const faults = await faultsOfReference(front, flows)
    if (faults.length > 0) throw new Error(`the reference itself is wrong: ${faults.join('; ')}`)
    writeFileSync(note, text)
    return await readKnown(front)
  } finally {
    await front.kill('SIGKILL')
    if (kept === undefined) await rm(directory, { recursive: true, force: true })
  }
}

async function fill(directory: string, store: string, flows: FlowsOf): Promise<void> {
  const agents = path.join(directory, 'agents')
  mkdirSync(agents)
  writeFileSync(path.join(agents, 'crawler.yaml'), AGENT)
  for (const [sensor, count] of Object.entries(flows)) {
    const log = path.join(directory, 'flows.log')
    writeFlows(log, Number(sensor.slice(1)), 0, count)
    const args = ['replay', log, '--agents', agents, '--sensor-id', sensor, '--store', store]
    await runProgram([...args, '--json'])
  }
}
