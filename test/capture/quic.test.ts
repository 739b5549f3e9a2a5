import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Inspection } from '../../src/capture/inspection.ts'
import { looksLikeQuicInitial, QuicInitials } from '../../src/capture/quic.ts'
import { alpnBody, clientHello, joined, serverNameBody, versionsBody } from './hello-writer.ts'
import { clientKeys, cryptoFrame, initialPacket } from './quic-writer.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

// RFC 9001 appendix A: connection id, CRYPTO frame and keys of the client; RFC 9369 appendix A has the same for version 2.
const DCID = hex('8394c8f03e515708')
const FRAME = hex(
  '060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868' +
    '04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578' +
    '616d706c652e636f6dff01000100000a00080006001d00170018001000070005' +
    '04616c706e000500050100000000003300260024001d00209370b2c9caa47fba' +
    'baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400' +
    '0d0010000e0403050306030203080408050806002d00020101001c0002400100' +
    '3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000' +
    '75300901100f088394c8f03e51570806048000ffff',
)
const V1_KEYS = {
  key: hex('1f369613dd76d5467730efcbe3b1a22d'),
  iv: hex('fa044b2f42a3fd3b46fb255c'),
  hp: hex('9f50449e04a0e810283a1e9933adedd2'),
}
const V2_KEYS = {
  key: hex('8b1a0bc121284290a29e0971b5cd045d'),
  iv: hex('91f73e2351d8fa91660e909f'),
  hp: hex('45b95e15235d6f45a6b19cbcb0294ba9'),
}

const push = (quic: QuicInitials, bytes: Uint8Array) => quic.push(bytes, 0, bytes.length)

const message = clientHello({
  extensions: [
    [0, serverNameBody('quic.example.com')],
    [16, alpnBody('h3')],
    [0x2b, versionsBody([0x0304])],
    [0x33, new Uint8Array(1300)],
  ],
})
const packet = (frames: Uint8Array, number = 0) =>
  initialPacket({ dcid: DCID, frames, number, keys: V1_KEYS, size: 1200 })

describe('RFC 9001 and RFC 9369, appendix A', () => {
  const one = initialPacket({ dcid: DCID, frames: FRAME, number: 2, keys: V1_KEYS, size: 1200 })
  const two = initialPacket({
    version: 0x6b3343cf,
    dcid: DCID,
    frames: FRAME,
    number: 2,
    keys: V2_KEYS,
    size: 1200,
  })

  it('the packets of this test are those of the appendix', () => {
    expect(one).toHaveLength(1200)
    expect(toHex(one)).toMatch(
      /^c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b/,
    )
    expect(toHex(one)).toMatch(/e221af44860018ab0856972e194cd934$/)
    expect(toHex(two)).toMatch(/^d76b3343cf088394c8f03e5157080000449ea0c95e82/)
    expect(clientKeys(DCID)).toEqual(V1_KEYS)
    expect(clientKeys(DCID, 0x6b3343cf)).toEqual(V2_KEYS)
  })

  it.each([
    ['1', one],
    ['2', two],
  ])('opens the Initial of version %s', (_, bytes) => {
    expect(looksLikeQuicInitial(bytes, 0, bytes.length)).toBe(true)
    expect(push(new QuicInitials(), bytes)).toMatchObject({
      status: 'name',
      service: 'quic',
      serverName: 'example.com',
      nameSource: 'quic_sni',
      alpn: 'alpn',
      ja4: expect.stringMatching(/^q13d0211an_/),
      anomalies: [],
    })
  })
})

