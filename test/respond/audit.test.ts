// The audit chain: nothing in it can be changed, taken out or put in without being seen, and a crash costs at most the
// record that was being written.

import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { NODE_DISK } from '../../src/bus/disk.ts'
import {
  AUDIT_LINE_MAX,
  AUDIT_START,
  type AuditEntry,
  type AuditRecord,
  auditLine,
  checkAudit,
} from '../../src/respond/audit-chain.ts'
import { AUDIT_NAME, AuditBroken, AuditLog } from '../../src/respond/audit-log.ts'

const entry = (subject: string): AuditEntry => ({
  at: 1_700_000_000_000,
  actor: 'system',
  action: 'revocation.called',
  subject,
  detail: { status: 200 },
})

function chainOf(entries: readonly AuditEntry[]): string {
  let head = AUDIT_START
  let text = ''
  for (const one of entries) {
    const next = auditLine(head, one)
    text += next.line
    head = next.head
  }
  return text
}

const anyEntry = fc.record({
  at: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  actor: fc.string({ unit: 'binary' }),
  action: fc.string(),
  subject: fc.string({ unit: 'binary' }),
  detail: fc.dictionary(fc.string(), fc.jsonValue()),
})

describe('a chain', () => {
  test('gives back what was recorded, whatever it holds', () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 8 }), (entries) => {
        const records: AuditRecord[] = []
        const verdict = checkAudit(chainOf(entries), (record) => records.push(record))
        expect(verdict).toMatchObject({ torn: 0, head: { seq: entries.length } })
        expect(verdict.broken).toBeUndefined()
        expect(records).toMatchObject(JSON.parse(JSON.stringify(entries)) as AuditEntry[])
      }),
    )
  })

  test('shows every changed character, and where', () => {
    const text = chainOf([entry('a'), entry('b'), entry('c')])
    for (let at = 0; at < text.length; at++) {
      const changed = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`
      const { broken, head, torn } = checkAudit(changed)
      // Without its line feed the last record is one that was being written.
      if (at === text.length - 1) expect([head.seq, torn > 0]).toEqual([2, true])
      else expect(broken?.line).toBe(text.slice(0, at).split('\n').length)
    }
  })

  test('shows a record that was taken out, put in twice or moved', () => {
    const [a, b, c] = chainOf([entry('a'), entry('b'), entry('c')])
      .trimEnd()
      .split('\n')
    for (const [lines, line] of [
      [[a, c], 2],
      [[b, c], 1],
      [[a, a, b, c], 2],
      [[a, c, b], 2],
    ] as const)
      expect(checkAudit(`${lines.join('\n')}\n`).broken?.line).toBe(line)
  })

  test('holds no character that a terminal would obey', () => {
    const text = chainOf([entry('\u001b[2J\u202e')])
    expect(text).not.toMatch(/[\u0000-\u0009\u001b\u202e]/)
  })

  test('takes no record that is too long', () => {
    expect(() => auditLine(AUDIT_START, entry('x'.repeat(AUDIT_LINE_MAX)))).toThrow('too long')
  })
})

describe('the log on disk', () => {
  const directories: string[] = []
  const directory = () => {
    const made = mkdtempSync(join(tmpdir(), 'audit-'))
    directories.push(made)
    return made
  }
  afterEach(() => {
    for (const made of directories.splice(0)) rmSync(made, { recursive: true })
  })

  test('is continued by the next process', async () => {
    const where = directory()
    const first = await AuditLog.open(where, () => {})
    await Promise.all([first.append(entry('a')), first.append(entry('b'))])
    await first.close()
    const seen: string[] = []
    const second = await AuditLog.open(where, ({ subject }) => seen.push(subject))
    await second.append(entry('c'))
    await second.close()
    expect(seen).toEqual(['a', 'b'])
    const { head, broken } = checkAudit(readFileSync(join(where, AUDIT_NAME), 'utf8'))
    expect([head, broken]).toEqual([second.head, undefined])
    expect(head.seq).toBe(3)
  })

  test('takes off a record that a crash cut short, and says so', async () => {
    const where = directory()
    const first = await AuditLog.open(where, () => {})
    await first.append(entry('a'))
    await first.close()
    appendFileSync(join(where, AUDIT_NAME), '{"seq":2,"at":')
    const seen: AuditRecord[] = []
    const second = await AuditLog.open(where, (record) => seen.push(record))
    await second.close()
    expect(seen.map(({ action }) => action)).toEqual(['revocation.called', 'audit.torn'])
    expect(seen[1]!.detail).toEqual({ bytes: 14 })
    expect(checkAudit(readFileSync(join(where, AUDIT_NAME), 'utf8')).broken).toBeUndefined()
  })

  test('takes it off where it was cut within a character, and nothing of the record before', async () => {
    const where = directory()
    const first = await AuditLog.open(where, () => {})
    await first.append(entry('größe'))
    const { head } = first
    await first.close()
    const name = join(where, AUDIT_NAME)
    const bytes = readFileSync(name)
    const accent = bytes.indexOf(0xc3)
    appendFileSync(name, bytes.subarray(0, accent + 1))
    const second = await AuditLog.open(where, () => {})
    await second.close()
    const text = readFileSync(name, 'utf8')
    expect(checkAudit(text)).toEqual({ head: second.head, torn: 0 })
    expect(text.split('\n')[0]).toContain(head.hash)
  })

  test('is not continued where it does not hold together', async () => {
    const where = directory()
    const text = chainOf([entry('a'), entry('b')])
    writeFileSync(join(where, AUDIT_NAME), text.replace('"b"', '"c"'))
    await expect(AuditLog.open(where, () => {})).rejects.toThrow(AuditBroken)
    await expect(AuditLog.open(where, () => {})).rejects.toThrow(`${AUDIT_NAME}:2 was changed`)
  })

  test('ends the process when the disk does not keep a record, and loses none when it is full', async () => {
    const where = directory()
    let fault = ''
    const log = await AuditLog.open(where, () => {}, {
      ...NODE_DISK,
      create: async (name) => {
        const file = await NODE_DISK.create(name)
        const failing = (what: string) => {
          if (fault === what) throw Object.assign(new Error(what), { code: what })
        }
        return Object.assign(Object.create(file) as typeof file, {
          write: async (pieces: readonly Uint8Array[], at: number) => {
            // A full disk takes a part of it.
            if (fault === 'ENOSPC') await file.write([pieces[0]!.subarray(0, 5)], at)
            failing('ENOSPC')
            await file.write(pieces, at)
          },
          sync: async () => {
            failing('EIO')
            await file.sync()
          },
          truncate: (length: number) => file.truncate(length),
          close: () => file.close(),
        })
      },
    })
    await log.append(entry('a'))
    fault = 'ENOSPC'
    await expect(log.append(entry('b'), false)).rejects.toThrow('no space left')
    const patient = log.append(entry('c'))
    await expect.poll(() => log.waits).toBe(true)
    // Who does not wait is told so at once, also while somebody does.
    await expect(log.append(entry('b'), false)).rejects.toThrow('no space left')
    fault = ''
    await patient
    expect(log.waits).toBe(false)
    fault = 'EIO'
    await expect(log.append(entry('d'))).rejects.toMatchObject({ name: 'BusFault' })
    fault = ''
    // What the disk may have forgotten is never written again as if nothing had happened.
    await expect(log.append(entry('e'))).rejects.toMatchObject({ name: 'BusFault' })
    await log.close()
    const seen: string[] = []
    checkAudit(readFileSync(join(where, AUDIT_NAME), 'utf8'), ({ subject }) => seen.push(subject))
    expect(seen.slice(0, 2)).toEqual(['a', 'c'])
  })
})
