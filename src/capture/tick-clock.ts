// Clocks of pcapng interfaces: 64-bit ticks of a power of ten or two, to whole microseconds.

/** Microseconds since 1970 of a 64-bit tick count, given as two halves. */
export type TickClock = (high: number, low: number) => number

const TWO_32 = 0x1_0000_0000
/** Year 9999: later times are a damaged file, and would overflow what reads them. */
const LATEST = 253_402_300_799e6

/**
 * @param resolution if_tsresol: 10^-n, or 2^-n with the high bit set
 * @param offset if_tsoffset, in seconds
 */
export function microsecondClock(resolution: number, offset: number): TickClock {
  const shift = Math.max(-LATEST, Math.min(LATEST, offset * 1e6))
  const ticks = ticksToMicroseconds(resolution)
  return (high, low) => Math.max(0, Math.min(LATEST, ticks(high, low) + shift))
}

function ticksToMicroseconds(resolution: number): TickClock {
  if (resolution <= 6) {
    const factor = 10 ** (6 - resolution)
    return (high, low) => (high * TWO_32 + low) * factor
  }
  if (resolution <= 12) {
    // Exact: the remainder of the upper half stays below 2^53 for divisors up to 10^6.
    const divisor = 10 ** (resolution - 6)
    return (high, low) => {
      const rest = high % divisor
      return ((high - rest) / divisor) * TWO_32 + Math.floor((rest * TWO_32 + low) / divisor)
    }
  }
  const power = BigInt(resolution & 0x7f)
  const perSecond = resolution >= 0x80 ? 1n << power : 10n ** power
  return (high, low) => Number((((BigInt(high) << 32n) | BigInt(low)) * 1_000_000n) / perSecond)
}
