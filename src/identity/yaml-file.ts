// YAML that a person wrote, checked against a zod schema, with every mistake at its line and column. Hostile
// YAML is bounded here: size, depth, aliases; and its text is printable in messages.

import {
  CST,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml'
import type { z } from 'zod'
import { printable } from '../wire-text.ts'

/** Largest file that is read, in bytes. */
export const YAML_BYTES_MAX = 1 << 20
/** Deepest nesting, in levels of brackets or in columns of indentation. */
const FLOW_DEPTH_MAX = 32
const INDENT_MAX = 128
/** Most problems told of one file; the rest is counted. */
const PROBLEMS_MAX = 100

export interface SourceFile {
  path: string
  text: string
}

/** A mistake and its place (1-based). A warning leaves the file usable. */
export interface Problem {
  path: string
  line: number
  column: number
  severity: 'error' | 'warning'
  message: string
}

/** `agents/a.yaml:3:5: error: …` */
export function formatProblem(problem: Problem): string {
  const { path, line, column, severity, message } = problem
  return `${path}:${line}:${column}: ${severity}: ${message}`
}

export type KeyPath = readonly (string | number)[]

/** A file as plain values, with the place of each. */
export interface YamlFile {
  readonly path: string
  /** Plain values as they were written, or undefined if the text is no YAML. */
  readonly raw: unknown
  readonly problems: Problem[]
  /** Adds a problem at the value at `keys`, or at its key; at the nearest value above it if there is none. */
  report(severity: Problem['severity'], keys: KeyPath, message: string, at?: 'key' | 'value'): void
  /** `path:line:column` of the value at `keys`. */
  place(keys: KeyPath): string
}

/** Reads the text as one YAML document. Never throws: what is wrong stands in `problems`. */
export function readYaml(file: SourceFile): YamlFile {
  const path = printable(file.path)
  const lines = new LineCounter()
  const problems: Problem[] = []
  let root: Node | null = null
  const add = (severity: Problem['severity'], offset: () => number, message: string): void => {
    // Finding a place is linear in the file, so what is beyond the limit is not looked for.
    if (problems.length > PROBLEMS_MAX) return
    const { line, col } = lines.linePos(offset())
    const place = { path, line: Math.max(1, line), column: Math.max(1, col) }
    if (problems.length < PROBLEMS_MAX) problems.push({ ...place, severity, message })
    else problems.push({ ...place, severity, message: 'more mistakes follow; mend these first' })
  }
  const yaml: { raw: unknown } & Omit<YamlFile, 'raw'> = {
    path,
    raw: undefined,
    problems,
    report: (severity, keys, message, at = 'value') =>
      add(severity, () => offsetOf(root, keys, at), message),
    place: (keys) => {
      const { line, col } = lines.linePos(offsetOf(root, keys, 'value'))
      return `${path}:${Math.max(1, line)}:${Math.max(1, col)}`
    },
  }
  const size = Buffer.byteLength(file.text)
  if (size > YAML_BYTES_MAX) {
    add(
      'error',
      () => 0,
      `expected at most ${YAML_BYTES_MAX} bytes, found ${size} (split the file)`,
    )
    return yaml
  }
  const deep = tooDeep(file.text, lines)
  if (deep !== undefined) {
    add(
      'error',
      () => deep,
      `nested too deeply: at most ${FLOW_DEPTH_MAX} brackets and ${INDENT_MAX} columns`,
    )
    return yaml
  }
  const starts = new LineCounter()
  // Duplicate keys are looked for below: the library compares every key with every other.
  const document = parseDocument(file.text, {
    lineCounter: starts,
    uniqueKeys: false,
    prettyErrors: false,
    // Anything quieter keeps the library from telling of a second document.
    logLevel: 'error',
  })
  lines.lineStarts = starts.lineStarts
  for (const { code, message, pos } of [...document.errors, ...document.warnings])
    add(
      'error',
      () => pos[0],
      code === 'MULTIPLE_DOCS'
        ? 'expected one document, found another (put it into a file of its own)'
        : printable(`expected YAML: ${message}`),
    )
  if (problems.length > 0) return yaml
  root = document.contents
  if (checkNodes(document.contents, add)) yaml.raw = document.toJS({ maxAliasCount: 0 })
  return yaml
}

/** The offset where nesting passes the limits. The library's composer is recursive, so this comes before it. */
function tooDeep(text: string, lines: LineCounter): number | undefined {
  let at = 0
  let lineStart = 0
  let indent = 0
  let brackets = 0
  lines.addNewLine(0)
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token)
    if (type === 'doc-mode' || type === 'flow-error-end' || type === 'scalar') {
      // Marks of the lexer itself; a scalar's source follows as a token of its own.
      if (token.length === 1 && token.charCodeAt(0) < 0x20) continue
    }
    if (type === 'space' && at === lineStart) indent = token.length
    else if (type === 'flow-map-start' || type === 'flow-seq-start') brackets++
    else if (type === 'flow-map-end' || type === 'flow-seq-end') brackets--
    const column = at - lineStart
    const nests = type === 'seq-item-ind' || type === 'explicit-key-ind'
    if (brackets > FLOW_DEPTH_MAX || (nests && column > INDENT_MAX)) return at
    if (type === 'map-value-ind' && brackets === 0 && indent > INDENT_MAX) return at
    for (let nl = token.indexOf('\n'); nl >= 0; nl = token.indexOf('\n', nl + 1)) {
      lineStart = at + nl + 1
      indent = 0
      lines.addNewLine(lineStart)
    }
    at += token.length
  }
  return undefined
}

