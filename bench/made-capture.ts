// A capture to measure with: conversations of TCP (half of them begin with a TLS hello) and DNS over UDP, a quarter of
// them IPv6, mixed as on a busy link. The same number of packets of the same shape gives the same bytes every time.

import { closeSync, openSync, writeSync } from 'node:fs'
import { numbers } from './numbers.ts'

export interface Shape {
  /** Conversations that are open at a time. */
  open: number
  /** Addresses from which they come: 10.0.0.0 and so on, 2001:db8::a00:0 and so on. */
  clients: number
  /** Data segments of a TCP connection: so many, and up to twelve more. */
  segments: number
  /** Microseconds between packets. */
  pace: number
}

export const BUSY_LINK: Shape = { open: 50_000, clients: 4096, segments: 4, pace: 10 }
const START = Date.UTC(2026, 0, 5) / 1000
const FIN = 1
const SYN = 2
const PUSH = 8
const ACK = 16

interface Conversation {
  six: boolean
  udp: boolean
  name: string
  client: number
  server: number
  port: number
  step: number
  /** Data segments of a TCP connection. */
  segments: number
  clientSeq: number
  serverSeq: number
}

const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255]
const sized = (bytes: readonly number[]): number[] => [...u16(bytes.length), ...bytes]

/** A TLS 1.2 ClientHello that asks for `name`. */
export function clientHello(name: string): Buffer {
  const host = [0, ...sized([...Buffer.from(name)])]
  const extensions = [0, 0, ...sized(sized(host)), 0, 10, ...sized(sized([0, 29, 0, 23]))]
  const ciphers = sized([0x13, 1, 0x13, 2, 0xc0, 0x2f])
  const random = Array.from({ length: 32 }, (_, i) => i)
  const body = [3, 3, ...random, 0, ...ciphers, 1, 0, ...sized(extensions)]
  const handshake = [1, 0, ...sized(body)]
  return Buffer.from([0x16, 3, 1, ...sized(handshake)])
}

/** A DNS question for an address of `name`, and with `answer` its answer. */
function dnsMessage(id: number, name: string, answer: boolean, address: number): Buffer {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)])
  const head = [
    ...u16(id),
    answer ? 0x81 : 1,
    answer ? 0x80 : 0,
    0,
    1,
    0,
    answer ? 1 : 0,
    0,
    0,
    0,
    0,
  ]
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, ...u16(address >>> 16), ...u16(address)]
  return Buffer.from([...head, ...labels, 0, 0, 1, 0, 1, ...(answer ? record : [])])
}

class CaptureFile {
  readonly #file: number
  readonly #buffer = Buffer.alloc(1 << 20)
  #used = 0
  bytes = 0

  constructor(path: string) {
    this.#file = openSync(path, 'w')
    // Microseconds, version 2.4, snap length 262144, Ethernet; little-endian.
    this.#buffer.writeUInt32LE(0xa1b2c3d4, 0)
    this.#buffer.writeUInt16LE(2, 4)
    this.#buffer.writeUInt16LE(4, 6)
    this.#buffer.writeUInt32LE(262_144, 16)
    this.#buffer.writeUInt32LE(1, 20)
    this.#used = 24
  }

  /** One packet: Ethernet, IP, and a transport header of `header` before `payload`. */
  packet(time: number, of: Conversation, fromClient: boolean, header: Buffer, payload: Buffer) {
    if (this.#used + 2048 > this.#buffer.length) this.#flush()
    const b = this.#buffer
    const ipHeader = of.six ? 40 : 20
    const inner = header.length + payload.length
    const length = 14 + ipHeader + inner
    let at = this.#used
    b.writeUInt32LE(Math.floor(time / 1e6), at)
    b.writeUInt32LE(time % 1e6, at + 4)
    b.writeUInt32LE(length, at + 8)
    b.writeUInt32LE(length, at + 12)
    at += 16
    b.fill(2, at, at + 12)
    b.writeUInt16BE(of.six ? 0x86dd : 0x0800, at + 12)
    at += 14
    this.#ip(at, of, fromClient, inner)
    at += ipHeader
    header.copy(b, at)
    payload.copy(b, at + header.length)
    this.#used = at + inner
  }

  #ip(at: number, of: Conversation, fromClient: boolean, inner: number): void {
    const b = this.#buffer
    const protocol = of.udp ? 17 : 6
    const source = fromClient ? of.client : of.server
    const destination = fromClient ? of.server : of.client
    if (of.six) {
      b.fill(0, at, at + 40)
      b[at] = 0x60
      b.writeUInt16BE(inner, at + 4)
      b[at + 6] = protocol
      b[at + 7] = 64
      b.writeUInt32BE(0x2001_0db8, at + 8)
      b.writeUInt32BE(source, at + 20)
      b.writeUInt32BE(0x2001_0db8, at + 24)
      b.writeUInt32BE(destination, at + 36)
      return
    }
    b.fill(0, at, at + 12)
    b[at] = 0x45
    b.writeUInt16BE(20 + inner, at + 2)
    b[at + 8] = 64
    b[at + 9] = protocol
    b.writeUInt32BE(source, at + 12)
    b.writeUInt32BE(destination, at + 16)
    let sum = 0
    for (let i = 0; i < 20; i += 2) sum += b.readUInt16BE(at + i)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    b.writeUInt16BE(~sum & 0xffff, at + 10)
  }

