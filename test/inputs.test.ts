import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findFiles, foreignCompression, HEAD_BYTES, openInput, siblingsOf } from '../src/inputs.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-inputs-'))
})
afterAll(() => rm(directory, { recursive: true }))

/** Bytes that do not compress, the same every time. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

async function readAll(source: string): Promise<{ bytes: Buffer; problem: string | undefined }> {
  const input = await openInput(source)
  const pieces: Buffer[] = []
  for await (const piece of input.pieces) pieces.push(Buffer.from(piece))
  await input.close()
  return { bytes: Buffer.concat(pieces), problem: input.problem() }
}

test('a directory gives its files by name; hidden files and links that lead nowhere are left out', async () => {
  const tree = path.join(directory, 'tree')
  await mkdir(path.join(tree, 'b'), { recursive: true })
  for (const name of ['z.pcap', 'a.pcap', '.hidden', 'b/c.log'])
    await writeFile(path.join(tree, name), '')
  await symlink('nowhere', path.join(tree, 'dangling'))
  await symlink('.', path.join(tree, 'loop'))
  const { files, problems } = await findFiles([tree])
  expect(files.map((file) => path.relative(tree, file.source))).toEqual([
    'a.pcap',
    'b/c.log',
    'z.pcap',
  ])
  expect(problems).toEqual([])
  expect((await siblingsOf(files[0]!)).map((file) => path.basename(file.source))).toContain(
    'z.pcap',
  )
})

test('a path that is not there is a problem of its own, and the others are still found', async () => {
  const { files, problems } = await findFiles([path.join(directory, 'absent'), '-'])
  expect(problems).toEqual([
    { source: path.join(directory, 'absent'), message: 'no such file or directory' },
  ])
  expect(files).toEqual([{ source: '-', foundInDirectory: false }])
})

test('plain and gzip files give the same bytes and the same head', async () => {
  const content = noise(300_000)
  const plain = path.join(directory, 'plain')
  const zipped = path.join(directory, 'zipped.gz')
  await writeFile(plain, content)
  // Two members, as `cat a.gz b.gz` makes them.
  await writeFile(
    zipped,
    Buffer.concat([gzipSync(content.subarray(0, 1000)), gzipSync(content.subarray(1000))]),
  )
  for (const source of [plain, zipped]) {
    const { bytes, problem } = await readAll(source)
    expect([Buffer.compare(bytes, content), problem]).toEqual([0, undefined])
  }
  const [a, b] = [await openInput(plain), await openInput(zipped)]
  expect(a.head).toHaveLength(HEAD_BYTES)
  expect(Buffer.compare(a.head, b.head)).toBe(0)
  await a.close()
  await b.close()
})

test('a cut gzip file gives what was inflated before the cut, and says so', async () => {
  const content = noise(500_000)
  const cut = path.join(directory, 'cut.gz')
  await writeFile(cut, gzipSync(content))
  await truncate(cut, 400_000)
  const { bytes, problem } = await readAll(cut)
  expect(problem).toMatch(/gzip data is cut or damaged/)
  expect(bytes.length).toBeGreaterThan(390_000)
  expect(Buffer.compare(bytes, content.subarray(0, bytes.length))).toBe(0)
})

test('gzip damaged in the middle gives its good beginning', async () => {
  const content = noise(500_000)
  const zipped = gzipSync(content)
  zipped.fill(0xff, 300_000, 300_200)
  const damaged = path.join(directory, 'damaged.gz')
  await writeFile(damaged, zipped)
  const { bytes, problem } = await readAll(damaged)
  expect(problem).toMatch(/gzip data is cut or damaged/)
  expect(bytes.length).toBeGreaterThan(150_000)
})

test('an empty file is read as nothing', async () => {
  const empty = path.join(directory, 'empty')
  await writeFile(empty, '')
  expect(await readAll(empty)).toEqual({ bytes: Buffer.alloc(0), problem: undefined })
})

test('a file that grows is read as it was when it was opened', async () => {
  const growing = path.join(directory, 'growing')
  await writeFile(growing, noise(200_000))
  const input = await openInput(growing)
  await writeFile(growing, noise(50_000), { flag: 'a' })
  let length = 0
  for await (const piece of input.pieces) length += piece.length
  await input.close()
  expect(length).toBe(200_000)
  expect(input.problem()).toBeUndefined()
})

test('compressions that are not undone are known by name', () => {
  expect(foreignCompression(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0]))).toBe('zstd')
  expect(foreignCompression(Buffer.from('plain text'))).toBeUndefined()
})
