// One packet while it is taken apart. A single object is reused for all packets; the layers (link.ts, ip.ts,
// tunnel.ts) move `at` inwards and fill in what they learn. Offsets are into `bytes`.

export class Packet {
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  /** Where the layer in hand begins, where the captured bytes end, where the packet ended on the wire. */
  at = 0
  end = 0
  wireEnd = 0
  time = 0
  interfaceIndex = 0
  vlan = 0
  innerVlan = 0
  /** An aggregate holds further frames: where the next one begins, 0 = none, and where the last one ends. */
  nextPart = 0
  partsEnd = 0

  // Network layer.
  version = 0
  /** Start of the IP header. */
  ip = 0
  /** Length of the IP packet as its header says: header and payload, without link-layer padding. */
  ipLength = 0
  /** Where the addresses are: 4 or 16 bytes. Routing headers and home addresses move them. */
  source = 0
  destination = 0
  protocol = 0
  /** Payload of IP: its start, its length by the headers, and how much of it was captured. */
  payload = 0
  payloadLength = 0
  payloadCaptured = 0
  /** Fragment offset in bytes, and whether more follow; a whole packet has 0 and false. */
  fragmentOffset = 0
  moreFragments = false
  fragmentId = 0
  /** IPv6: where the fragment header begins, and where the field is that names its type. */
  fragmentHeader = 0
  fragmentNamed = 0
  /** Put together from fragments. */
  reassembled = false
}

/** Why a packet is not (further) part of any flow; '' = go on. Stable codes, counted as coverage. */
export type Skipped = string
