import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { microsecondClock } from '../../src/capture/tick-clock.ts'
import { run } from './capture-run.ts'
import {
  block,
  enhanced,
  interfaceBlock,
  joined,
  option,
  section,
  u32,
  udp,
} from './packet-writer.ts'

const packet = (port: number) => udp(`10.0.0.1:${port}`, '10.0.0.2:9', [1, 2, 3])
const T = 1_700_000_000n * 1_000_000n

function halves(ticks: bigint): [number, number] {
  return [Number(ticks >> 32n), Number(ticks & 0xffff_ffffn)]
}

describe('a pcapng file', () => {
  test.each([false, true])('of byte order big = %s gives its packets with their times', (big) => {
    const file = joined(
      section(big),
      interfaceBlock(101, [], big),
      enhanced(0, T, packet(1000), big),
      enhanced(0, T + 5n, packet(1001), big),
    )
    const result = run(file)
    expect(result.flows.map((flow) => [flow.ts, flow.orig])).toEqual([
      [Number(T), '10.0.0.1:1000'],
      [Number(T) + 5, '10.0.0.1:1001'],
    ])
    expect(result.stats.errors).toEqual([])
  })

  test('may change the byte order with a section; unknown blocks are passed over', () => {
    const file = joined(
      section(true),
      interfaceBlock(101, [], true),
      block(0xbad, new Uint8Array(37), true),
      enhanced(0, T, packet(1), true),
      section(false),
      interfaceBlock(101),
      enhanced(0, T, packet(2)),
    )
    expect(run(file).flows.map((flow) => flow.orig)).toEqual(['10.0.0.1:1', '10.0.0.1:2'])
  })

  test('has a clock and an offset per interface, and names the vantage if there are several', () => {
    const file = joined(
      section(),
      interfaceBlock(101, [option(9, [9]), option(2, Buffer.from('eth0'))]),
      interfaceBlock(101, [option(14, [10, 0, 0, 0, 0, 0, 0, 0])]),
      enhanced(0, T * 1000n + 999n, packet(1)),
      enhanced(1, T, packet(2)),
    )
    expect(run(file).flows.map((flow) => [flow.ts, flow.vantage])).toEqual([
      [Number(T), 'eth0'],
      [Number(T) + 10e6, '1'],
    ])
  })

  test('has simple packets without a time, which get none of ours', () => {
    const bytes = packet(7)
    const file = joined(
      section(),
      interfaceBlock(101),
      block(3, [...u32(bytes.length).reverse(), ...bytes]),
    )
    const result = run(file)
    expect(result.flows.map((flow) => flow.ts)).toEqual([0])
    expect(result.coverage.get('packets_without_time')).toBe(1)
  })

  test('of version 2 is refused aloud', () => {
    const result = run(joined(section(false, 2), interfaceBlock(101), enhanced(0, T, packet(1))))
    expect(result.stats).toMatchObject({ packets: 0, broken: true })
    expect(result.stats.errors[0]).toContain('version 2.0')
  })

  test('with a damaged block loses that block and goes on', () => {
    const parts = [section(), interfaceBlock(101), enhanced(0, T, packet(1))]
    const damaged = enhanced(0, T, packet(2))
    damaged[4] = damaged[4]! + 4
    const at = joined(...parts).length
    const result = run(joined(...parts, damaged, enhanced(0, T, packet(3))))
    expect(result.flows.map((flow) => flow.orig)).toEqual(['10.0.0.1:1', '10.0.0.1:3'])
    expect(result.rejects).toEqual([{ at, reason: 'block_trailer' }])
  })

  test('with a packet of an interface that was not described keeps the others', () => {
    const file = joined(
      section(),
      interfaceBlock(101),
      enhanced(4, T, packet(1)),
      enhanced(0, T, packet(2)),
    )
    const result = run(file)
    expect(result.flows.map((flow) => flow.orig)).toEqual(['10.0.0.1:2'])
    expect(result.rejects.map((reject) => reject.reason)).toEqual(['block_of_unknown_interface'])
  })

  test('cut at any byte delivers every whole packet, and says that it was cut', () => {
    const head = joined(section(), interfaceBlock(101))
    const one = enhanced(0, T, packet(1))
    const file = joined(head, one, one)
    const clean = [28, head.length, head.length + one.length]
    for (let cut = 4; cut < file.length; cut++) {
      const { stats } = run(file.slice(0, cut))
      const packets = Math.max(0, Math.floor((cut - head.length) / one.length))
      expect(stats.packets).toBe(packets)
      expect(stats.broken).toBe(!clean.includes(cut))
    }
  })

  test('gives equal chunks whatever the pieces, damage included', () => {
    const damaged = enhanced(0, T, packet(2))
    damaged[4] = 0xff
    const file = joined(
      section(),
      interfaceBlock(101),
      enhanced(0, T, packet(1)),
      damaged,
      block(0xbad, new Uint8Array(5000)),
      enhanced(0, T, packet(3)),
    )
    const whole = run(file)
    expect(whole.stats.packets).toBe(2)
    expect(run(file, { pieces: [1] }).chunks).toEqual(whole.chunks)
    expect(run(file, { pieces: [3, 50, 7] }).chunks).toEqual(whole.chunks)
  })

  test('of random blocks never throws', () => {
    const any = fc.tuple(fc.integer({ min: 0, max: 8 }), fc.uint8Array({ maxLength: 60 }))
    fc.assert(
      fc.property(fc.array(any, { maxLength: 8 }), (blocks) => {
        const parts = blocks.map(([type, body]) => block(type, body))
        const { stats } = run(joined(section(), interfaceBlock(1), ...parts))
        expect(stats.packets).toBeLessThanOrEqual(blocks.length)
      }),
    )
  })
})

describe('clocks', () => {
  test('agree with exact arithmetic for every resolution', () => {
    const resolution = fc.oneof(
      fc.integer({ min: 0, max: 14 }),
      fc.integer({ min: 0x80, max: 0x80 + 40 }),
    )
    fc.assert(
      fc.property(resolution, fc.bigInt({ min: 0n, max: 2n ** 62n }), (unit, ticks) => {
        const perSecond = unit >= 0x80 ? 2n ** BigInt(unit - 0x80) : 10n ** BigInt(unit)
        const exact = (ticks * 1_000_000n) / perSecond
        fc.pre(exact < 253_402_300_799_000_000n)
        const got = microsecondClock(unit, 0)(...halves(ticks))
        // Doubles hold 2^53; later times are rounded.
        if (exact < 2n ** 53n) expect(got).toBe(Number(exact))
        else expect(Math.abs(got - Number(exact))).toBeLessThanOrEqual(64)
      }),
    )
  })

  test('never leave the years that a reader can hold', () => {
    expect(microsecondClock(0, 0)(0xffff_ffff, 0)).toBe(253_402_300_799e6)
    expect(microsecondClock(6, -100)(0, 5)).toBe(0)
  })
})
