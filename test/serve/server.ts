// A `bailiwick serve`, or `respond`, as a process: its log, its API, its end.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { LoggedProcess } from '../cli/logged-process.ts'

export class Server extends LoggedProcess {
  readonly data: string

  /** @param scratch where it runs, and has its data directory unless `--data` says otherwise */
  constructor(
    scratch: string,
    args: readonly string[],
    env: Record<string, string> = {},
    command: 'serve' | 'respond' = 'serve',
  ) {
    super([command, '--listen', '0', ...args], scratch, env)
    const at = args.indexOf('--data')
    this.data = path.resolve(scratch, at < 0 ? 'bailiwick-data' : args[at + 1]!)
  }

  /** Where the API answers, once it does. */
  async address(): Promise<string> {
    return String((await this.line(/^answers over HTTP$/)).address)
  }

  /** What the API says, as the first administrator. */
  async ask<T>(question: string): Promise<T> {
    return (await (await this.#fetch(question)).json()) as T
  }

  /** Asks for something to be done, as the first administrator. */
  async tell<T>(question: string, body: object = {}): Promise<T> {
    const headers = { 'content-type': 'application/json' }
    const sent = { method: 'POST', headers, body: JSON.stringify(body) }
    return (await (await this.#fetch(question, sent)).json()) as T
  }

  async #fetch(
    question: string,
    {
      headers = {},
      ...rest
    }: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ): Promise<Response> {
    const address = await this.address()
    const token = readFileSync(path.join(this.data, 'token'), 'utf8').trim()
    return await fetch(`${address}${question}`, {
      ...rest,
      headers: { ...headers, authorization: `Bearer ${token}` },
    })
  }

  /** Asks until the answer is as wanted; one that is a refusal is asked again. */
  async until<T>(question: string, wanted: (answer: T) => boolean): Promise<T> {
    for (;;) {
      const response = await this.#fetch(question)
      const answer = (await response.json()) as T
      if ((response.ok || question === '/ready') && wanted(answer)) return answer
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** The value of a metric, added up over its labels; 0 if it is not there. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${await this.address()}/metrics`)).text()
    const lines = text.split('\n').filter((line) => line.replace(/[{ ].*/, '') === name)
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<[number | null, string | null]> {
    this.child.kill(signal)
    return await this.ended
  }
}
