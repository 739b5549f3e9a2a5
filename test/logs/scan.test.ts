import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAddress, parseAddress } from '../../src/address.ts'
import {
  BAD,
  countOf,
  decimalMicros,
  isoMicros,
  readAddress,
  TOO_LARGE,
  timeOf,
  uintOf,
} from '../../src/logs/scan.ts'

function on<T>(read: (bytes: Uint8Array, start: number, end: number) => T, text: string): T {
  // Something on both sides, so that a reader that goes astray is caught.
  const bytes = Buffer.from(`7${text}7`)
  return read(bytes, 1, bytes.length - 1)
}

function address(text: string): string | undefined {
  const to = new Uint8Array(48).fill(0xaa)
  const found = on((bytes, start, end) => readAddress(bytes, start, end, to, 16), text)
  expect(to.subarray(0, 16).every((byte) => byte === 0xaa)).toBe(true)
  expect(to.subarray(32).every((byte) => byte === 0xaa)).toBe(true)
  return found ? formatAddress(to, 16) : undefined
}

describe('numbers', () => {
  test.each([
    ['0', 0],
    ['65535', 65535],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740993', TOO_LARGE],
    ['18446744073709551615', TOO_LARGE],
    ['', BAD],
    ['-1', BAD],
    ['1x', BAD],
  ])('uintOf %s', (text, value) => expect(on(uintOf, text)).toBe(value))

  test.each([
    ['12.0', 12],
    ['1e3', 1000],
    ['12.5', BAD],
    ['-3', BAD],
    ['1e30', TOO_LARGE],
    ['Infinity', BAD],
  ])('countOf %s', (text, value) => expect(on(countOf, text)).toBe(value))
})

describe('times', () => {
  test.each([
    ['1517336042.279652', 1_517_336_042_279_652],
    ['1517336042', 1_517_336_042_000_000],
    ['1517336042.2', 1_517_336_042_200_000],
    ['1547188415.8574971', 1_547_188_415_857_497],
    ['1547188415.8574976', 1_547_188_415_857_498],
    ['1547188415.9999999', 1_547_188_416_000_000],
    // Milliseconds, as TS_MILLIS writes them.
    ['1517336042279', 1_517_336_042_279_000],
    ['1.517336042e9', 1_517_336_042_000_000],
    ['2018-01-30T18:14:02.279652Z', 1_517_336_042_279_652],
    ['2018-01-30T18:14:02Z', 1_517_336_042_000_000],
    ['2018-01-30T20:14:02+02:00', 1_517_336_042_000_000],
    ['2025-09-27T21:12:57.083366649Z', 1_759_007_577_083_366],
    ['0.000001', 1],
  ])('timeOf %s', (text, micros) => expect(on(timeOf, text)).toBe(micros))

  test.each(['', '-', 'XXXXXXXXXX.XXXXXX', '1.', '.5', '-1.0', 'inf', '2018-02-30T00:00:00Z'])(
    'timeOf refuses %s',
    (text) => expect(on(timeOf, text)).toBeNaN(),
  )

  test('six digits are kept exactly, whatever the second', () => {
    fc.assert(
      fc.property(fc.nat(4_000_000_000), fc.nat(999_999), (seconds, micros) => {
        const text = `${seconds}.${String(micros).padStart(6, '0')}`
        expect(on(decimalMicros, text)).toBe(seconds * 1_000_000 + micros)
      }),
    )
  })

  test('an ISO time is what Date makes of it', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date(0), max: new Date('2261-01-01'), noInvalidDate: true }),
        (date) => {
          expect(on(isoMicros, date.toISOString())).toBe(date.getTime() * 1000)
        },
      ),
    )
  })
})

describe('addresses', () => {
  test.each([
    ['10.0.0.255', '10.0.0.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['fe80::1', 'fe80::1'],
    ['2001:db8:1234:a100:8d6e:3477:df66:f105', '2001:db8:1234:a100:8d6e:3477:df66:f105'],
    ['2001:DB8::', '2001:db8::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s', (text, shown) => expect(address(text)).toBe(shown))

  test.each([
    '',
    '-',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '1..2.3',
    '01.2.3.4',
    '1.2.3.4x',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1:',
    'g::',
  ])('refuses %j', (text) => expect(address(text)).toBeUndefined())

  test('reads what it can write, and agrees with the slow reader about everything else', () => {
    const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(bytes16, fc.nat(255), (bytes, zeros) => {
        for (let i = 0; i < 8; i++) if (zeros & (1 << i)) bytes.fill(0, 2 * i, 2 * i + 2)
        expect(address(formatAddress(bytes))).toBe(formatAddress(bytes))
      }),
    )
    const text = fc.string({ unit: fc.constantFrom(...'0123456789abcdef::::...'), maxLength: 24 })
    fc.assert(
      fc.property(text, (candidate) => {
        const slow = parseAddress(candidate)
        const fast = address(candidate)
        // The slow reader knows short forms of IPv4 and leading zeros; we never read more than it.
        if (fast !== undefined) expect(slow && formatAddress(slow)).toBe(fast)
        else if (slow !== undefined) expect(candidate).toMatch(/(^|[.:])0\d/)
      }),
      { numRuns: 3000 },
    )
  })
})
