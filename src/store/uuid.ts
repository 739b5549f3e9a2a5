// UUIDs as text, as they come in chunk headers and command lines.

import { formatUuid } from '../hash.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function isUuid(text: string): boolean {
  return UUID.test(text)
}

/** The 16 bytes of lower-case 8-4-4-4-12 text. @throws RangeError if it is none. */
export function parseUuid(text: string): Uint8Array {
  if (!isUuid(text)) throw new RangeError(`${JSON.stringify(text)} is no UUID`)
  return Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'))
}

/** A list of UUIDs as it stands in SQL. @throws RangeError if one is none */
export function uuidList(ids: readonly string[]): string {
  return ids.map((id) => `'${formatUuid(parseUuid(id))}'`).join(', ')
}
