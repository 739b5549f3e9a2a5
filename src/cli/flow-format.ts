// The three formats that flows are printed in. Each says how a cell begins, what an unset one looks like, and
// how text from outside is made harmless for whoever opens the output.

import { printable, printableJson } from '../wire-text.ts'
import { FLOW_FIELDS, type FlowField, zeekOrder } from './flow-fields.ts'

export const FLOW_FORMATS = ['ndjson', 'csv', 'zeek'] as const
export type FlowFormatName = (typeof FLOW_FORMATS)[number]

export interface FlowFormat {
  readonly fields: readonly FlowField[]
  /** Written once, before the first flow. */
  readonly header: string
  /** What stands before the value of field number `index`, and in place of one that is unset. */
  begin(field: FlowField, index: number): string
  unset(index: number): string
  readonly end: string
  /** Around values that are text: addresses, ids, words. */
  readonly quote: string
  /** A text value or a list, whole, with quotes where needed. */
  text(value: string): string
  list(values: readonly string[]): string
  readonly yes: string
  readonly no: string
  /** Flags of the 128 ASCII characters that `text` leaves as they are, wherever they stand. */
  readonly safe: Uint8Array
}

/** The format of that name; local_orig and local_resp only `withLocal`. */
export function flowFormat(name: FlowFormatName, withLocal: boolean): FlowFormat {
  const fields = FLOW_FIELDS.filter((field) => withLocal || field.kind !== 'local')
  return name === 'ndjson' ? ndjson(fields) : name === 'csv' ? csv(fields) : zeek(zeekOrder(fields))
}

function safeExcept(unsafe: string): Uint8Array {
  const flags = new Uint8Array(128)
  for (let code = 0x20; code < 0x7f; code++)
    flags[code] = unsafe.includes(String.fromCharCode(code)) ? 0 : 1
  return flags
}

function ndjson(fields: readonly FlowField[]): FlowFormat {
  return {
    fields,
    header: '',
    begin: (field, index) => `${index === 0 ? '{' : ','}"${field.name}":`,
    unset: () => '',
    end: '}\n',
    quote: '"',
    text: printableJson,
    list: printableJson,
    yes: 'true',
    no: 'false',
    safe: safeExcept('"\\'),
  }
}

// A spreadsheet takes a cell that begins like this for a formula (ASVS 1.2.10), in full width too.
const FORMULA = /^[=+\-@\t\r\0\uff1d\uff0b\uff0d\uff20]/

/** A CSV cell that no spreadsheet runs: RFC 4180 quotes, and an apostrophe before what looks like a formula. */
export function csvCell(value: string): string {
  // Tested before it is made printable: a leading tab stays harmless, and is marked as what it was.
  const text = (FORMULA.test(value) ? "'" : '') + printable(value)
  return /[",;]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function csv(fields: readonly FlowField[]): FlowFormat {
  return {
    fields,
    header: `${fields.map((field) => field.name).join(',')}\n`,
    begin: (_, index) => (index === 0 ? '' : ','),
    unset: (index) => (index === 0 ? '' : ','),
    end: '\n',
    quote: '',
    text: csvCell,
    list: (values) => csvCell(values.join(' ')),
    yes: 'true',
    no: 'false',
    safe: safeExcept('",;=+-@ \''),
  }
}

/** A value of a Zeek log that is neither its mark for unset nor for empty. */
function zeekCell(value: string): string {
  const text = printable(value)
  return text === '-' ? '\\x2d' : text === '(empty)' ? '\\x28empty)' : text
}

function zeek(fields: readonly FlowField[]): FlowFormat {
  const header = [
    '#separator \\x09',
    '#set_separator\t,',
    '#empty_field\t(empty)',
    '#unset_field\t-',
    '#path\tconn',
    `#fields\t${fields.map((field) => field.name).join('\t')}`,
    `#types\t${fields.map((field) => field.zeek).join('\t')}`,
  ]
  return {
    fields,
    header: `${header.join('\n')}\n`,
    begin: (_, index) => (index === 0 ? '' : '\t'),
    unset: (index) => (index === 0 ? '-' : '\t-'),
    end: '\n',
    quote: '',
    text: zeekCell,
    list: (values) => values.map((value) => zeekCell(value).replaceAll(',', '\\x2c')).join(','),
    yes: 'T',
    no: 'F',
    safe: safeExcept('-('),
  }
}
