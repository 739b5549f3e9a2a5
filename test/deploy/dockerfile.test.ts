// The Dockerfile without a container engine: what it copies is there and reaches the builder, and what it runs is said.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'

const ROOT = path.join(import.meta.dirname, '..', '..')
const lines = (await readFile(path.join(ROOT, 'Dockerfile'), 'utf8'))
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
const ignored = (await readFile(path.join(ROOT, '.dockerignore'), 'utf8')).split('\n')
/** Sources of each COPY from the checkout. */
const copied = lines
  .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
  .flatMap((line) => line.split(' ').slice(1, -1))

test('everything that is copied is there, and let through to the builder', () => {
  expect(copied.length).toBeGreaterThan(8)
  for (const name of copied) {
    expect(existsSync(path.join(ROOT, name)), name).toBe(true)
    expect(ignored, `!${name} in .dockerignore`).toContain(`!${name}`)
  }
  expect(ignored).toContain('*')
})

test('what the program reads at run time is copied into the last stage', async () => {
  const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')))
  const { files } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'))
  for (const name of ['sql', 'data', 'dist', 'node_modules'])
    expect(last.some((line) => line.startsWith('COPY ') && line.split(' ').includes(name))).toBe(
      true,
    )
  expect(files).toEqual(expect.arrayContaining(['sql', 'data']))
})

test('it runs without root, without a shell, on a pinned Node that the package allows', () => {
  const bases = lines.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1])
  expect(new Set(bases)).toEqual(new Set(['node:20-bookworm-slim']))
  expect(lines.filter((line) => line.startsWith('USER '))).toEqual(['USER node'])
  for (const word of ['ENTRYPOINT', 'CMD'])
    expect(lines.find((line) => line.startsWith(`${word} `))).toMatch(/^\w+ \["/)
  expect(lines.find((line) => line.startsWith('HEALTHCHECK '))).toMatch(/ CMD \["node"/)
})
