// The identity of a flow: a hash of what makes it one conversation at one observation point. Both sides of a
// conversation, and every record of it, give the same id. See "Flow identity" in ARCHITECTURE.md.

import { sipHash128, stampUuid } from './hash.ts'

/** A fixed public key: ids must be equal on every sensor. Flow tables use a secret key of their own. */
const KEY = new Int32Array([0x6c696162, 0x63697769, 0x6f6c666b, 0x31766477])

const scratch = new DataView(new ArrayBuffer(72))
const scratchBytes = new Uint8Array(scratch.buffer)
const named = new DataView(new ArrayBuffer(1024))
const namedBytes = new Uint8Array(named.buffer)

/** What a 5-tuple flow is told apart by. `context` stands for observation point, tunnel and VLAN. */
export interface FlowKey {
  /** From `contextHash`. */
  context: number
  /** 16 bytes of each endpoint, in either order. */
  addressA: Uint8Array
  atA: number
  portA: number
  addressB: Uint8Array
  atB: number
  portB: number
  protocol: number
  /** Microseconds: first packet, or start of the aggregation interval. */
  time: number
  /** Counts flows that agree in everything else. */
  occurrence: number
}

/** Writes the 16-byte flow id to `to` at `at`. The order of the endpoints does not matter. */
export function flowId(key: FlowKey, to: Uint8Array, at: number): void {
  let order = 0
  for (let i = 0; i < 16 && order === 0; i++)
    order = key.addressA[key.atA + i]! - key.addressB[key.atB + i]!
  if (order === 0) order = key.portA - key.portB
  const aAt = order <= 0 ? 0 : 16
  for (let i = 0; i < 16; i++) {
    scratchBytes[aAt + i] = key.addressA[key.atA + i]!
    scratchBytes[16 - aAt + i] = key.addressB[key.atB + i]!
  }
  scratch.setUint16(32, order <= 0 ? key.portA : key.portB, true)
  scratch.setUint16(34, order <= 0 ? key.portB : key.portA, true)
  scratch.setUint32(36, key.protocol, true)
  scratch.setFloat64(40, key.time, true)
  scratch.setUint32(48, key.context, true)
  scratch.setUint32(52, key.occurrence, true)
  sipHash128(scratch, 56, KEY, to, at)
  stampUuid(to, at)
}

/** The flow id of a flow that its source named: (sensor, uid). */
export function flowIdOfUid(sensor: string, uid: string, to: Uint8Array, at: number): void {
  const bytes = Buffer.from(`${sensor}\0${uid}`).subarray(0, namedBytes.length)
  namedBytes.set(bytes)
  sipHash128(named, bytes.length, KEY, to, at)
  stampUuid(to, at)
}

/** 32 bits that stand for the observation point: sensor, interface, tunnel, VLANs. Cache it per value. */
export function contextHash(text: string): number {
  const bytes = Buffer.from(text).subarray(0, namedBytes.length)
  namedBytes.set(bytes)
  const out = new Uint8Array(16)
  sipHash128(named, bytes.length, KEY, out, 0)
  return new DataView(out.buffer).getUint32(0, true)
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Two digits at once, the lower one first: printed flows are many. */
const PAIRS: readonly string[] = Array.from(
  { length: 62 * 62 },
  (_, i) => BASE62[i % 62]! + BASE62[Math.floor(i / 62)]!,
)

/** A uid in Zeek's shape (`C` and base 62) from the first 12 bytes of a flow id, for inputs that have none. */
export function uidOf(id: Uint8Array, at = 0): string {
  let text = 'C'
  for (let half = 0; half < 2; half++) {
    let value = 0
    for (let i = 0; i < 6; i++) value = value * 256 + id[at + half * 6 + i]!
    for (let i = 0; i < 4; i++) {
      const rest = Math.floor(value / 3844)
      text += PAIRS[value - rest * 3844]!
      value = rest
    }
  }
  return text
}
