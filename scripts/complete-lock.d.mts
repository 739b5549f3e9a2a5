// Types of complete-lock.mjs, for its test.

export interface LockFile {
  packages: Record<string, Record<string, unknown>>
}
export interface MissingPackage {
  key: string
  name: string
  range: string
  dev: boolean
}
export function missingFromLock(lock: LockFile): MissingPackage[]
export function completeLock(lock: LockFile): number
