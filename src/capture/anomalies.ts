// What can be odd about a flow, as bits while it is in the table and as stable codes in its record.

export const NAME_CHANGED = 1
export const NAME_LATE = 2
export const VLAN_CHANGED = 4
export const TUNNEL_CHANGED = 8
export const PACKETS_CUT = 16
export const HISTORY_CUT = 32
export const BAD_CHECKSUM = 64
export const TIME_WENT_BACK = 128
export const FIRST_BYTES_MISSING = 256
export const FIRST_BYTES_LIMIT = 512
export const MULTIPLE_FLAGS = 1024
export const FRAGMENTED = 2048
export const BAD_TCP_HEADER = 4096
export const SHORT_UDP = 8192

const CODES = [
  'name_changed',
  'name_late',
  'vlan_changed',
  'tunnel_changed',
  'packets_cut',
  'history_cut',
  'bad_checksum',
  'time_went_back',
  'first_bytes_missing',
  'limit_reached:first_bytes',
  'multiple_flags',
  'fragmented',
  'bad_tcp_header',
  'short_udp',
]

const cache = new Map<number, readonly string[]>()

/** The codes of a set of bits. */
export function anomalyCodes(bits: number): readonly string[] {
  let codes = cache.get(bits)
  if (codes === undefined) {
    codes = CODES.filter((_, bit) => (bits & (1 << bit)) !== 0)
    cache.set(bits, codes)
  }
  return codes
}