/** Refuses aliases and duplicate keys. True if the values may be taken. */
function checkNodes(
  contents: Node | null,
  add: (severity: 'error', offset: () => number, message: string) => void,
): boolean {
  let sound = true
  if (contents === null) return true
  visit(contents, {
    Alias(_, node) {
      sound = false
      add(
        'error',
        () => node.range?.[0] ?? 0,
        `aliases are not accepted here (write the value of *${printable(node.source)} out)`,
      )
    },
    Map(_, map) {
      const seen = new Set<string>()
      for (const { key } of map.items) {
        const offset = (): number => (isScalar(key) ? key.range?.[0] : map.range?.[0]) ?? 0
        if (!isScalar(key) || typeof key.value !== 'string') {
          sound = false
          add('error', offset, 'expected a key in plain text')
          continue
        }
        if (seen.has(key.value))
          add('error', offset, `\`${shown(key.value)}\` stands here twice (keep one)`)
        seen.add(key.value)
      }
    },
  })
  return sound
}

function offsetOf(root: Node | null, keys: KeyPath, at: 'key' | 'value'): number {
  let node: unknown = root
  let offset = root?.range?.[0] ?? 0
  for (const [depth, key] of keys.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key)
      if (pair === undefined) break
      const keyNode = pair.key as Node
      const value = pair.value as Node | null
      if (at === 'key' && depth === keys.length - 1) return keyNode.range?.[0] ?? offset
      const empty =
        value === null || (isScalar(value) && value.value === null && value.source === '')
      offset = (empty ? keyNode : value).range?.[0] ?? offset
      node = value
    } else if (isSeq(node) && typeof key === 'number') {
      const item = node.items[key] as Node | undefined
      if (item === undefined) break
      offset = item.range?.[0] ?? offset
      node = item
    } else break
  }
  return offset
}

/** A value as a message quotes it: short and printable. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (value === '') return '""'
  const text = printable(typeof value === 'string' ? value : JSON.stringify(value))
  return text.length > 80 ? text.slice(0, 79) + '…' : text
}

/** `scope.egress[2].port` */
export function keyText(keys: KeyPath): string {
  let text = ''
  for (const key of keys)
    text += typeof key === 'number' ? `[${key}]` : text === '' ? key : `.${key}`
  return printable(text)
}

