// How a flow is held in the table: one record of 32-bit words and doubles over the same memory. Names are offsets into
// it, of words from the record's first word and of doubles from its first double, which is half of that. Everything that
// a packet touches is here; what few flows have (names, buffers) hangs beside, by flow number.
//
// Memory comes in cache lines of 64 bytes (16 words, 8 doubles), and with many flows every line of one that a packet
// touches is waited for: what is used together lies together. The lines: key, times, the rest, then for the originator
// and for the responder one of words and one of counters.

/** 32-bit words of a record: 448 bytes, seven cache lines. */
export const WORDS = 112

// Words 0-9 are the key: addresses in network order (A is the lower endpoint), ports, the rest.
export const KEY_WORDS = 10
export const ADDRESS_A = 0
export const ADDRESS_B = 4
/** Port of A in the upper half, of B in the lower. */
export const PORTS = 8
/** Protocol in bits 0-7, ONE_WAY in bit 8, capture interface from bit 16. */
export const KEY_REST = 9
export const ONE_WAY = 0x100

export const HASH = 10
/** Bits of anomalies.ts. */
export const ANOMALIES = 11
/** DECIDERS and HANDSHAKES codes of the deciding moment, 0 = not yet. */
export const DECIDED = 12
/** 1 = it came through a tunnel. */
export const TUNNEL = 13
export const FLAGS = 14
/** VLAN ids: outer in the lower half, inner in the upper. */
export const VLANS = 15

/** Code of the services seen (payload.ts). */
export const SERVICE = 32
/** Packets without payload since the handshake was complete. */
export const SILENT = 33
/** Neighbours in the same slot of the wheel, -1 at the ends; slot of the wheel, -1 if in none. */
export const NEXT = 34
export const PREVIOUS = 35
export const SLOT = 36
/** Counts flows as they are created: the order of what is written at the end. */
export const BIRTH = 37
export const OCCURRENCE = 38
/** Records written of this flow so far: more than one only where it was told of while it went on. */
export const RECORDS = 39

/** History, in bytes: how many letters, then the letters. */
export const HISTORY = 40
export const HISTORY_MAX = 31

/** Where the words of the originator and of the responder begin; their counters follow. */
export const ORIG = 48
export const RESP = 80
// Within an endpoint. Sequence numbers are as on the wire, `HIST_*` relative to the first.
export const STATE = 0
export const PREVIOUS_STATE = 1
export const START_SEQ = 2
export const LAST_SEQ = 3
export const ACK_SEQ = 4
export const SEQ_WRAPS = 5
export const ACK_WRAPS = 6
export const HIST_SYN = 7
export const HIST_FIN = 8
export const HIST_RST = 9
export const RETRANSMITS = 10
export const ZERO_WINDOWS = 11
export const GAPS = 12
export const BAD_SUMS = 13
export const FIN_COUNT = 14
/** Bits SAW_* and DID_* below. */
export const SEEN = 15

// Doubles.
export const FIRST = 8
/** Last packet, as it counts for the duration. */
export const LAST = 9
/** Last packet of any kind. */
export const LAST_SEEN = 10
/** Last packet on the decoder's own clock, which never goes back. */
export const LAST_CLOCK = 11
/** On that clock: when this flow ends by itself, if FLAGS say so. */
export const TIMER = 12
export const MISSED = 13
export const DECIDED_AT = 14
/** Counters of an endpoint: at ORIG_COUNTS and RESP_COUNTS. */
export const ORIG_COUNTS = 32
export const RESP_COUNTS = 48
export const PACKETS = 0
export const IP_BYTES = 1
/** Payload bytes (not TCP) · TCP: relative sequence number up to which all bytes have been seen. */
export const PAYLOAD = 2
export const REACHED = 2
/** TCP: acknowledged by the peer, highest byte seen, and where the FIN is (all relative). */
export const TRIMMED = 3
export const UPPER = 4
export const FIN_SEQ = 5

// FLAGS
export const ORIG_IS_B = 1
export const IPV4 = 2
export const FLIPPED = 4
export const DIRECTION_SURE = 8
/** TIMER holds: an unanswered attempt's end, a closed flow's end, a half-closed one's. */
export const ATTEMPT_TIMER = 0x10
export const CLOSE_TIMER = 0x20
export const PARTIAL_TIMER = 0x40
export const CLOSE_DEFERRED = 0x80
export const ANY_TIMER = ATTEMPT_TIMER | CLOSE_TIMER | PARTIAL_TIMER
/** The originator's first bytes need no further look. */
export const INSPECTED = 0x100
export const RESP_INSPECTED = 0x200
/** TCP: both sides have left the handshake, so the long timeout holds. */
export const LONG_TIMEOUT = 0x400
export const PARTIAL = 0x800
export const ORIG_SEEN = 0x1000
export const RESP_SEEN = 0x2000
export const REFUSED = 0x4000
/** TCP: an originator's ACK of the responder's SYN was seen. */
export const HANDSHAKE_DONE = 0x8000
/** Something hangs beside this flow. */
export const HAS_EXTRA = 0x10000
export const IN_USE = 0x20000

// SEEN, per endpoint
export const SAW_SYN = 1
export const SAW_FIN = 2
export const SAW_RST = 4
export const SAW_DATA = 8
export const SAW_ACK = 16
export const SAW_MULTI = 32
export const SAW_FIN_RST = 64
export const SAW_BAD_SUM = 128
export const DID_CLOSE = 256
export const DID_EOF = 512
/** Its gaps can no longer be told. */
export const NO_TRACKING = 1024
export const HAS_HOLES = 2048

// Endpoint states of TCP, as Zeek's; the others use INACTIVE and ESTABLISHED.
export const INACTIVE = 0
export const SYN_SENT = 1
export const SYN_ACK_SENT = 2
export const PARTIAL_STATE = 3
export const ESTABLISHED = 4
export const CLOSED = 5
export const RESET = 6
