// Reads what the pure rooms may not: agent files below a directory, and the bundled list of endpoints.

import { readFile } from 'node:fs/promises'
import { explainFileError, findFiles } from './inputs.ts'

/** Agent files in one directory tree, at most. */
const AGENT_FILES_MAX = 10_000
/** Largest file that is read at all; the loader's own limit is lower and says so. */
const AGENT_FILE_BYTES_MAX = 4 << 20

export interface AgentFile {
  path: string
  text: string
}

/** An agents directory (or one of its files) that cannot be read; the message is for people. */
export class AgentFilesError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'AgentFilesError'
  }
}

/**
 * All `.yaml` and `.yml` files below the given directories (a file may be given too), by path.
 * @throws AgentFilesError if one cannot be read, or there is none.
 */
export async function readAgentFiles(paths: readonly string[]): Promise<AgentFile[]> {
  const { files, problems } = await findFiles(paths)
  const problem = problems[0]
  if (problem !== undefined) throw new AgentFilesError(`${problem.source}: ${problem.message}`)
  const named = files.filter((file) => /\.ya?ml$/.test(file.source))
  if (named.length === 0)
    throw new AgentFilesError(
      `${paths.join(', ')}: no agent files (.yaml) found; each agent is one YAML file, see README`,
    )
  if (named.length > AGENT_FILES_MAX)
    throw new AgentFilesError(`more than ${AGENT_FILES_MAX} agent files`)
  const read: AgentFile[] = []
  for (const { source } of named) {
    try {
      const bytes = await readFile(source)
      read.push({ path: source, text: bytes.subarray(0, AGENT_FILE_BYTES_MAX).toString('utf8') })
    } catch (error) {
      throw new AgentFilesError(`${source}: ${explainFileError(error)}`)
    }
  }
  return read
}

/** The bundled list of endpoints that agents talk to, as YAML text. */
export async function readAgentEndpoints(): Promise<AgentFile> {
  const built = import.meta.url.endsWith('.ts') ? '../' : '../../'
  const url = new URL(`${built}data/agent-endpoints.yaml`, import.meta.url)
  return { path: 'data/agent-endpoints.yaml', text: await readFile(url, 'utf8') }
}
