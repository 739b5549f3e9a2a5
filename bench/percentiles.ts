// Latencies in words: percentiles, and a histogram for people.

export interface Percentiles {
  count: number
  p50: number
  p90: number
  p99: number
  max: number
}

/** By the nearest rank: a value that was measured, never one in between. NaN where there is none. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) =>
    sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}

/** Upper ends of bins, in milliseconds: each about half as large again as the one before. */
const BINS = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 400, 700, 1000, 3000]
const BAR = 50

/** A line for each bin from the first to the last that holds something. */
export function histogram(values: readonly number[]): string {
  const ends = [...BINS, Number.POSITIVE_INFINITY]
  const counts = ends.map(
    (end, i) =>
      values.filter((value) => value <= end && value > (ends[i - 1] ?? Number.NEGATIVE_INFINITY))
        .length,
  )
  const most = Math.max(...counts)
  const first = counts.findIndex((count) => count > 0)
  const last = counts.findLastIndex((count) => count > 0)
  if (first < 0) return '  nothing was measured\n'
  let seen = 0
  return counts
    .map((count, i) => {
      if (i < first || i > last) return ''
      seen += count
      const end = Number.isFinite(ends[i]!) ? `<= ${ends[i]}` : `> ${BINS.at(-1)}`
      const bar = '#'.repeat(Math.ceil((count / most) * BAR))
      const share = ((seen / values.length) * 100).toFixed(1).padStart(6)
      return `${end.padStart(8)} ms ${String(count).padStart(6)} ${share} %  ${bar}\n`
    })
    .join('')
}
