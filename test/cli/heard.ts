// A terminal whose output a test can read.

import { Writable } from 'node:stream'
import { openTerminal, type Terminal } from '../../src/cli/terminal.ts'

export class Memory extends Writable {
  readonly pieces: Buffer[] = []
  get text(): string {
    return Buffer.concat(this.pieces).toString('utf8')
  }
  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.pieces.push(Buffer.from(piece))
    done()
  }
}

export interface Heard {
  terminal: Terminal
  out: Memory
  err: Memory
}

/** No colours, 80 columns, not a terminal. */
export function heard(
  settings: { quiet?: boolean; verbose?: boolean; width?: number } = {},
): Heard {
  const out = new Memory()
  const err = new Memory()
  const terminal = openTerminal({
    stdout: out,
    stderr: err,
    noColour: true,
    forceColour: false,
    dumb: false,
    columns: settings.width ?? 80,
    verbose: settings.verbose ?? false,
    quiet: settings.quiet ?? false,
  })
  return { terminal, out, err }
}

/** Characters that may run in a terminal or hide text in it. Newlines are the lines' own. */
export const RAW_CONTROL =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/

/** Text that does harm somewhere: terminals, logs, spreadsheets, markup. None of it is valid anywhere. */
export const HOSTILE: readonly string[] = [
  '\u001b[2J\u001b]8;;http://x\u0007link',
  'a\u009b31mb',
  'line\nfeed\rreturn\ttab\0nul',
  'user\u202egnp.exe',
  'zero\u200bwidth\ufeff\u2028',
  '=HYPERLINK("http://x","y")',
  '+1+cmd|calc',
  '-2+3',
  '@SUM(A1)',
  '\t=1+1',
  '","injected":"',
  'a,b;c\'d"e\\f',
  '</testcase><script>x</script>&amp;]]>',
  '\ud800lone',
  '{"looks":"like json"}',
  '(empty)',
  '-',
  '＝1+1',
]