  #flush(): void {
    writeSync(this.#file, this.#buffer, 0, this.#used)
    this.bytes += this.#used
    this.#used = 0
  }

  close(): void {
    this.#flush()
    closeSync(this.#file)
  }
}

const NONE = Buffer.alloc(0)
const DATA = Buffer.alloc(1400, 0xd7)

function open(number: number, shape: Shape, next: () => number): Conversation {
  const udp = next() % 5 === 0
  return {
    six: next() % 4 === 0,
    udp,
    name: `host${next() % 5000}.service.example`,
    client: 0x0a00_0000 + (next() % shape.clients),
    server: 0xc633_0000 + (next() % 20_000),
    port: 1024 + (number % 60_000),
    step: 0,
    segments: shape.segments + (next() % 13),
    clientSeq: next(),
    serverSeq: next(),
  }
}

/** The next packet of a DNS question and answer; true if it was the last. */
function stepUdp(file: CaptureFile, time: number, of: Conversation): boolean {
  const fromClient = of.step++ === 0
  const message = dnsMessage(of.port, of.name, !fromClient, of.server)
  const [source, destination] = fromClient ? [of.port, 53] : [53, of.port]
  const header = Buffer.from([
    ...u16(source),
    ...u16(destination),
    ...u16(8 + message.length),
    0,
    0,
  ])
  file.packet(time, of, fromClient, header, message)
  return !fromClient
}

/** The next segment of a connection: handshake, data from either side, both FINs and the last ACK. */
function stepTcp(file: CaptureFile, time: number, of: Conversation, next: () => number): boolean {
  const step = of.step++
  const end = 3 + of.segments
  const fromClient = step < 3 ? step !== 1 : step < end ? (step & 1) === 1 : step !== end + 1
  let payload: Buffer = NONE
  if (step === 3) payload = (of.port & 1) === 0 ? clientHello(of.name) : DATA.subarray(0, 90)
  else if (step > 3 && step < end) payload = DATA.subarray(0, next() % 160)
  const closes = step === end || step === end + 1
  const flags =
    step === 0
      ? SYN
      : step === 1
        ? SYN | ACK
        : closes
          ? FIN | ACK
          : payload === NONE
            ? ACK
            : PUSH | ACK
  const header = Buffer.alloc(20)
  header.writeUInt16BE(fromClient ? of.port : 443, 0)
  header.writeUInt16BE(fromClient ? 443 : of.port, 2)
  header.writeUInt32BE((fromClient ? of.clientSeq : of.serverSeq) >>> 0, 4)
  header.writeUInt32BE(step === 0 ? 0 : (fromClient ? of.serverSeq : of.clientSeq) >>> 0, 8)
  header[12] = 0x50
  header[13] = flags
  header.writeUInt16BE(64_000, 14)
  file.packet(time, of, fromClient, header, payload)
  const taken = payload.length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0)
  if (fromClient) of.clientSeq += taken
  else of.serverSeq += taken
  return step === end + 2
}

/** Writes a capture of `packets` packets to `path`. @returns its size in bytes */
export function makeCapture(path: string, packets: number, shape: Shape = BUSY_LINK): number {
  const next = numbers(42)
  const file = new CaptureFile(path)
  let opened = 0
  const conversations = Array.from({ length: shape.open }, () => open(opened++, shape, next))
  for (let i = 0; i < packets; i++) {
    const time = START * 1000 + i * shape.pace
    const place = next() % shape.open
    const one = conversations[place]!
    const over = one.udp ? stepUdp(file, time, one) : stepTcp(file, time, one, next)
    if (over) conversations[place] = open(opened++, shape, next)
  }
  file.close()
  return file.bytes
}
