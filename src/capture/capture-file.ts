// What the readers of capture files have in common: what they hand on, and how a format is recognised.

/** Largest captured length of one packet, as libpcap's MAXIMUM_SNAPLEN. */
export const CAPTURED_MAX = 262_144

/** Takes packets and problems from a reader. The bytes are borrowed: they are overwritten after the call. */
export interface PacketSink {
  /**
   * One packet.
   * @param time microseconds since 1970; NaN if the file does not say
   * @param interfaceIndex counts the interfaces of the file, over all its sections
   */
  packet(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    capturedLength: number,
    wireLength: number,
    time: number,
    linkType: number,
    interfaceIndex: number,
  ): void
  /** Something unreadable at a byte offset of the input. `kind` is a stable code. */
  problem(kind: string, at: number, words: string, sample: Uint8Array): void
  /** A capture interface was described. */
  captureInterface(index: number, name: string): void
  /** Something worth counting that is no error. */
  note(metric: string, count: number): void
}

/** A reader of one capture file: bytes in, packets out. */
export interface CaptureReader {
  push(bytes: Uint8Array): void
  end(): void
  /** True if the input could not be read to its end. */
  readonly broken: boolean
}

const PCAP_MAGICS = [0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34]

/** The capture format that the first bytes of an input announce, or undefined. Four bytes are enough. */
export function sniffCapture(first: Uint8Array): 'pcap' | 'pcapng' | undefined {
  if (first.length < 4) return undefined
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength)
  const big = view.getUint32(0, false)
  const little = view.getUint32(0, true)
  if (big === 0x0a0d0d0a) return 'pcapng'
  return PCAP_MAGICS.includes(big) || PCAP_MAGICS.includes(little) ? 'pcap' : undefined
}
