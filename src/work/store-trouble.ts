// What a failure of the store means for the slice that met it: wait, or look for the chunk that is to blame.

import { BlockError } from '../native-read.ts'
import { StoreError, type StoreErrorKind } from '../store/store-error.ts'

/**
 * `wait`: nothing is wrong with the slice, try again later, however long it takes · `slower`: as `wait`, and send less
 * often · `contradicted`: the store holds rows that contradict it · `refused`: the store, or our own encoder, will not
 * take these rows, ever · `fault`: not a matter of the store.
 */
export type StoreTrouble = 'wait' | 'slower' | 'contradicted' | 'refused' | 'fault'

/** What an operator has to mend is waited for like what passes by itself: readiness says what it is. */
const OF_KIND: Readonly<Record<StoreErrorKind, StoreTrouble>> = {
  passing: 'wait',
  operator: 'wait',
  busy: 'slower',
  contradiction: 'contradicted',
  data: 'refused',
}

export function storeTroubleOf(error: unknown): StoreTrouble {
  if (error instanceof StoreError) return OF_KIND[error.kind]
  return error instanceof BlockError || error instanceof RangeError ? 'refused' : 'fault'
}
