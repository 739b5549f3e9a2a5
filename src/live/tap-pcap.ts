// Packets by the addon `pcap` (libpcap in this process). Traps that are dealt with here: its buffers are used again for
// every packet; it reads until the kernel has no more, so nothing else may run for long; when an interface is switched
// off it stops without a word; once it was opened, only a signal ends the process. It is loaded in capture processes only.

import { endianness } from 'node:os'
import { interfaceChange, interfaceState } from './interfaces.ts'
import type { CaptureCounts } from './order.ts'
import { kindOf, type Tap, TapError, type TapSink, type TapWish } from './tap.ts'

/** Packets are handed over in batches of so many bytes, or when there are no more. */
const BATCH_BYTES = 1 << 18
const RECORD_HEADER = 16
/** So many times in succession packets were there that nobody called us for; then they are asked for so often. */
const STRAYS_MAX = 3
const ASK_MILLIS = 5
const LINKS: Readonly<Record<string, number>> = {
  LINKTYPE_NULL: 0,
  LINKTYPE_ETHERNET: 1,
  LINKTYPE_RAW: 101,
  LINKTYPE_LINUX_SLL: 113,
  LINKTYPE_IEEE802_11_RADIO: 127,
}

type Addon = typeof import('pcap')
/** What the addon's session is made of; its types do not say. */
interface Inside {
  buf: Buffer
  header: Buffer
  session: { dispatch(buf: Buffer, header: Buffer): number; read_callback: () => void }
}

/** @param given the addon's file, if it is not where the package puts it @throws TapError */
export async function openAddon(wish: TapWish, sink: TapSink, given?: string): Promise<Tap> {
  if (endianness() !== 'LE') throw new TapError('no_backend', 'not on machines of this byte order')
  let addon: Addon
  try {
    addon = ((await import(given ?? 'pcap')) as unknown as { default: Addon }).default
  } catch (error) {
    throw new TapError(
      'no_backend',
      `the package pcap is not built (${String(error).split('\n', 1)[0]}): install libpcap-dev and a compiler, then npm rebuild pcap`,
    )
  }
  const began = interfaceState(wish.interface)
  if (began === 'missing') throw new TapError('no_interface', `no interface ${wish.interface}`)
  if (began === 'down') throw new TapError('lost', `${wish.interface} is switched off`)
  // It says by console.warn that an interface has no IPv4 address.
  Object.assign(addon, { warningHandler: () => {} })
  const open = (filter: string) =>
    addon.createSession(wish.interface, {
      filter,
      buffer_size: wish.ringBytes,
      snap_length: wish.snaplen,
      buffer_timeout: Math.max(1, wish.bufferMillis),
      promiscuous: wish.promiscuous,
    })
  let session: ReturnType<typeof open>
  try {
    session = open(wish.filter)
  } catch (error) {
    const words = (error as Error).message
    throw new TapError(kindOf(words) ?? 'lost', words)
  }
  return new AddonTap(session, wish, began, sink, addon.lib_version)
}

class AddonTap implements Tap {
  readonly backend = 'pcap'
  readonly detail: string
  readonly slackMillis: number
  readonly #session: import('pcap').PcapSession
  readonly #inside: Inside
  readonly #sink: TapSink
  readonly #name: string
  readonly #began: string
  readonly #batch = Buffer.alloc(BATCH_BYTES)
  #at = 0
  #paused = false
  #over = false
  #discarded = 0
  readonly #totals: CaptureCounts = { received: 0, dropped: 0, interfaceDropped: 0 }
  readonly #last: CaptureCounts = { received: 0, dropped: 0, interfaceDropped: 0 }
  /** Calls by the event loop, and packets that only `look` has found: the event loop may have stopped calling. */
  #called = 0
  #packets = 0
  #calledBefore = 0
  #strays = 0
  /** Reads where the event loop does not call. */
  #asking: NodeJS.Timeout | undefined

  constructor(
    session: import('pcap').PcapSession,
    wish: TapWish,
    began: string,
    sink: TapSink,
    library: string,
  ) {
    this.#session = session
    this.#inside = session as unknown as Inside
    this.#name = wish.interface
    this.#began = began
    this.#sink = sink
    this.detail = `the pcap addon, ${library}`
    this.slackMillis = wish.bufferMillis + 200
    const link = String(session.link_type)
    sink.bytes(fileHeader(LINKS[link] ?? Number(/\d+$/.exec(link)?.[0] ?? 0), wish.snaplen))
    session.on('packet', ({ buf, header }) => this.#take(buf, header))
    this.#inside.session.read_callback = () => {
      this.#called++
      // Not read, it is ready again at once: others must get their turn.
      if (this.#paused) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
      else this.#read()
    }
  }

  #take(buf: Buffer, header: Buffer): void {
    this.#packets++
    if (this.#paused) {
      this.#discarded++
      return
    }
    const length = Math.min(header.readUInt32LE(8), buf.length)
    if (this.#at + RECORD_HEADER + length > BATCH_BYTES) this.#flush()
    const batch = this.#batch
    let at = this.#at
    // The header is that of a record in a file: seconds, microseconds, captured, on the wire.
    batch.set(header, at)
    at += RECORD_HEADER
    buf.copy(batch, at, 0, length)
    this.#at = at + length
  }

  #flush(): void {
    const end = this.#at
    this.#at = 0
    if (end > 0) this.#sink.bytes(this.#batch.subarray(0, end))
  }

  #read(): void {
    if (this.#over || this.#paused) return
    const { session, buf, header } = this.#inside
    const result = session.dispatch(buf, header)
    this.#flush()
    if (result === -1)
      this.#ended(interfaceChange(this.#name, this.#began) ?? 'reading packets failed')
  }

  look(): void {
    if (this.#over || this.#paused) return
    const change = interfaceChange(this.#name, this.#began)
    const before = this.#packets
    this.#read()
    if (change !== undefined) this.#ended(change)
    if (this.#asking !== undefined) return
    const stray = this.#packets > before && this.#called === this.#calledBefore
    this.#calledBefore = this.#called
    this.#strays = stray ? this.#strays + 1 : 0
    // The interface was off for a moment: the event loop has let go of it, but it can still be read.
    if (this.#strays >= STRAYS_MAX) this.#asking = setInterval(() => this.#read(), ASK_MILLIS)
  }

  #ended(words: string): void {
    if (this.#over) return
    this.#over = true
    clearInterval(this.#asking)
    this.#sink.ended(words)
  }

  counts(): CaptureCounts {
    try {
      const { ps_recv, ps_drop, ps_ifdrop } = this.#session.stats()
      this.#add('received', ps_recv)
      this.#add('dropped', ps_drop)
      this.#add('interfaceDropped', ps_ifdrop)
    } catch {
      // The interface has gone: what was counted before stays.
    }
    return { ...this.#totals, dropped: this.#totals.dropped + this.#discarded }
  }

  /** The kernel counts in 32 bits. */
  #add(name: keyof CaptureCounts, now: number): void {
    this.#totals[name] += (now - this.#last[name]) >>> 0
    this.#last[name] = now
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
  }

  async close(): Promise<void> {
    this.#paused = false
    clearInterval(this.#asking)
    this.#read()
    this.#over = true
  }
}

/** The header of a capture file: little-endian, microseconds. */
export function fileHeader(linkType: number, snaplen: number): Buffer {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(snaplen, 16)
  header.writeUInt32LE(linkType, 20)
  return header
}
