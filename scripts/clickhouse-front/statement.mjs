// What a request's statement is: the parts of an INSERT that bring its rows along, in a form that an engine takes
// which cannot be given rows but in a file. Statements are read as bytes, one character each: what matters is ASCII.

/** How far into a statement its rows may begin. */
export const HEAD_BYTES_MAX = 256 * 1024

/** One token after the other; spaces and comments are stepped over. */
const TOKEN =
  /(?:[\s\0]+|--[^\n]*|\/\*[\s\S]*?\*\/)*(?:('(?:[^'\\]|\\[\s\S]|'')*')|(`(?:[^`\\]|\\[\s\S])*`|"(?:[^"\\]|\\[\s\S])*")|([A-Za-z_][\w$]*)|(\d[\w.]*)|(\S))?/y

/**
 * @typedef {{kind: 'text' | 'name' | 'word' | 'number' | 'mark', text: string, from: number, to: number}} Token
 * @param {string} text one character for each byte
 * @returns {Generator<Token>}
 */
function* tokensOf(text) {
  const kinds = ['text', 'name', 'word', 'number', 'mark']
  for (let at = 0; at < text.length; ) {
    // Set anew each time: several readers share the pattern.
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (match === null || match[0] === '') return
    at = TOKEN.lastIndex
    const kind = match.slice(1).findIndex((part) => part !== undefined)
    if (kind < 0) continue
    const token = match[kind + 1]
    const next = { kind: kinds[kind], text: token, from: at - token.length, to: at }
    yield next
  }
}

const isWord = (token, word) => token?.kind === 'word' && token.text.toUpperCase() === word

/**
 * Takes a statement apart.
 * @param {Buffer} head the statement's beginning, or all of it
 * @returns {{
 *   insert: boolean, format: string | undefined, data: number | undefined, statements: number,
 *   rewrite: ((file: string) => Buffer) | undefined
 * }} `insert`: it writes rows. `format`: of the result, or of the rows that come along. `data`: offset where rows
 *   may begin in `head`, if the statement takes any. `rewrite`: the statement reading its rows from a file instead.
 */
export function readStatement(head) {
  const text = head.toString('latin1')
  const insert = isWord(tokensOf(text).next().value, 'INSERT')
  return insert ? readInsert(text) : readOther(text)
}

function readOther(text) {
  let format
  let before
  let statements = 1
  for (const token of tokensOf(text)) {
    if (isWord(before, 'FORMAT') && token.kind === 'word') format = token.text
    if (before?.text === ';') statements++
    before = token
  }
  return { insert: false, format, data: undefined, statements, rewrite: undefined }
}

function readInsert(text) {
  let depth = 0
  let select = false
  let statements = 1
  let input
  const last = []
  for (const token of tokensOf(text)) {
    if (last.at(-1)?.text === ';') statements++
    if (token.kind === 'mark' && token.text === '(') depth++
    else if (token.kind === 'mark' && token.text === ')') depth--
    if (isWord(token, 'SELECT') || isWord(token, 'WITH')) select = true
    // input('structure')
    const [name, open, structure] = last.slice(-3)
    if (
      token.text === ')' &&
      isWord(name, 'INPUT') &&
      open?.text === '(' &&
      structure?.kind === 'text'
    )
      input = { from: name.from, to: token.to, structure: structure.text }
    if (depth === 0 && isWord(last.at(-1), 'FORMAT') && token.kind === 'word')
      return {
        insert: true,
        format: token.text,
        data: afterFormat(text, token.to),
        statements,
        rewrite: rewriter(text, last.at(-1).from, token.text, select, input),
      }
    if (depth === 0 && !select && isWord(token, 'VALUES'))
      return {
        insert: true,
        format: 'Values',
        data: token.to,
        statements,
        rewrite: rewriter(text, token.from, 'Values', select, input),
      }
    last.push(token)
    if (last.length > 3) last.shift()
  }
  return { insert: true, format: undefined, data: undefined, statements, rewrite: undefined }
}

/** Rows begin behind the spaces and at most one line's end, as ClickHouse reads it. */
function afterFormat(text, at) {
  const [gap] = /^[ \t]*;?[ \t]*(?:\r?\n)?/.exec(text.slice(at, at + 1024)) ?? ['']
  return at + gap.length
}

/** `INSERT … SELECT … input('…') … FORMAT X` or `INSERT INTO t (…) FORMAT X`, with the rows in a file. */
function rewriter(text, end, format, select, input) {
  if (select && input === undefined) return undefined
  return (file) => {
    const source = (structure) =>
      `file(${sqlText(file)}, ${sqlText(format)}${structure === undefined ? '' : `, ${structure}`})`
    const sql =
      input === undefined
        ? `${text.slice(0, end)} SELECT * FROM ${source()}`
        : text.slice(0, input.from) + source(input.structure) + text.slice(input.to, end)
    return Buffer.from(sql, 'latin1')
  }
}

/** A string literal of ClickHouse. */
export function sqlText(text) {
  return `'${text.replace(/[\\']/g, (char) => `\\${char}`)}'`
}
