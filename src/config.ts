// The only reader of the environment. Everything else is told its settings as parameters.

import { type Network, parseNetwork } from './address.ts'

export interface Environment {
  /** NO_COLOR is set and not empty (https://no-color.org). */
  noColour: boolean
  /** FORCE_COLOR is set and not 0: colour also where the output is no terminal. */
  forceColour: boolean
  /** BAILIWICK_DEBUG is set: faults are printed with their stack. */
  debug: boolean
  /** Columns of the terminal where the terminal itself does not say; undefined if unknown. */
  columns: number | undefined
  /** TERM=dumb: no colour, no bar. */
  dumb: boolean
  /** Every variable that begins with BAILIWICK_ and is not empty, for settings.ts. */
  bailiwick: Readonly<Record<string, string>>
}

/** @param env process.env, or what a test gives instead. */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Environment {
  const columns = Number(env.COLUMNS)
  return {
    noColour: (env.NO_COLOR ?? '') !== '',
    forceColour: (env.FORCE_COLOR ?? '0') !== '0' && env.FORCE_COLOR !== '',
    debug: (env.BAILIWICK_DEBUG ?? '') !== '',
    columns: Number.isInteger(columns) && columns > 0 ? columns : undefined,
    dumb: env.TERM === 'dumb',
    bailiwick: Object.fromEntries(
      Object.entries(env).filter(
        (entry): entry is [string, string] =>
          entry[0].startsWith('BAILIWICK_') && (entry[1] ?? '') !== '',
      ),
    ),
  }
}

/** The sensor's name where none is given. It is part of every flow's identity, so it is not the host's name. */
export const DEFAULT_SENSOR = 'local'

/** Names a sensor may have: they stand in ids, file names and SQL rows. */
export const SENSOR_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/**
 * Networks from `CIDR,CIDR,...`.
 * @returns the networks, or the first piece that is none.
 */
export function parseNetworks(text: string): Network[] | { wrong: string } {
  const networks: Network[] = []
  for (const piece of text.split(',')) {
    const network = parseNetwork(piece.trim())
    if (network === undefined) return { wrong: piece.trim() }
    networks.push(network)
  }
  return networks
}
