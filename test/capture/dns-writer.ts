// Writes DNS messages for the tests, with names compressed against all that was written before.

import { joined, u16 } from './hello-writer.ts'

export interface WrittenRecord {
  readonly name: string
  readonly type: number
  readonly class?: number
  readonly ttl?: number
  /** Text is a name (CNAME and the like), bytes are the data. */
  readonly data: string | Uint8Array
}

export interface MessageParts {
  readonly id?: number
  readonly flags?: number
  readonly questions?: readonly {
    readonly name: string
    readonly type: number
    readonly class?: number
  }[]
  readonly answers?: readonly WrittenRecord[]
  readonly additional?: readonly WrittenRecord[]
}

export function dnsMessage(parts: MessageParts): Uint8Array {
  const { questions = [], answers = [], additional = [] } = parts
  const counts = [questions.length, answers.length, 0, additional.length]
  const out = [...joined(u16(parts.id ?? 1), u16(parts.flags ?? 0x8180), ...counts.map(u16))]
  const seen = new Map<string, number>()
  const writeName = (name: string) => {
    let rest = name
    while (rest !== '') {
      const at = seen.get(rest)
      if (at !== undefined) {
        out.push(0xc0 | (at >> 8), at & 0xff)
        return
      }
      if (out.length < 0x4000) seen.set(rest, out.length)
      const dot = rest.indexOf('.')
      const label = dot < 0 ? rest : rest.slice(0, dot)
      out.push(label.length, ...Buffer.from(label, 'latin1'))
      rest = dot < 0 ? '' : rest.slice(dot + 1)
    }
    out.push(0)
  }
  for (const question of questions) {
    writeName(question.name)
    out.push(...u16(question.type), ...u16(question.class ?? 1))
  }
  for (const record of [...answers, ...additional]) {
    writeName(record.name)
    const ttl = record.ttl ?? 300
    out.push(
      ...u16(record.type),
      ...u16(record.class ?? 1),
      ...u16(ttl >>> 16),
      ...u16(ttl & 0xffff),
    )
    const lengthAt = out.length
    out.push(0, 0)
    if (typeof record.data === 'string') writeName(record.data)
    else out.push(...record.data)
    const length = out.length - lengthAt - 2
    out[lengthAt] = length >> 8
    out[lengthAt + 1] = length & 0xff
  }
  return Uint8Array.from(out)
}
