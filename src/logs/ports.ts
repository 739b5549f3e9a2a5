// Which end of a conversation is the server, when nothing but the two ports can tell.

/** Ports of services that listen above 1023, so that two high ports can still be told apart. IANA and practice. */
const LISTENING = [
  1080, 1194, 1234, 1433, 1434, 1521, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 3000, 3128,
  3260, 3268, 3269, 3306, 3389, 4222, 4317, 4318, 4369, 4433, 4443, 5000, 5001, 5044, 5060, 5061,
  5222, 5353, 5432, 5601, 5671, 5672, 5900, 5984, 5985, 5986, 6333, 6379, 6443, 7000, 7474, 7687,
  8000, 8008, 8080, 8081, 8086, 8088, 8123, 8125, 8200, 8300, 8443, 8500, 8529, 8834, 8883, 8888,
  9000, 9042, 9090, 9092, 9093, 9200, 9300, 9418, 9443, 10250, 11211, 11434, 15672, 16379, 19530,
  26379, 27017, 27018, 50051,
]

/** Linux gives clients ports from here on; other systems from 49152 or, on older ones, 1024. */
const EPHEMERAL_FROM = 32_768

/** How little a port looks like one that somebody listens on. */
const RANKS = new Uint8Array(1 << 16).fill(3).fill(0, 1, 1024).fill(2, 1024, EPHEMERAL_FROM)
for (const port of LISTENING) RANKS[port] = 1

/**
 * Which port is more likely the listening one: negative for `a`, positive for `b`, 0 if they look alike. The same
 * answer, mirrored, for both halves of a conversation. Always a guess.
 */
export function listening(a: number, b: number): number {
  const difference = RANKS[a]! - RANKS[b]!
  return difference !== 0 ? difference : a - b
}

/** RFC 1918, RFC 6598 (carrier NAT) and unique local addresses: an endpoint inside somebody's own network. */
export function isPrivate(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return (bytes[at]! & 0xfe) === 0xfc
  if (bytes[at + 10] !== 0xff || bytes[at + 11] !== 0xff) return false
  const first = bytes[at + 12]!
  const second = bytes[at + 13]!
  if (first === 10) return true
  if (first === 172) return second >= 16 && second <= 31
  if (first === 192) return second === 168
  return first === 100 && second >= 64 && second <= 127
}