describe('QuicInitials', () => {
  it('puts a hello together from shuffled, overlapping and repeated pieces of any size', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: message.length - 1 }), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(cuts, fc.infiniteStream(fc.nat()), (at, random) => {
        const edges = [0, ...new Set(at), message.length].sort((a, b) => a - b)
        const frames = edges.slice(1).map((edge, i) => {
          const from = Math.max(0, edges[i]! - (random.next().value % 40))
          return cryptoFrame(from, message.subarray(from, edge))
        })
        frames.sort(() => (random.next().value % 2 === 0 ? 1 : -1))
        const quic = new QuicInitials()
        let answer: Inspection = { status: 'more' }
        for (const [i, frame] of frames.entries())
          if (answer.status === 'more') answer = push(quic, packet(joined([1], frame), i))
        expect(answer).toMatchObject({
          status: 'name',
          serverName: 'quic.example.com',
          anomalies: [],
        })
      }),
      { numRuns: 60 },
    )
  })

  it('reads coalesced packets and skips frames that hold no hello', () => {
    const ack = joined([3], [0x40, 0x50], [9], [1], [2], [0], [1], [1, 2, 3])
    const first = initialPacket({
      dcid: DCID,
      frames: joined(ack, [0, 0, 1], cryptoFrame(0, message.subarray(0, 400))),
      keys: V1_KEYS,
      numberSize: 1,
    })
    const handshake = joined([0xe0, 0, 0, 0, 1, 8], DCID, [0], [0x40, 30], new Uint8Array(30))
    const rest = initialPacket({
      dcid: DCID,
      frames: cryptoFrame(400, message.subarray(400)),
      number: 1,
      numberSize: 2,
      keys: V1_KEYS,
    })
    const answer = push(new QuicInitials(), joined(first, handshake, rest))
    expect(answer).toMatchObject({ status: 'name', serverName: 'quic.example.com' })
  })

  it('keeps the first keys when the client turns to the id that the server chose', () => {
    const quic = new QuicInitials()
    expect(push(quic, packet(cryptoFrame(0, message.subarray(0, 900)))).status).toBe('more')
    const other = initialPacket({
      dcid: hex('aabbccdd'),
      frames: cryptoFrame(900, message.subarray(900)),
      number: 1,
      keys: V1_KEYS,
    })
    expect(push(quic, other)).toMatchObject({ serverName: 'quic.example.com' })
  })

  it('takes new keys after a Retry and after version negotiation', () => {
    const quic = new QuicInitials()
    push(quic, packet(cryptoFrame(0, message.subarray(0, 900))))
    const id = hex('0102030405060708090a')
    const retried = initialPacket({
      dcid: id,
      token: new Uint8Array(70),
      frames: cryptoFrame(0, message),
      number: 1,
      keys: clientKeys(id),
    })
    expect(push(quic, retried)).toMatchObject({ serverName: 'quic.example.com', anomalies: [] })

    const negotiated = new QuicInitials()
    push(negotiated, packet(cryptoFrame(0, message.subarray(0, 900))))
    const draft = { version: 0xff00001d, dcid: id, frames: cryptoFrame(0, message) }
    const again = initialPacket({ ...draft, keys: clientKeys(id, 0xff00001d) })
    expect(push(negotiated, again)).toMatchObject({ serverName: 'quic.example.com' })
  })

  it('waits through a version that only asks for negotiation', () => {
    const reserved = packet(cryptoFrame(0, message.subarray(0, 900)))
    reserved.set([0x1a, 0x2a, 0x3a, 0x4a], 1)
    expect(looksLikeQuicInitial(reserved, 0, reserved.length)).toBe(true)
    expect(push(new QuicInitials(), reserved)).toEqual({ status: 'more' })
  })

  it('begins with early data too, where that came first', () => {
    const early = joined([0xd0, 0, 0, 0, 1, 8], DCID, [0], [0x40, 60], new Uint8Array(60))
    expect(looksLikeQuicInitial(early, 0, early.length)).toBe(true)
    expect(looksLikeQuicInitial(early, 0, early.length - 1)).toBe(false)
    const quic = new QuicInitials()
    expect(push(quic, early)).toEqual({ status: 'more' })
    push(quic, packet(cryptoFrame(0, message.subarray(0, 900)), 1))
    const answer = push(quic, packet(cryptoFrame(900, message.subarray(900)), 2))
    expect(answer).toMatchObject({ serverName: 'quic.example.com', anomalies: [] })
  })

  it('tells bytes that were sent twice and differ', () => {
    const quic = new QuicInitials()
    push(quic, packet(cryptoFrame(0, message.subarray(0, 900))))
    const twisted = message.slice()
    twisted[20]! ^= 1
    push(quic, packet(cryptoFrame(10, twisted.subarray(10, 30)), 1))
    const answer = push(quic, packet(cryptoFrame(900, message.subarray(900)), 2))
    expect(answer).toMatchObject({
      serverName: 'quic.example.com',
      anomalies: ['quic_crypto_conflict'],
    })
  })

  it('finishes with what is there', () => {
    const quic = new QuicInitials()
    push(quic, packet(cryptoFrame(0, message.subarray(0, 900))))
    expect(quic.finish()).toMatchObject({
      status: 'name',
      serverName: 'quic.example.com',
      ja4: '',
      anomalies: ['cut'],
    })
    const late = new QuicInitials()
    push(late, packet(cryptoFrame(500, message.subarray(500, 900))))
    expect(late.finish()).toMatchObject({ status: 'no_name', service: 'quic', anomalies: ['cut'] })
  })

  it('gives up after a bounded number of packets and of bytes', () => {
    const broken = packet(cryptoFrame(0, message.subarray(0, 900)))
    broken[broken.length - 1]! ^= 1
    const quic = new QuicInitials()
    for (let i = 0; i < QuicInitials.MAX_PACKETS; i++)
      expect(push(quic, broken).status).toBe('more')
    expect(push(quic, broken)).toMatchObject({
      status: 'no_name',
      anomalies: ['limit_reached:quic_packets', 'quic_not_opened'],
    })
    const far = packet(cryptoFrame(70_000, new Uint8Array(10)))
    expect(push(new QuicInitials(), far)).toMatchObject({
      anomalies: ['limit_reached:quic_crypto', 'cut'],
    })
  })

  it('stops at a frame that an Initial may not hold, and keeps what came before', () => {
    const quic = new QuicInitials()
    push(quic, packet(joined(cryptoFrame(0, message.subarray(0, 500)), [0x1e])))
    expect(quic.finish()).toMatchObject({
      serverName: 'quic.example.com',
      anomalies: ['cut', 'quic_bad_frame'],
    })
  })

  it('never throws on truncated, changed or random datagrams', () => {
    const whole = packet(cryptoFrame(0, message.subarray(0, 900)))
    for (let i = 0; i <= 60; i++) {
      looksLikeQuicInitial(whole, 0, i)
      new QuicInitials().push(whole, 0, i)
    }
    fc.assert(
      fc.property(fc.nat(60), fc.nat(255), fc.uint8Array({ maxLength: 80 }), (at, value, tail) => {
        const changed = joined(whole.subarray(0, 100), tail)
        changed[at] = value
        looksLikeQuicInitial(changed, 0, changed.length)
        new QuicInitials().push(changed, 0, changed.length)
      }),
      { numRuns: 500 },
    )
  })

  it('never throws on random frames behind sound protection', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 200 }), (frames) => {
        const quic = new QuicInitials()
        push(quic, initialPacket({ dcid: DCID, frames, keys: V1_KEYS }))
        quic.finish()
      }),
    )
  })
})
