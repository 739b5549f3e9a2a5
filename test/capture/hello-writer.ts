// Writes ClientHellos for the tests: the message, and the TLS records or DTLS record around it.

export interface HelloParts {
  readonly version?: number
  readonly session?: Uint8Array
  readonly ciphers?: readonly number[]
  /** Type and body; `undefined` writes a hello without the extensions field. */
  readonly extensions?: readonly (readonly [number, Uint8Array])[] | undefined
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff)
}

export function u24(value: number): Uint8Array {
  return Uint8Array.of(value >> 16, (value >> 8) & 0xff, value & 0xff)
}

export function joined(...parts: readonly (Uint8Array | readonly number[] | string)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === 'string' ? [...Buffer.from(part, 'latin1')] : [...part],
    ),
  )
}

export function list16(values: readonly number[]): Uint8Array {
  return joined(u16(values.length * 2), ...values.map(u16))
}

export function serverNameBody(name: string): Uint8Array {
  const entry = joined([0], u16(name.length), name)
  return joined(u16(entry.length), entry)
}

export function alpnBody(...protocols: readonly (string | Uint8Array)[]): Uint8Array {
  const entries = joined(...protocols.map((protocol) => joined([protocol.length], protocol)))
  return joined(u16(entries.length), entries)
}

export function versionsBody(versions: readonly number[]): Uint8Array {
  return joined([versions.length * 2], ...versions.map(u16))
}

/** A handshake message, its four-byte header included. */
export function clientHello(parts: HelloParts): Uint8Array {
  const session = parts.session ?? new Uint8Array(0)
  const extensions = joined(
    ...(parts.extensions ?? []).map(([type, body]) => joined(u16(type), u16(body.length), body)),
  )
  const body = joined(
    u16(parts.version ?? 0x0303),
    new Uint8Array(32).fill(7),
    [session.length],
    session,
    list16(parts.ciphers ?? [0x1301]),
    [1, 0],
    'extensions' in parts && parts.extensions === undefined
      ? []
      : joined(u16(extensions.length), extensions),
  )
  return joined([1], u24(body.length), body)
}

/** The message in records, cut before each of the offsets given. */
export function inRecords(message: Uint8Array, cuts: readonly number[] = []): Uint8Array {
  const inside = cuts.filter((cut) => cut > 0 && cut < message.length)
  const edges = [0, ...new Set(inside), message.length].sort((a, b) => a - b)
  return joined(
    ...edges.slice(1).map((edge, i) => {
      const piece = message.subarray(edges[i]!, edge)
      return joined([22, 3, 1], u16(piece.length), piece)
    }),
  )
}

/** The message in one DTLS 1.2 record and one fragment; the cookie is put in where DTLS has it. */
export function inDatagram(message: Uint8Array, cookie = new Uint8Array(0)): Uint8Array {
  const at = 4 + 34 + 1 + message[4 + 34]!
  const body = joined(message.subarray(4, at), [cookie.length], cookie, message.subarray(at))
  const fragment = joined([1], u24(body.length), [0, 0], u24(0), u24(body.length), body)
  return joined([22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0], u16(fragment.length), fragment)
}
