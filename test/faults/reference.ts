// A store that an undisturbed `bailiwick replay` filled: what all others are compared with.

import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Front, startFront } from '../store/front.ts'
import { AGENT, writeFlows } from './numbered-flows.ts'
import { type FlowsOf, faultsOfReference } from './oracle.ts'
import { runProgram } from './program.ts'

/** @param flows of each sensor, `s0` and so on @throws if it does not hold each of them once */
export async function makeReference(directory: string, flows: FlowsOf): Promise<Front> {
  const agents = path.join(directory, 'reference-agents')
  mkdirSync(agents, { recursive: true })
  writeFileSync(path.join(agents, 'crawler.yaml'), AGENT)
  const front = await startFront({ path: path.join(directory, 'reference') })
  for (const [sensor, count] of Object.entries(flows)) {
    const log = path.join(directory, `reference-${sensor}.log`)
    writeFlows(log, Number(sensor.slice(1)), 0, count)
    const args = ['replay', log, '--agents', agents, '--sensor-id', sensor, '--store', front.store]
    await runProgram([...args, '--json'])
  }
  const faults = await faultsOfReference(front, flows)
  if (faults.length > 0) throw new Error(`the reference itself is wrong: ${faults.join('; ')}`)
  return front
}
