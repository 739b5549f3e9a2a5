// What a failure of the store means for the slice that met it: wait, or look for the chunk that is to blame.

import { BlockError } from '../native-read.ts'
import { StoreError, StoreInconsistentError } from '../store/store-error.ts'

/**
 * `wait`: nothing is wrong with the slice; try again later, however long it takes · `slower`: as `wait`, and send less
 * often · `contradicted`: the store holds rows that contradict it · `refused`: the store, or our own encoder, will not
 * take these rows, ever · `fault`: not a matter of the store.
 */
export type StoreTrouble = 'wait' | 'slower' | 'contradicted' | 'refused' | 'fault'

const TOO_MANY_PARTS = 252
/**
 * Codes of ClickHouse that speak of the rows of a block: text or numbers that cannot be parsed, columns or types that
 * do not fit, values out of range. Whatever else a server says, it may be mended there, so the slice waits.
 */
const DATA_CODES: ReadonlySet<number> = new Set([
  6, 9, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 190, 321, 349, 441, 676, 677,
])

export function storeTroubleOf(error: unknown): StoreTrouble {
  if (error instanceof BlockError || error instanceof RangeError) return 'refused'
  if (!(error instanceof StoreError)) return 'fault'
  if (error instanceof StoreInconsistentError) return 'contradicted'
  if (error.code === TOO_MANY_PARTS) return 'slower'
  return error.code !== undefined && DATA_CODES.has(error.code) ? 'refused' : 'wait'
}
