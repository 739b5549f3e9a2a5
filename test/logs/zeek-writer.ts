// Writes rows the way Zeek's TSV and JSON writers do, so that tests can read one row in both.

export type ZeekValue = string | number | boolean | readonly string[] | undefined
export type ZeekFields = Readonly<Record<string, ZeekValue>>

export const CONN_ROW = {
  ts: '1517336042.090842',
  uid: 'CHhAvVGS1DHFjwGM9',
  'id.orig_h': '10.55.182.100',
  'id.orig_p': 14291,
  'id.resp_h': '93.184.216.34',
  'id.resp_p': 443,
  proto: 'tcp',
  service: 'ssl',
  duration: '3.000158',
  orig_bytes: 517,
  resp_bytes: 4096,
  conn_state: 'SF',
  local_orig: true,
  local_resp: false,
  missed_bytes: 0,
  history: 'ShADadFf',
  orig_pkts: 9,
  orig_ip_bytes: 897,
  resp_pkts: 8,
  resp_ip_bytes: 4424,
  tunnel_parents: undefined,
} as const satisfies ZeekFields

const NUMBERS = new Set(['ts', 'duration', 'rtt'])

function escaped(value: string, more: RegExp): string {
  if (value === '-') return '\\x2d'
  if (value === '(empty)') return '\\x28empty)'
  return value
    .replace(/\\/g, '\\\\')
    .replace(/[\u0000-\u001f\u007f-\uffff]/g, hexOf)
    .replace(more, hexOf)
}

function hexOf(char: string): string {
  return [...Buffer.from(char)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}

function tsvValue(value: ZeekValue): string {
  if (value === undefined) return '-'
  if (typeof value === 'boolean') return value ? 'T' : 'F'
  if (typeof value === 'object')
    return value.length === 0 ? '(empty)' : value.map((item) => escaped(item, /,/g)).join(',')
  if (value === '') return '(empty)'
  return escaped(String(value), /\t/g)
}

export function zeekHeader(path: string, fields: readonly string[]): string {
  return [
    '#separator \\x09',
    '#set_separator\t,',
    '#empty_field\t(empty)',
    '#unset_field\t-',
    `#path\t${path}`,
    '#open\t2018-01-30-18-14-02',
    `#fields\t${fields.join('\t')}`,
    `#types\t${fields.map(() => 'string').join('\t')}`,
    '',
  ].join('\n')
}

/** A whole TSV log; its columns are those of the first row. */
export function zeekTsv(path: string, rows: readonly ZeekFields[]): string {
  const fields = Object.keys(rows[0]!)
  const body = rows.map((row) => `${fields.map((field) => tsvValue(row[field])).join('\t')}\n`)
  return `${zeekHeader(path, fields)}${body.join('')}#close\t2018-01-30-19-00-00\n`
}

/** The same rows in JSON, unset fields left out; times and intervals as bare decimals. */
export function zeekJson(rows: readonly ZeekFields[]): string {
  return rows.map((row) => `${zeekJsonRow(row)}\n`).join('')
}

export function zeekJsonRow(row: ZeekFields): string {
  const members = Object.entries(row)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const bare = NUMBERS.has(key) && typeof value === 'string'
      return `"${key}":${bare ? value : JSON.stringify(value)}`
    })
  return `{${members.join(',')}}`
}
