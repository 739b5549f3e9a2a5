// The bundled stories: what lies in fixtures/ is what the generator tells, and what it tells is sound.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contentOf, tellAll } from '../fixtures/generate.ts'
import { internetChecksum } from '../fixtures/octets.ts'
import { random } from '../fixtures/random.ts'
import { sha256Hex } from '../src/hash.ts'

const ROOT = join(import.meta.dirname, '..', 'fixtures')
const COMMITTED_BYTES_MAX = 300_000
const cases = tellAll()

function filesUnder(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
}

describe.each(cases)('$name', ({ name, files }) => {
  const directory = join(ROOT, name)

  test.each(Object.keys(files))('%s is what the generator makes', (path) => {
    const committed = readFileSync(join(directory, path))
    expect(committed.length).toBeLessThanOrEqual(COMMITTED_BYTES_MAX)
    const told = contentOf(path, Buffer.from(files[path]!))
    expect(contentOf(path, committed).equals(told)).toBe(true)
  })

  test('holds nothing but its inputs, its expectations, its agents and a README', () => {
    const others = filesUnder(directory).filter((path) => files[path] === undefined)
    expect(others).toContain('README.md')
    for (const path of others) expect(path).toMatch(/^(README\.md|agents\/[a-z-]+\.yaml)$/)
  })

  test('expects something of exactly the agents that are declared', () => {
    const declared = filesUnder(join(directory, 'agents')).map(
      (path) => /^id: (\S+)$/m.exec(readFileSync(join(directory, 'agents', path), 'utf8'))?.[1],
    )
    const expected = JSON.parse(String(files['expected.json']))
    expect(Object.keys(expected.agents).sort()).toEqual(declared.sort())
  })
})

test('the same stories twice are the same bytes', () => {
  const hash = (told: typeof cases) =>
    told.map(({ name, files }) =>
      Object.entries(files).map(([path, content]) => `${name}/${path} ${sha256Hex(content)}`),
    )
  expect(hash(tellAll())).toEqual(hash(cases))
})

test('every case has a line in the table of fixtures/README.md', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  for (const { name } of cases) expect(readme).toContain(`| [${name}](${name}/README.md) |`)
})

test('no two cases have an agent in common', () => {
  const agents = cases.flatMap(({ files }) =>
    Object.keys(JSON.parse(String(files['expected.json'])).agents),
  )
  expect(new Set(agents).size).toBe(agents.length)
})

test('the checksum is that of RFC 1071, and a sum over itself is zero', () => {
  // The example of RFC 1071, section 3: the sum is ddf2.
  expect(internetChecksum(Buffer.from('0001f203f4f5f6f7', 'hex'))).toBe(~0xddf2 & 0xffff)
  expect(internetChecksum(Buffer.from('0001f203f4f5f6f7220d', 'hex'))).toBe(0)
})

test('randomness depends on the seed alone, and stays in its bounds', () => {
  expect(random('a').bytes(64)).toEqual(random('a').bytes(64))
  expect(random('a').bytes(64)).not.toEqual(random('b').bytes(64))
  const chance = random('bounds')
  const seen = new Set(Array.from({ length: 200 }, () => chance.between(3, 6)))
  expect([...seen].sort()).toEqual([3, 4, 5, 6])
})

/** IP packets of a little-endian pcap, without what Ethernet pads behind them. */
function* packetsIn(capture: Buffer): Generator<Buffer> {
  const linkHeader = { 1: 14, 101: 0, 113: 16 }[capture.readUInt32LE(20)]!
  for (let at = 24; at < capture.length; ) {
    const length = capture.readUInt32LE(at + 8)
    let ip = capture.subarray(at + 16 + linkHeader, at + 16 + length)
    // An 802.1Q tag stands where the IP packet would begin.
    if (linkHeader === 14 && capture.readUInt16BE(at + 28) === 0x8100) ip = ip.subarray(4)
    yield ip.subarray(0, ip[0]! >>> 4 === 4 ? ip.readUInt16BE(2) : 40 + ip.readUInt16BE(4))
    at += 16 + length
  }
}

test.each(['document-exfiltration', 'unregistered-llm', 'wrong-port', 'ipv6', 'proxy-users'])(
  '%s: every length and checksum is right',
  (name) => {
    const capture = readFileSync(join(ROOT, name, 'input', `${name}.pcap`))
    let packets = 0
    for (const ip of packetsIn(capture)) {
      const six = ip[0]! >>> 4 === 6
      const [protocol, headerLength, addresses] = six
        ? [ip[6]!, 40, ip.subarray(8, 40)]
        : [ip[9]!, 20, ip.subarray(12, 20)]
      if (!six) expect(internetChecksum(ip.subarray(0, 20))).toBe(0)
      const body = ip.subarray(headerLength)
      // A sum over bytes that hold their own checksum is zero, for TCP, UDP and ICMPv6 with the pseudo-header.
      const pseudo = Buffer.concat([addresses, Buffer.from([0, protocol, 0, 0])])
      pseudo.writeUInt16BE(body.length, pseudo.length - 2)
      expect(internetChecksum(protocol === 1 ? Buffer.alloc(0) : pseudo, body)).toBe(0)
      if (protocol === 17) expect(body.readUInt16BE(4)).toBe(body.length)
      packets++
    }
    expect(packets).toBeGreaterThan(20)
  },
)
