// Agent files from disk as every command reads them: good agents are used, mistakes are told with their place.

import { readAgentFiles } from '../agent-files.ts'
import type { Agent } from '../identity/agent.ts'
import { loadAgents } from '../identity/agent-files.ts'
import { formatProblem, type Problem } from '../identity/yaml-file.ts'
import type { ExitCause } from './exit.ts'
import type { CommandParts } from './program.ts'
import { say, type Terminal } from './terminal.ts'
import { count } from './text-table.ts'

export interface AgentDirectory {
  agents: Agent[]
  problems: Problem[]
  files: number
}

/** @throws AgentFilesError when the directory cannot be read or holds no agent file. */
export async function readAgentDirectory(paths: readonly string[]): Promise<AgentDirectory> {
  const files = await readAgentFiles(paths)
  return { ...loadAgents(files), files: files.length }
}

/**
 * Says every problem as `file:line:column: error: …`, one a line.
 * @returns the cause if one of them is an error.
 */
export async function tellProblems(
  problems: readonly Problem[],
  terminal: Terminal,
): Promise<ExitCause[]> {
  for (const problem of problems)
    if (problem.severity === 'error' || !terminal.quiet) await say(terminal, formatProblem(problem))
  const errors = problems.filter(({ severity }) => severity === 'error')
  if (errors.length === 0) return []
  const broken = new Set(errors.map(({ path }) => path)).size
  const words = `${count(errors.length, 'mistake')} in ${count(broken, 'agent file')}: mend ${errors.length === 1 ? 'it' : 'them'}, until then these agents are not known`
  return [{ code: 2, words }]
}

/** For a process that reads them itself: whether they can be used. The mistakes are told. @throws as above */
export async function areAgentsSound(agents: string, parts: CommandParts): Promise<boolean> {
  const { problems } = await readAgentDirectory([agents])
  const causes = await tellProblems(
    problems.filter(({ severity }) => severity === 'error'),
    parts.terminal(),
  )
  parts.causes.push(...causes)
  return causes.length === 0
}
