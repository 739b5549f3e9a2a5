// The network that live latency is measured on: an agent in a network namespace of its own, joined to this one by a pair
// of virtual interfaces. Everything that the agent says goes over that pair as real packets. Addresses are of the
// networks that RFC 2544 sets aside for measuring. Needs root.

import { execFileSync } from 'node:child_process'

/** So many measurements may run side by side. */
const PLACES = 16

export class LiveNet {
  /** The end of the pair that is captured on. */
  readonly interface: string
  readonly agentInterface: string
  readonly namespace: string
  /** Of the agent, for this measurement alone. */
  readonly agentAddress: string
  /** Targets are `198.19.<third>.<1..254>`, for 16 values of the third octet from this one on. */
  readonly thirdOctet: number
  readonly #undo: (() => void)[] = []

  /** @throws if this is not root, or `ip` is not to be had */
  static open(): LiveNet {
    for (let place = 0; place < PLACES; place++) {
      const namespace = `bailiwick-bench-${place}`
      try {
        ip('netns', 'add', namespace)
      } catch (error) {
        if (/File exists/.test(String(error))) continue
        throw error
      }
      const net = new LiveNet(place)
      try {
        net.#join()
        return net
      } catch (error) {
        net.close()
        throw error
      }
    }
    throw new Error('all namespaces bailiwick-bench-0 … 15 are taken: ip netns del the old ones')
  }

  private constructor(place: number) {
    this.namespace = `bailiwick-bench-${place}`
    this.interface = `bwh${place}`
    this.agentInterface = `bwa${place}`
    this.agentAddress = `198.18.${place}.2`
    this.thirdOctet = place * 16
    this.#undo.push(() => ip('netns', 'del', this.namespace))
  }

  #join(): void {
    const here = this.interface
    const there = this.agentInterface
    const gate = this.agentAddress.replace(/2$/, '1')
    const targets = `198.19.${this.thirdOctet}.0/20`
    const inside = ['-n', this.namespace]
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', this.namespace)
    this.#undo.push(() => ip('link', 'del', here))
    ip('addr', 'add', `${gate}/30`, 'dev', here)
    ip('link', 'set', here, 'up')
    ip(...inside, 'addr', 'add', `${this.agentAddress}/30`, 'dev', there)
    ip(...inside, 'link', 'set', there, 'up')
    // Every address of the network is this machine's, so that one server answers for all targets.
    ip('route', 'add', 'local', targets, 'dev', 'lo')
    this.#undo.push(() => ip('route', 'del', 'local', targets, 'dev', 'lo'))
    ip(...inside, 'route', 'add', targets, 'via', gate)
  }

  /** A command that runs where the agent is. */
  asAgent(command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.namespace, ...command]
  }

  close(): void {
    for (const undo of this.#undo.splice(0).reverse())
      try {
        undo()
      } catch (error) {
        process.stderr.write(`${String(error)}\n`)
      }
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
