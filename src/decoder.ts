// What every decoder is: bytes are pushed in, records go out through a ChunkWriter, and what could not be read
// is counted. A decoder does no I/O and knows no clock: whoever drives it reads the file.

export interface Decoder {
  /**
   * Takes the next bytes of the input, in pieces of any size; the result does not depend on the pieces. The
   * array is only lent: it is overwritten after the call. Never throws on bad input.
   */
  push(bytes: Uint8Array): void
  /** The input is over: writes open flows and the coverage rows. Leaves `ChunkWriter.end` to the caller. */
  end(): void
  readonly stats: DecodeStats
  /** Captures: flows that have begun and are not written yet. */
  readonly open?: number
  /** Live captures: flows told of for the first time so far. Whoever cuts chunks does not let them wait. */
  readonly decided?: number
  /**
   * Live captures: time goes on though no packet comes.
   * @param now microseconds since 1970; not later than the time of any packet still to come
   */
  tick?(now: number): void
}

export interface DecodeStats {
  /** Sniffed format: pcap, pcapng, zeek-tsv, zeek-json, aws-vpc, ... */
  format: string
  /** Captures: packets and their bytes on the wire. Logs: 0. */
  packets: number
  bytes: number
  /** Logs: every line is accepted, rejected or skipped. Captures: 0. */
  lines: number
  accepted: number
  rejected: number
  skipped: number
  /** What went wrong, in words, with its place; at most ERRORS_MAX of them, printable. */
  errors: string[]
  /** How often something went wrong, also beyond ERRORS_MAX. */
  errorCount: number
  /** True if the input as a whole could not be read to its end (cut, corrupt, foreign). */
  broken: boolean
}

export const ERRORS_MAX = 20

export function newStats(format: string): DecodeStats {
  return {
    format,
    packets: 0,
    bytes: 0,
    lines: 0,
    accepted: 0,
    rejected: 0,
    skipped: 0,
    errors: [],
    errorCount: 0,
    broken: false,
  }
}

/** Counts an error and keeps its words if there is room. */
export function noteError(stats: DecodeStats, words: string): void {
  stats.errorCount++
  if (stats.errors.length < ERRORS_MAX) stats.errors.push(words)
}
