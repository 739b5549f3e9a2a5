// `bailiwick audit verify`: does the chain of audit records hold together? Needs nothing but the file.

import path from 'node:path'
import type { Command } from 'commander'
import { NODE_DISK, readWhole } from '../bus/disk.ts'
import { type AuditVerdict, checkAudit } from '../respond/audit-chain.ts'
import { AUDIT_BYTES_MAX, AUDIT_NAME } from '../respond/audit-log.ts'
import { printable, printableJson } from '../wire-text.ts'
import { CommandError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { count } from './text-table.ts'

const EXAMPLES = `Examples:
  bailiwick audit verify bailiwick-data/audit             exit 1 if a record was changed, taken out or put in
  bailiwick audit verify audit.log --head 3f2a…           also if what was at the end then is not in it any more
`

export function addAuditCommand(program: Command, parts: CommandParts): void {
  const command = program.command('audit').summary('check the record of what was done')
  command
    .command('verify')
    .argument('<path>', 'an audit log, or the directory that holds it')
    .summary('does the chain of records hold together?')
    .description(
      'Each record names the hash of the one before it. A chain that was cut off at a record holds together; compare its end with one that was kept elsewhere.',
    )
    .addHelpText('before', EXAMPLES)
    .option('--head <hash>', 'hash of a record that must be in the chain')
    .option('--json', 'one JSON object instead of text', false)
    .action(async (given: string, options: { head?: string; json: boolean }) => {
      const { name, text } = await readLog(given)
      let found = options.head === undefined
      const verdict = checkAudit(text, ({ hash }) => {
        found ||= hash === options.head
      })
      const words = verdictText(name, verdict, found ? undefined : options.head)
      if (verdict.broken !== undefined || !found)
        parts.causes.push({ code: 1, words: 'the audit log does not hold together', told: true })
      await parts
        .terminal()
        .out.write(
          options.json
            ? `${printableJson({ schema: 'bailiwick.audit/v1', file: name, ...verdict, found })}\n`
            : words,
        )
    })
}

async function readLog(given: string): Promise<{ name: string; text: string }> {
  for (const name of [given, path.join(given, AUDIT_NAME)])
    try {
      const bytes = await readWhole(NODE_DISK, name, AUDIT_BYTES_MAX + 1)
      if (bytes === undefined) continue
      if (bytes.length > AUDIT_BYTES_MAX)
        throw new CommandError(3, `${printable(name)} is larger than any audit log`)
      return { name, text: bytes.toString('utf8') }
    } catch (error) {
      // A directory was given: the log lies in it.
      if (!(error instanceof Error && 'code' in error && error.code === 'EISDIR')) throw error
    }
  throw new CommandError(3, `there is no audit log at ${printable(given)}`)
}

function verdictText(
  name: string,
  { head, broken, torn }: AuditVerdict,
  lacking: string | undefined,
): string {
  const lines = [
    broken === undefined
      ? `${count(head.seq, 'record')} ${head.seq === 1 ? 'holds' : 'hold'} together`
      : `${name}:${broken.line} ${broken.problem}; the ${head.seq} records before it hold together`,
    `the last of them is ${head.hash}`,
  ]
  if (torn > 0) lines.push(`${torn} bytes at the end are of a record that was being written`)
  if (lacking !== undefined)
    lines.push(`${lacking} is not among them: the chain was cut off, or it is another one`)
  return `${lines.map(printable).join('\n')}\n`
}
