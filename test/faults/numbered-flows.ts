// Inputs whose every flow is a function of its number, as AWS flow logs: what a store must hold after any fault is
// then known row by row. A file may be there whole, or grow at a given rate while sensors follow it.

import { appendFileSync, closeSync, openSync, writeFileSync, writeSync } from 'node:fs'

/** 2026-03-01 00:00 UTC, seconds. */
const FIRST_SECOND = 1_772_323_200
/** Flows that begin in one second of the log: half a million are almost three hours of it. */
const FLOWS_A_SECOND = 50
/** Added to the number of a flow, this is its count of bytes: so the number can be read in the store. */
export const NUMBER_OFFSET = 100
/** Lines that are made at once. */
const PIECE = 8192

/** Mixes a number: neighbours differ in all bits (Murmur3's finalizer). */
function mixed(number: number): number {
  let hash = Math.imul(number ^ (number >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * Line `number` of sensor `sensor` (from 0) in the default format, version 2: a datagram from 10.77.0.0/16 to
 * 192.0.2.0/24. One in sixteen goes where the crawler of `AGENT` may not.
 */
export function flowLine(sensor: number, number: number): string {
  const hash = mixed(number * 8 + sensor)
  const from = `10.77.${(number >> 8) & 0xff}.${number & 0xff}`
  const start = FIRST_SECOND + Math.floor(number / FLOWS_A_SECOND)
  const packets = 1 + (hash >>> 28)
  return `2 123456789012 eni-0000000${sensor} ${from} 192.0.2.${hash & 0xff} ${32_768 + (number >> 16)} 443 17 ${packets} ${number + NUMBER_OFFSET} ${start} ${start + 1 + ((hash >>> 8) & 31)} ACCEPT OK\n`
}

/** The agent that all flows are of. */
export const AGENT = `id: spiffe://acme.example/agent/crawler
owner: search@acme.example
purpose: Reads public pages
environment: test
addresses: [10.77.0.0/16]
scope:
  egress:
    - { cidr: 192.0.2.0/25, port: 443, protocol: udp }
    - { cidr: 192.0.2.128/26, port: 443, protocol: udp }
    - { cidr: 192.0.2.192/27, port: 443, protocol: udp }
    - { cidr: 192.0.2.224/28, port: 443, protocol: udp }
`

function lines(sensor: number, from: number, to: number): string {
  let text = ''
  for (let number = from; number < to; number++) text += flowLine(sensor, number)
  return text
}

/** Writes the flows `from` to `to` (outside) of a sensor. */
export function writeFlows(path: string, sensor: number, from: number, to: number): void {
  const file = openSync(path, 'w')
  for (let at = from; at < to; at += PIECE)
    writeSync(file, lines(sensor, at, Math.min(to, at + PIECE)))
  closeSync(file)
}

/** Milliseconds between two pieces of a growing file. */
const TICK_MILLIS = 50

/** A log file that grows. Lines are cut anywhere between two writes, as a writer with a buffer of its own does. */
export class GrowingLog {
  readonly path: string
  readonly sensor: number
  /** Whole flows that are in the file, or will be when it stops growing. */
  written = 0
  #timer: NodeJS.Timeout | undefined
  /** The end of a line that was begun. */
  #rest = ''

  constructor(path: string, sensor: number) {
    this.path = path
    this.sensor = sensor
    writeFileSync(path, '')
  }

  /**
   * Lets it grow by itself.
   * @param perSecond flows a second, held over pauses of this process
   * @param most flows at which it stops
   */
  grow(perSecond: number, most: number): void {
    const began = performance.now()
    const before = this.written
    clearInterval(this.#timer)
    this.#timer = setInterval(() => {
      const due = before + Math.floor(((performance.now() - began) / 1000) * perSecond)
      if (Math.min(due, most) > this.written) this.append(Math.min(due, most) - this.written)
    }, TICK_MILLIS)
  }

  /** Adds flows; of the last one only half is written until more come, or `end`. */
  append(flows: number): void {
    const text = this.#rest + lines(this.sensor, this.written, this.written + flows)
    this.written += flows
    const cut = text.length - 40
    appendFileSync(this.path, text.slice(0, cut))
    this.#rest = text.slice(cut)
  }

  /** Stops growing: the last line is whole. */
  end(): void {
    clearInterval(this.#timer)
    appendFileSync(this.path, this.#rest)
    this.#rest = ''
  }
}
