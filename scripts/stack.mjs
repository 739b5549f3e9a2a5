// The whole of Bailiwick on this machine without containers: Kafka, a ClickHouse front over chdb, a sensor that follows
// an inbox, and workers, as real processes on the loopback interface. What docker-compose.yml runs, for tries and tests.
//
//   scripts/stack up --agents DIR [--dir DIR] [--inbox DIR] [--workers N] [--partitions N]
//                    [--kafka HOST:PORT,...] [--store URL]      instead of those that it would start
//   scripts/stack status [--dir DIR] [--json]                   exit 1 if something is not ready
//   scripts/stack logs [NAME] [--dir DIR] [--lines N] [--follow]
//   scripts/stack down [--dir DIR] [--remove-data]              ends everything; data stays unless told otherwise
//
// Up may be said again at any time: what runs is left alone, what does not is started. DIR is bailiwick-data/stack.
// Exit code 4: Java, Maven or the download of Kafka is not to be had.

import { createReadStream, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { KafkaMissing } from './kafka.mjs'
import { lastLines } from './local-stack/processes.mjs'
import { checkBuilt, Stack, StackError } from './local-stack/stack.mjs'

const DEFAULT_DIR = path.join('bailiwick-data', 'stack')
const tell = (words) => process.stderr.write(`${words}\n`)

const number = (text, name, most) => {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,4}$/.test(text) || Number(text) > most)
    throw new StackError(`--${name} ${text}: expected a number from 1 to ${most}`)
  return Number(text)
}

async function up(stack, options) {
  checkBuilt()
  const unlock = stack.lock()
  // Ctrl-C ends what there is: half a stack helps nobody.
  const interrupted = new AbortController()
  stack.interrupted = interrupted.signal
  const onSignal = () => interrupted.abort()
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  const go = async (work) => {
    if (interrupted.signal.aborted) throw new StackError('interrupted')
    await Promise.race([
      work(),
      new Promise((_, reject) => {
        interrupted.signal.addEventListener('abort', () => reject(new StackError('interrupted')))
      }),
    ])
  }
  try {
    await go(() =>
      stack.plan({
        ...options,
        workers: number(options.workers, 'workers', 9),
        partitions: number(options.partitions, 'partitions', 1000),
      }),
    )
    // A broker is not recorded before it runs: it is waited for.
    await stack.startKafka(tell)
    await go(() => stack.startStore(tell))
    stack.writeSettings()
    await go(() => stack.command(tell, 'topics'))
    await go(() => stack.command(tell, 'migrate'))
    await go(async () => stack.startWorkers(tell))
    await go(async () => stack.startSensor(tell))
    await go(async () => stack.startAnswering(tell))
    await go(() => stack.untilReady())
  } catch (error) {
    tell(`scripts/stack: ${error.message}`)
    await stack.down(tell)
    process.exitCode = error instanceof KafkaMissing ? 4 : interrupted.signal.aborted ? 130 : 1
    return
  } finally {
    unlock()
  }
  await printStatus(stack, false)
  const config = stack.file('bailiwick.yaml')
  process.stdout.write(`
Put captures, cloud flow logs or Zeek logs into ${stack.state.inbox}
(a file there may still grow: its last flows are told when it is removed; compressed ones are whole)
Then ask:   node dist/src/cli/main.js reconcile --config ${config}
            node dist/src/cli/main.js dlq ls --config ${config}
            scripts/stack logs worker-1 --follow
End it:     scripts/stack down${stack.dir === path.resolve(DEFAULT_DIR) ? '' : ` --dir ${stack.dir}`}
`)
}

async function printStatus(stack, json) {
  const parts = await stack.status()
  if (json) process.stdout.write(`${JSON.stringify({ dir: stack.dir, parts })}\n`)
  else
    for (const { name, state, address, pid } of parts)
      process.stdout.write(
        `${name.padEnd(12)}${state.padEnd(14)}${address}${pid === undefined ? '' : `  (process ${pid})`}\n`,
      )
  return parts.length > 0 && parts.every((one) => /^(ready|running|given)$/.test(one.state))
}

async function logs(stack, name, options) {
  const parts = (await stack.status()).filter((one) => one.log && (!name || one.name === name))
  if (parts.length === 0) throw new StackError(`there is no log of ${name ?? 'anything'}`)
  for (const { name: of, log } of parts) {
    if (parts.length > 1) process.stdout.write(`== ${of}\n`)
    const lines = lastLines(log, number(options.lines, 'lines', 99_999) ?? 20)
    process.stdout.write(lines.map((line) => `${line}\n`).join(''))
  }
  if (!options.follow) return
  if (parts.length > 1) throw new StackError('--follow wants the name of one')
  const [{ log }] = parts
  let at = statSync(log).size
  process.on('SIGINT', () => process.exit(130))
  for (;;) {
    const { size } = statSync(log)
    if (size > at)
      for await (const piece of createReadStream(log, { start: at, end: size - 1 }))
        process.stdout.write(piece)
    at = size
    await sleep(300)
  }
}

async function main() {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      dir: { type: 'string', default: DEFAULT_DIR },
      agents: { type: 'string' },
      inbox: { type: 'string' },
      workers: { type: 'string' },
      partitions: { type: 'string' },
      kafka: { type: 'string' },
      store: { type: 'string' },
      lines: { type: 'string' },
      json: { type: 'boolean', default: false },
      follow: { type: 'boolean', default: false },
      'remove-data': { type: 'boolean', default: false },
    },
  })
  const [command, name] = positionals
  const stack = new Stack(options.dir)
  if (command === 'up') return await up(stack, options)
  if (!['status', 'logs', 'down'].includes(command)) {
    tell(
      'usage: scripts/stack up --agents DIR | status | logs [NAME] | down   (its first lines say more)',
    )
    process.exitCode = 2
    return
  }
  if (!stack.exists) throw new StackError(`there is no stack in ${stack.dir}`)
  if (command === 'logs') return await logs(stack, name, options)
  if (command === 'status') {
    if (!(await printStatus(stack, options.json))) process.exitCode = 1
    return
  }
  const unlock = stack.lock()
  try {
    await stack.down(tell)
  } finally {
    unlock()
  }
  if (options['remove-data']) rmSync(stack.dir, { recursive: true, force: true })
  else tell(`what was stored is in ${stack.dir}`)
}

main().catch((error) => {
  tell(`scripts/stack: ${error.message}`)
  process.exitCode =
    error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? 2 : error instanceof KafkaMissing ? 4 : 1
})
