// CPU of learning from DNS answers and of asking what was learned, in steady state with a full memory: the product's way
// (bytes to numbers in typed arrays) against the obvious one (a string, an object and two Map keys for each answer), with
// the same messages and the same bounds, in turns. Run: npx tsc -p tsconfig.bench.json && node dist/bench/dns-memory.js

import { DnsMessage, parseDns } from '../src/capture/dns.ts'
import { DnsMemory } from '../src/dns-memory.ts'
import { numbers } from './numbers.ts'

const [messagesWanted, rounds] = process.argv.slice(2).map(Number)
const MESSAGES = messagesWanted ?? 600_000
const ROUNDS = rounds ?? 3
const CAPACITY = 65_536
const CLIENTS = 2_000
const NAMES = 20_000

function ipv4(number: number): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.set([0xff, 0xff, 10, number >> 16, number >> 8, number], 10)
  return bytes
}

/** An answer with one or two A records. */
function answer(name: number, addresses: readonly number[]): Uint8Array {
  const labels = [`h${name}`, `zone${name % 700}`, 'example', 'net']
  const bytes = [0, 1, 0x81, 0x80, 0, 1, 0, addresses.length, 0, 0, 0, 0]
  for (const label of labels) bytes.push(label.length, ...Buffer.from(label))
  bytes.push(0, 0, 1, 0, 1)
  for (const address of addresses) {
    bytes.push(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
    bytes.push(93, address >> 16, (address >> 8) & 255, address & 255)
  }
  return Uint8Array.from(bytes)
}

interface Told {
  readonly message: Uint8Array
  readonly client: Uint8Array
}

function tell(): Told[] {
  const next = numbers(42)
  const clients = Array.from({ length: CLIENTS }, (_, i) => ipv4(i))
  const messages = Array.from({ length: NAMES }, (_, i) =>
    answer(i, i % 3 === 0 ? [i, i + 1] : [i % 5_000]),
  )
  return Array.from({ length: MESSAGES }, () => {
    // Few names are asked for often: the product of two numbers leans to small ones.
    const name = Math.floor(((next() / 2 ** 32) * (next() / 2 ** 32) * NAMES) | 0)
    return { message: messages[name]!, client: clients[next() % CLIENTS]! }
  })
}

/** What one of them made of the messages: seconds of CPU, and a number that depends on all answers. */
interface Outcome {
  seconds: number
  known: number
}

function measured(work: () => number): Outcome {
  const before = process.cpuUsage()
  const known = work()
  const { user, system } = process.cpuUsage(before)
  return { seconds: (user + system) / 1e6, known }
}

function byNumbers(told: readonly Told[]): number {
  const memory = new DnsMemory(Int32Array.of(1, 2, 3, 4), CAPACITY)
  const message = new DnsMessage()
  let known = 0
  told.forEach((one, i) => {
    if (!parseDns(one.message, 0, one.message.length, message)) return
    const { name, addresses, ttls, count } = message
    memory.learn(one.client, 0, name, addresses, ttls, count, i)
    known += memory.names(one.client, 0, addresses, 0, i).length
  })
  return known
}

interface Entry {
  readonly name: string
  readonly where: string
  readonly groupKeys: readonly [string, string]
  /** Neighbours in the list of all, by when they were last told. */
  older: Entry | undefined
  newer: Entry | undefined
}

function byObjects(told: readonly Told[]): number {
  const groups = new Map<string, Entry[]>()
  const message = new DnsMessage()
  let size = 0
  let oldest: Entry | undefined
  let newest: Entry | undefined
  const leave = (entry: Entry) => {
    if (entry.older === undefined) oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) newest = entry.older
    else entry.newer.older = entry.older
    for (const key of entry.groupKeys) {
      const group = groups.get(key)!
      group.splice(group.indexOf(entry), 1)
      if (group.length === 0) groups.delete(key)
    }
  }
  const enter = (entry: Entry) => {
    entry.older = newest
    entry.newer = undefined
    if (newest === undefined) oldest = entry
    else newest.newer = entry
    newest = entry
    for (const key of entry.groupKeys) {
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [entry])
      else group.push(entry)
    }
  }
  const learn = (who: string, where: string, name: string) => {
    const groupKeys = [`a${who}${where}`, `n${who}${name}`] as const
    let entry = groups.get(groupKeys[1])?.find((one) => one.where === where)
    if (entry !== undefined) leave(entry)
    else if (size === CAPACITY) leave(oldest!)
    else size++
    entry ??= { name, where, groupKeys, older: undefined, newer: undefined }
    enter(entry)
  }
  const textOf = (bytes: Uint8Array, at: number) =>
    Buffer.from(bytes.buffer, bytes.byteOffset + at, 16).toString('latin1')
  let known = 0
  for (const one of told) {
    if (!parseDns(one.message, 0, one.message.length, message)) continue
    const who = textOf(one.client, 0)
    const name = message.query
    for (let i = 0; i < message.count; i++) learn(who, textOf(message.addresses, 16 * i), name)
    const group = groups.get(`a${who}${textOf(message.addresses, 0)}`) ?? []
    known += group.slice(-8).map((entry) => entry.name).length
  }
  return known
}

const told = tell()
const ratios: number[] = []
for (let round = 0; round <= ROUNDS; round++) {
  const objects = measured(() => byObjects(told))
  const ours = measured(() => byNumbers(told))
  if (objects.known !== ours.known) throw new Error(`${objects.known} names, and ${ours.known}`)
  if (round === 0) continue // warms up
  ratios.push(ours.seconds / objects.seconds)
  const each = ((ours.seconds / MESSAGES) * 1e6).toFixed(2)
  process.stdout.write(
    `objects ${objects.seconds.toFixed(2)} s, numbers ${ours.seconds.toFixed(2)} s (${each} us a message)\n`,
  )
}
const middle = ratios.sort((a, b) => a - b)[ratios.length >> 1]!
process.stdout.write(`ratio ${middle.toFixed(3)}, median of ${ratios.length}\n`)
