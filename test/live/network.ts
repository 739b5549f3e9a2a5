// A network of two machines for tests of live capture: a namespace at the far end of a virtual cable, whose near end is
// an interface of this machine. Whatever is made is taken away again.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

const IP = '/usr/sbin/ip'
let made = 0

export class Network {
  /** The interface of this machine, and its address. */
  readonly interface: string
  readonly address: string
  /** The address of the machine at the other end. */
  readonly peer: string
  readonly #space: string
  readonly #farInterface: string
  readonly #children = new Set<ChildProcess>()

  constructor() {
    const number = made++
    const mark = `${process.pid}${String.fromCharCode(97 + number)}`
    this.interface = `bwl${mark}`
    this.#farInterface = `bwr${mark}`
    this.#space = `bailiwick-${mark}`
    // Of the addresses that carriers share (RFC 6598): nobody's here, and others for tests beside this one.
    const net = `100.${64 + (process.pid & 63)}.${(process.pid >> 6) & 255}`
    this.address = `${net}.${number * 4 + 1}`
    this.peer = `${net}.${number * 4 + 2}`
    this.ip('netns', 'add', this.#space)
    this.connect()
  }

  /** Lays the cable: the interface is there. */
  connect(): void {
    const [near, far] = [this.interface, this.#farInterface]
    this.ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', this.#space)
    this.ip('addr', 'add', `${this.address}/30`, 'dev', near)
    this.ip('link', 'set', near, 'up')
    const there = ['-n', this.#space]
    this.ip(...there, 'addr', 'add', `${this.peer}/30`, 'dev', far)
    this.ip(...there, 'link', 'set', far, 'up')
    this.ip(...there, 'link', 'set', 'lo', 'up')
    // Nobody answers what goes elsewhere: this machine does not forward.
    this.ip(...there, 'route', 'add', 'default', 'via', this.address)
  }

  /** Takes the cable away: the interface is gone. */
  disconnect(): void {
    this.ip('link', 'del', this.interface)
  }

  switch(to: 'up' | 'down'): void {
    this.ip('link', 'set', this.interface, to)
  }

  ip(...args: string[]): void {
    execFileSync(IP, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  }

  /** Starts a program at the other end. */
  start(...line: string[]): ChildProcess {
    const args = ['netns', 'exec', this.#space, ...line]
    const child = spawn(IP, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#children.add(child)
    child.once('close', () => this.#children.delete(child))
    return child
  }

  /** Runs a program at the other end until it ends. @throws if it fails */
  async run(...line: string[]): Promise<void> {
    const child = this.start(...line)
    child.stdout!.resume()
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`${line.join(' ')}: exit code ${code}`)
  }

  /** What machines say to each other: see traffic.mjs. */
  async traffic(order: TrafficOrder): Promise<void> {
    const script = path.join(import.meta.dirname, 'traffic.mjs')
    await this.run(process.execPath, script, JSON.stringify({ host: this.address, ...order }))
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL')
    try {
      this.disconnect()
    } catch {
      // A test took it away.
    }
    this.ip('netns', 'del', this.#space)
  }
}

export interface TrafficOrder {
  http: number
  tls: number
  dns: number
  udp: number
  /** Connections of each kind, and a name that theirs begin with. */
  count: number
  name: string
  /** For so long one connection goes on. Milliseconds. */
  longMillis: number
  /** For so long somebody asks who gets no answer; a tenth of a second if it is not said. */
  silentMillis?: number
}