const EXPECTED: Record<string, string> = {
  string: 'text',
  object: 'keys and values',
  array: 'a list',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
}

/**
 * Checks the values against a schema and reports each mistake where it stands.
 * @param keysAt the keys known at a place, for did-you-mean
 * @returns the schema's output, or undefined if anything is wrong.
 */
export function checkYaml<T>(
  file: YamlFile,
  schema: z.ZodType<T>,
  keysAt: (keys: KeyPath) => readonly string[],
): T | undefined {
  const result = schema.safeParse(file.raw)
  if (result.success) return result.data
  for (const issue of result.error.issues) {
    const keys = issue.path.filter((key) => typeof key !== 'symbol')
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys.slice(0, PROBLEMS_MAX + 1)) {
        const known = keysAt(keys)
        file.report(
          'error',
          [...keys, key],
          `unknown key \`${shown(key)}\`: expected one of ${known.join(', ')}${meant(key, known)}`,
          'key',
        )
      }
      continue
    }
    const { found, depth } = valueAt(file.raw, keys)
    const name = keyText(keys.slice(0, depth))
    if (found === undefined && issue.code !== 'custom')
      file.report('error', keys, `\`${keyText(keys)}\` is missing: expected ${expected(issue)}`)
    else
      file.report(
        'error',
        keys,
        `${name === '' ? '' : `\`${name}\`: `}expected ${expected(issue)}${isHidden(issue) ? '' : `, found ${shown(found)}`}${cure(issue, found)}`,
      )
  }
  return undefined
}

/** What the schema wanted. A custom issue says it itself. */
function expected(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return EXPECTED[issue.expected] ?? issue.expected
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`
    case 'too_big':
      if (isOfNumber(issue)) return issue.message
      return `at most ${issue.maximum} ${issue.origin === 'string' ? 'characters' : 'entries'}`
    case 'too_small':
      if (isOfNumber(issue)) return issue.message
      return `at least ${issue.minimum} ${issue.origin === 'string' ? 'character' : 'entry'}`
    default:
      return issue.message
  }
}

/** The schema of a number says its bounds itself. */
const isOfNumber = ({ origin }: { origin: string }) => origin === 'number' || origin === 'int'

/** A value that may be a secret is not repeated: its custom issue says so in `params.hidden`. */
const isHidden = (issue: z.core.$ZodIssue) =>
  issue.code === 'custom' && issue.params?.hidden === true

/** What mends it, if that is known. A custom issue carries it in `params.cure`. */
function cure(issue: z.core.$ZodIssue, found: unknown): string {
  if (issue.code === 'invalid_value') return meant(String(found), issue.values.map(String))
  if (issue.code === 'invalid_type' && issue.expected === 'string' && typeof found === 'number')
    return ' (write it in quotes)'
  if (issue.code === 'custom' && typeof issue.params?.cure === 'string') return issue.params.cure
  return ''
}

/** The value at `keys`, or the nearest one above it that is no map or list, and how many keys lead there. */
function valueAt(raw: unknown, keys: KeyPath): { found: unknown; depth: number } {
  let value = raw
  for (const [depth, key] of keys.entries()) {
    if (typeof value !== 'object' || value === null) return { found: value, depth }
    value = Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : undefined
  }
  return { found: value, depth: keys.length }
}

/** ` (did you mean egress?)` if one of the known words is near. */
export function meant(word: string, known: readonly string[]): string {
  let best: string | undefined
  let least = Math.max(1, Math.min(3, Math.floor(word.length / 2))) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), least)
    if (distance < least) {
      least = distance
      best = candidate
    }
  }
  return best === undefined ? '' : ` (did you mean ${shown(best)}?)`
}

/** Levenshtein distance, or `limit` if it is not below it. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit || a.length > 200 || b.length > 200) return limit
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)),
      )
    row = next
  }
  return Math.min(limit, row[b.length]!)
}
