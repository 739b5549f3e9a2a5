// The house rules that a machine can hold: which room may import which, where a package lives, how long files
// and functions are, which words and names are not used. Each failure names the file, the line and the cure.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { missingFromLock } from '../scripts/complete-lock.mjs'

const ROOT = path.join(import.meta.dirname, '..')

interface SourceFile {
  /** From the root, with slashes. */
  path: string
  lines: string[]
  /** The lines without comments and the insides of strings: code alone. */
  code: string[]
  imports: { from: string; line: number }[]
}

function filesUnder(directory: string, ending: RegExp): string[] {
  const root = path.join(ROOT, directory)
  if (!existsSync(root)) return []
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    .map((name) => name.replaceAll('\\', '/'))
    .sort()
}

/** Blanks comments, strings and regular expressions, so that rules look at code. Line numbers stay. */
function codeOf(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<=[=(,:[!&|?;{}\n]\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g
  return text.replace(token, (found) => found.replace(/[^\n]/g, ' '))
}

const IMPORT =
  /(?:^|\n)(?:import|export)\s[^'"]*?from\s+'([^']+)'|(?:^|[^.\w])import\(\s*'([^']+)'|(?:^|\n)import\s+'([^']+)'/g

function read(name: string): SourceFile {
  const text = readFileSync(path.join(ROOT, name), 'utf8')
  const imports = [...text.matchAll(IMPORT)].map((match) => ({
    from: match[1] ?? match[2] ?? match[3]!,
    line: text.slice(0, match.index).split('\n').length + 1,
  }))
  const lines = (whole: string) => whole.replace(/\n$/, '').split('\n')
  return { path: name, lines: lines(text), code: lines(codeOf(text)), imports }
}

const SOURCES = filesUnder('src', /\.ts$/).map(read)
const WORKERS = filesUnder('workers', /\.ts$/).map(read)
const EVERYTHING = [
  ...SOURCES,
  ...WORKERS,
  ...['test', 'fixtures', 'bench', 'scripts'].flatMap((name) =>
    filesUnder(name, /\.(ts|mjs)$/).map(read),
  ),
]

/** `src/capture/tls.ts` is of the room `capture`, `src/flow.ts` of `flow.ts`. */
function roomOf(name: string): string {
  const inside = name.slice('src/'.length)
  const slash = inside.indexOf('/')
  return slash < 0 ? inside : inside.slice(0, slash)
}

const GROUND = [
  'address.ts',
  'block.ts',
  'chunk-header.ts',
  'chunk-resume.ts',
  'chunk-split.ts',
  'chunk.ts',
  'community-id.ts',
  'decoder.ts',
  'dns-groups.ts',
  'dns-memory.ts',
  'flow-id.ts',
  'hash-index.ts',
  'hash.ts',
  'host-name.ts',
  'keyed-hash.ts',
  'name-table.ts',
  'native-read.ts',
  'native.ts',
  'wire-text.ts',
]

/** What a room may import stands in a row above it, or in its own room. Rooms of one row do not know each other. */
const RANKS: readonly (readonly string[])[] = [
  ['flow.ts'],
  GROUND,
  ['capture', 'logs', 'identity', 'deciding.ts'],
  ['scope', 'detect'],
  [
    'snapshot.ts',
    'address-facts.ts',
    'coverage-words.ts',
    'judge-bench.ts',
    'judge.ts',
    'judgement-book.ts',
    'judgement-words.ts',
    'outcome.ts',
    'report.ts',
  ],
  ['analyze.ts'],
  ['failpoint.ts', 'process-alive.ts', 'telemetry.ts', 'until-aborted.ts'],
  ['bus', 'store', 'inputs.ts'],
  ['respond'],
  ['api'],
  ['agent-files.ts', 'config.ts', 'sensor.ts'],
  [
    'threads.ts',
    'judge-threads.ts',
    'report-build.ts',
    'pipeline.ts',
    'audit.ts',
    'audit',
    'settings.ts',
    'setting-table.ts',
    'setting-kinds.ts',
    'setting-checks.ts',
  ],
  ['replay.ts', 'ship', 'work', 'live'],
  ['serve'],
  ['cli'],
]
/** Rows whose files may import each other. */
const OPEN_RANKS = [1, 4, 11]

/** Rooms that know no clock, disk, environment, logger or network: time is in the data. */
const PURE = [
  ...RANKS[0]!,
  ...GROUND,
  'capture',
  'logs',
  'identity',
  'scope',
  'detect',
  'deciding.ts',
  'judge-bench.ts',
  'judge.ts',
  'judgement-book.ts',
  'outcome.ts',
  'snapshot.ts',
  'analyze.ts',
]

const rankOf = (room: string) => RANKS.findIndex((rooms) => rooms.includes(room))

describe('imports', () => {
  test('every room has its place', () => {
    const homeless = [...new Set(SOURCES.map(({ path: name }) => roomOf(name)))].filter(
      (room) => rankOf(room) < 0,
    )
    expect(homeless, 'name it in RANKS here and in ARCHITECTURE.md').toEqual([])
  })

  test('go one way', () => {
    const wrong: string[] = []
    for (const file of SOURCES) {
      const room = roomOf(file.path)
      for (const { from, line } of file.imports) {
        if (!from.startsWith('.')) continue
        const target = path.posix.join(path.posix.dirname(file.path), from)
        if (!target.startsWith('src/')) {
          wrong.push(`${file.path}:${line} imports ${target}: src/ knows nothing outside itself`)
          continue
        }
        const other = roomOf(target)
        if (other === room) continue
        const [mine, theirs] = [rankOf(room), rankOf(other)]
        if (theirs < mine || (theirs === mine && OPEN_RANKS.includes(mine))) continue
        wrong.push(`${file.path}:${line} (${room}) may not import ${target} (${other})`)
      }
    }
    expect(wrong, 'turn the dependency round, or pass the thing as a parameter').toEqual([])
  })

  test('name files that exist, with their ending', () => {
    const wrong = EVERYTHING.flatMap((file) =>
      file.imports
        .filter(({ from }) => from.startsWith('.'))
        .filter(({ from }) => !existsSync(path.join(ROOT, path.dirname(file.path), from)))
        .filter(({ from }) => !from.includes('/dist/'))
        .map(({ from, line }) => `${file.path}:${line} imports ${from}, which is not there`),
    )
    expect(wrong).toEqual([])
  })
})

/** The one room of each package. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@clickhouse/client': ['store'],
  chdb: ['store'],
  'cli-progress': ['cli'],
  '@fastify/helmet': ['api'],
  '@fastify/rate-limit': ['api'],
  '@fastify/sse': ['api'],
  '@fastify/static': ['api'],
  '@fastify/swagger': ['api'],
  cockatiel: ['respond'],
  commander: ['cli'],
  fastify: ['api'],
  'fastify-type-provider-zod': ['api'],
  'ipaddr.js': ['address.ts'],
  kafkajs: ['bus'],
  'lru-cache': ['work', 'ship'],
  'lz4-napi': ['bus'],
  picocolors: ['cli'],
  pino: ['cli'],
  pcap: ['live'],
  piscina: ['threads.ts', 'judge-threads.ts'],
  'prom-client': ['api'],
  standardwebhooks: ['respond'],
  tldts: ['detect'],
  undici: ['respond'],
  yaml: ['identity'],
  // A schema stands beside what it describes: agent files there, expectations here.
  zod: ['identity', 'cli', 'settings.ts', 'setting-kinds.ts', 'respond', 'api'],
}

describe('packages', () => {
  const used = SOURCES.flatMap((file) =>
    file.imports
      .filter(({ from }) => !from.startsWith('.') && !from.startsWith('node:'))
      .map(({ from, line }) => ({
        name: from.split('/', from.startsWith('@') ? 2 : 1).join('/'),
        room: roomOf(file.path),
        at: `${file.path}:${line}`,
      })),
  )

  test('are imported in one room each', () => {
    const wrong = used
      .filter(({ name, room }) => HOMES[name]?.includes(room) !== true)
      .map(({ name, at }) => `${at} imports ${name}, whose home is ${HOMES[name] ?? 'nowhere'}`)
    expect(wrong).toEqual([])
  })

  test('are all used', () => {
    const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
    const unused = Object.keys(manifest.dependencies).filter(
      (name) => !used.some((one) => one.name === name),
    )
    expect(unused, 'take it out of package.json').toEqual([])
  })

  test('are pinned, and the lock file names those of every platform', () => {
    const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)),
    )
    expect(loose).toEqual([])
    const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'))
    expect(missingFromLock(lock), 'run node scripts/complete-lock.mjs').toEqual([])
  })
})

const FILE_LINES_MAX = 400
const FUNCTION_LINES_MAX = 80

describe('size', () => {
  test(`files have at most ${FILE_LINES_MAX} lines`, () => {
    const long = [...SOURCES, ...WORKERS]
      .filter((file) => file.lines.length > FILE_LINES_MAX)
      .map((file) => `${file.path} has ${file.lines.length} lines`)
    expect(long, 'find the second thing that lives in it').toEqual([])
  })

  test(`functions have at most ${FUNCTION_LINES_MAX} lines`, () => {
    const long = [...SOURCES, ...WORKERS].flatMap(longFunctions)
    expect(long, 'push the ifs up and the fors down').toEqual([])
  })
})

const FUNCTION_HEAD =
  /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? ?(\w+)|(?:(?:static|override|async|get|set|readonly) )*(#?\w+)\([^)]*$|(?:(?:static|override|async|get|set) )*\*?(#?\w+)\(.*\{$)/

/** Functions and methods by indentation, which the formatter guarantees. */
function longFunctions(file: SourceFile): string[] {
  const long: string[] = []
  for (const [start, line] of file.code.entries()) {
    const head = FUNCTION_HEAD.exec(line)
    const name = head?.[2] ?? head?.[3] ?? head?.[4]
    if (head === null || name === undefined || /^(if|for|while|switch|catch|return)$/.test(name))
      continue
    const close = new RegExp(`^${head[1]}\\}[,;)]*\\s*$`)
    const end = file.code.findIndex((one, at) => at > start && close.test(one))
    if (end - start > FUNCTION_LINES_MAX)
      long.push(`${file.path}:${start + 1} ${name} has ${end - start + 1} lines`)
  }
  return long
}

interface BannedWord {
  word: RegExp
  instead: string
  /** Files that the rule is about. */
  where: (file: SourceFile) => boolean
}

const inRoom = (rooms: readonly string[]) => (file: SourceFile) =>
  file.path.startsWith('src/') && rooms.includes(roomOf(file.path))
const inSource = (file: SourceFile) => /^(src|workers)\//.test(file.path)
const anywhere = (file: SourceFile) => !file.path.startsWith('test/tidy')

const BANNED: readonly BannedWord[] = [
  { word: /(?:\bas|:|<|,|=>|\|)\s*any\b/, instead: 'unknown', where: inSource },
  { word: /\bconsole\s*\./, instead: 'a Terminal (src/cli/terminal.ts)', where: inSource },
  {
    word: /\bprocess\.env\b/,
    instead: 'readEnvironment (src/config.ts)',
    where: (file) => inSource(file) && file.path !== 'src/config.ts',
  },
  {
    word: /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\)|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b/,
    instead: 'time from the data',
    where: inRoom(PURE),
  },
  {
    word: /\bprocess\.exit\b/,
    instead: 'an exit cause',
    where: (file) => inSource(file) && file.path !== 'src/cli/main.ts',
  },
  { word: /\benum\s+\w+\s*\{|\bnamespace\s+\w+/, instead: 'a list of words', where: anywhere },
  { word: /\bexport default\b/, instead: 'a named export', where: inRoom(RANKS.flat()) },
]
/** Looked for in comments too. */
const BANNED_TEXT: readonly BannedWord[] = [
  {
    word: /@ts-(?:ignore|nocheck)|biome-ignore-all/,
    instead: 'code that is right',
    where: anywhere,
  },
  { word: /\b(?:FIXME|TODO|XXX|HACK)\b/, instead: 'the work itself', where: anywhere },
]

describe('words', () => {
  test.each(BANNED)('$word: use $instead', ({ word, where }) => {
    expect(linesWith(EVERYTHING.filter(where), word, ({ code }) => code)).toEqual([])
  })

  test.each(BANNED_TEXT)('$word, not even in comments: $instead', ({ word, where }) => {
    expect(linesWith(EVERYTHING.filter(where), word, ({ lines }) => lines)).toEqual([])
  })

  test('pure rooms do no input or output', () => {
    const effects =
      /^node:(?:fs|net|http|https|dns|child_process|worker_threads|os|process|timers|readline|cluster)/
    const wrong = SOURCES.filter(inRoom(PURE)).flatMap((file) =>
      file.imports
        .filter(({ from }) => effects.test(from))
        .map(({ from, line }) => `${file.path}:${line} imports ${from}`),
    )
    expect(wrong).toEqual([])
  })

  test('every source opens with what it is for', () => {
    const silent = [...SOURCES, ...WORKERS]
      .filter(({ lines }) => !/^(#!|\/\/ \S)/.test(lines[0] ?? ''))
      .map(({ path: name }) => name)
    expect(silent, 'one to five lines of comment at the top').toEqual([])
  })
})

function linesWith(
  files: readonly SourceFile[],
  word: RegExp,
  of: (file: SourceFile) => string[],
): string[] {
  return files.flatMap((file) =>
    of(file).flatMap((line, at) =>
      word.test(line) ? [`${file.path}:${at + 1} ${file.lines[at]!.trim()}`] : [],
    ),
  )
}

describe('files', () => {
  test('no drawers', () => {
    const drawer = /(?:^|\/)(?:utils?|helpers?|common|misc|types|constants|index|shared)(?:\.ts|\/)/
    expect(EVERYTHING.map((file) => file.path).filter((name) => drawer.test(name))).toEqual([])
  })

  test('every source is held by a test: its own, or that of the file in its room that uses it', () => {
    const held = new Set(
      EVERYTHING.filter(({ path: name }) => /^test\/.*\.test\.ts$/.test(name)).flatMap(
        importedFrom,
      ),
    )
    for (const file of SOURCES)
      if (existsSync(path.join(ROOT, file.path.replace(/^src\/(.*)\.ts$/, 'test/$1.test.ts'))))
        held.add(file.path)
    // A set may grow while it is walked; what is added is still visited.
    for (const name of held) {
      const file = SOURCES.find((one) => one.path === name)
      const inner = file === undefined ? [] : importedFrom(file)
      for (const one of inner) if (roomOf(one) === roomOf(name)) held.add(one)
    }
    const untested = SOURCES.map((file) => file.path).filter(
      (name) => !held.has(name) && TESTED_ELSEWHERE[name] === undefined,
    )
    expect(untested, 'write the test, or say in TESTED_ELSEWHERE which one covers it').toEqual([])
    for (const [name, where] of Object.entries(TESTED_ELSEWHERE)) {
      expect(existsSync(path.join(ROOT, name)), `${name} of TESTED_ELSEWHERE`).toBe(true)
      expect(existsSync(path.join(ROOT, where)), `${where} of TESTED_ELSEWHERE`).toBe(true)
    }
  })

  test('every SQL file is read by something', () => {
    const texts = EVERYTHING.map(({ lines }) => lines.join('\n'))
    const unread = filesUnder('sql', /\.sql$/).filter((name) => {
      // Migrations are read as a folder, in order.
      if (name.startsWith('sql/schema/')) return false
      const bare = path.basename(name, '.sql')
      return !texts.some((text) => new RegExp(`['"/\`]${bare}['"\`.]|\\b${bare}:`).test(text))
    })
    expect(unread, 'delete it, or read it').toEqual([])
  })

  test('SQL is not written in TypeScript', () => {
    const statement =
      /['"`]\s*(?:SELECT\s+.+\s+FROM|INSERT\s+INTO|CREATE\s+(?:TABLE|VIEW)|ALTER\s+TABLE)\b/
    const wrong = linesWith([...SOURCES, ...WORKERS], statement, ({ lines }) => lines)
    expect(wrong, 'move it to sql/').toEqual([])
  })
})

/** Files of src that a file imports, also through files beside it. */
function importedFrom(file: SourceFile): string[] {
  return file.imports
    .filter(({ from }) => from.startsWith('.'))
    .map(({ from }) => path.posix.join(path.posix.dirname(file.path), from))
    .filter((name) => name.startsWith('src/'))
}

/** Sources whose behaviour shows only in a larger test. */
const TESTED_ELSEWHERE: Readonly<Record<string, string>> = {
  // Whole programs, with what they talk to.
  'src/respond/dead-mails.ts': 'test/cli/webhooks.test.ts',
  'src/respond/webhook-desk.ts': 'test/serve/response.test.ts',
  'src/serve/alert-consumer.ts': 'test/cli/respond.test.ts',
  'src/setting-checks.ts': 'test/settings.test.ts',
  'src/judge-bench.ts': 'test/analyze.test.ts',
  // All inputs together, by what comes out at the other end.
  'src/ship/read-all.ts': 'test/ship/follow.test.ts',
  'src/ship/close-origin.ts': 'test/ship/follow.test.ts',
  'src/ship/read-stdin.ts': 'test/ship/sensor.test.ts',
  // What runs in a process of its own, by what comes out of it.
  'src/live/capture-process.ts': 'test/live/live.test.ts',
  'src/live/cutter.ts': 'test/live/live.test.ts',
  'src/live/capture-child.ts': 'test/live/live.test.ts',
  'src/live/cannot-begin.ts': 'test/live/command.test.ts',
  'src/live/probe.ts': 'test/live/command.test.ts',
  'src/cli/doctor-capture.ts': 'test/live/command.test.ts',
  'src/live/kept-packets.ts': 'test/live/same.test.ts',
  'src/live/tap.ts': 'test/live/live.test.ts',
  'src/live/tap-pcap.ts': 'test/live/live.test.ts',
  'src/live/tap-program.ts': 'test/live/live.test.ts',
  // A whole server, as a process.
  'src/serve/serve.ts': 'test/e2e/serve.test.ts',
  'src/serve/working.ts': 'test/e2e/serve.test.ts',
  'src/serve/capturing.ts': 'test/e2e/serve.test.ts',
  'src/serve/late-store.ts': 'test/e2e/serve.test.ts',
  'src/serve/running.ts': 'test/cli/long-running.test.ts',
  'src/serve/sensing.ts': 'test/cli/long-process.test.ts',
  // What is always on, with what is asked once.
  'src/audit/auditor.ts': 'test/audit.test.ts',
  // Shapes alone.
  'src/telemetry.ts': 'test/tidy.test.ts',
  'src/respond/revoke-desk.ts': 'test/api/api.test.ts',
  // In the report.
  'src/coverage-words.ts': 'test/cli/report-text.test.ts',
  // What a chunk says of itself, with the chunk.
  'src/chunk-header.ts': 'test/chunk.test.ts',
  // With the commands that need it.
  'src/bus/kafka-group.ts': 'test/cli/kafka-commands.test.ts',
  'src/cli/topics.ts': 'test/cli/kafka-commands.test.ts',
  // What settings there are, and what each may hold.
  'src/setting-kinds.ts': 'test/settings.test.ts',
  // A look at a journal, by the command that looks; letters of a server with the journal that keeps them.
  'src/bus/journal-letters.ts': 'test/serve/dead-journal.test.ts',
  'src/bus/journal-look.ts': 'test/cli/inspect.test.ts',
  // The process itself: streams, signals, exit code.
  'src/cli/main.ts': 'test/cli/process.test.ts',
  // The whole job, by the stories and by the command.
  'src/replay.ts': 'test/e2e/stories.test.ts',
  'src/report-build.ts': 'test/e2e/stories.test.ts',
}
