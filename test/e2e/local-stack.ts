// `scripts/stack` in a directory of its own, for tests: its commands, its store, its state.

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

export const ROOT = path.join(import.meta.dirname, '..', '..')
export const STACK = path.join(ROOT, 'scripts', 'stack')
const MAIN = path.join(ROOT, 'dist', 'src', 'cli', 'main.js')
const execute = promisify(execFile)

export interface StackState {
  ports: number[]
  processes: Record<string, { pid: number; listen?: string }>
}

export class LocalStack {
  readonly dir: string
  /** Settings for any command. */
  readonly config: string
  readonly inbox: string

  static async make(): Promise<LocalStack> {
    return new LocalStack(await mkdtemp(path.join(tmpdir(), 'bailiwick-stack-')))
  }

  private constructor(dir: string) {
    this.dir = dir
    this.config = path.join(dir, 'bailiwick.yaml')
    this.inbox = path.join(dir, 'inbox')
  }

  /** A command of scripts/stack. @throws with `code` and `stderr` if it fails */
  async run(...args: string[]): Promise<string> {
    return (await execute(process.execPath, [STACK, ...args, '--dir', this.dir])).stdout
  }

  /** A command of the program. @throws with `code` and `stderr` if it fails */
  async bailiwick(...args: string[]): Promise<string> {
    return (await execute(process.execPath, [MAIN, ...args], { maxBuffer: 64 << 20 })).stdout
  }

  async state(): Promise<StackState> {
    return JSON.parse(await readFile(path.join(this.dir, 'stack.json'), 'utf8'))
  }

  async parts(): Promise<{ name: string; state: string; address: string; pid?: number }[]> {
    const told = await this.run('status', '--json').catch(({ stdout }) => String(stdout))
    return JSON.parse(told).parts
  }

  /** Rows of a query to the store of the stack. */
  async rows(sql: string): Promise<Record<string, unknown>[]> {
    const text = await this.tellStore(`${sql} FORMAT JSONEachRow`)
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
  }

  /** Any statement, as somebody who may do everything there. @returns what was answered */
  async tellStore(sql: string): Promise<string> {
    const password = await readFile(path.join(this.dir, 'secrets', 'store-password'), 'utf8')
    const headers = { 'X-ClickHouse-User': 'bailiwick', 'X-ClickHouse-Key': password.trim() }
    const url = `http://127.0.0.1:${(await this.state()).ports[0]}/?database=bailiwick`
    const answer = await fetch(url, { method: 'POST', headers, body: sql })
    const text = await answer.text()
    if (!answer.ok) throw new Error(text)
    return text
  }

  /** What the API of a part of the stack answers, with the token in its directory. */
  async api(part: 'respond' | 'api', route: string): Promise<unknown> {
    const { listen } = (await this.state()).processes[part]!
    const token = (await readFile(path.join(this.dir, part, 'token'), 'utf8')).trim()
    const answer = await fetch(`http://${listen}/api/v1/${route}`, {
      headers: { Authorization: `Bearer ${token}` },
    })
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
    return await answer.json()
  }

  async remove(): Promise<void> {
    await this.run('down').catch(() => {})
    await rm(this.dir, { recursive: true, force: true })
  }
}
