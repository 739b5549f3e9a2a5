// The page: files of our own, each by its name, and nothing else of the disk. They hold no secrets, so they are open; what
// they show, they ask the API for.

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

const NAMES = /^[a-z][a-z0-9-]*\.(?:html|css|js|svg)$/

/** Where the page lies: its texts beside src/, its scripts where they were built to. */
export interface PageFolders {
  texts: string
  scripts: string
}

/** Adds `/` and the files of the page. Without built scripts it says so, and the API works all the same. */
export async function addPage(server: FastifyInstance, folders = pageFolders()): Promise<boolean> {
  const files = new Map<string, string>()
  for (const folder of [folders.texts, folders.scripts])
    if (existsSync(folder))
      for (const name of readdirSync(folder)) if (NAMES.test(name)) files.set(name, folder)
  if (!files.has('index.html') || !files.has('page.js')) return false
  await server.register(fastifyStatic, { root: [folders.texts, folders.scripts], serve: false })
  const options = { config: { permission: 'open' as const }, schema: { hide: true } }
  for (const [name, folder] of files)
    server.get(name === 'index.html' ? '/' : `/${name}`, options, (_, reply) =>
      // Asked for anew each time (304 mostly), so that page and API are of one version.
      reply.header('cache-control', 'no-cache').sendFile(name, folder, { cacheControl: false }),
    )
  return true
}

/** The folders of the package, whether this runs from src/ or from dist/. */
function pageFolders(): PageFolders {
  let folder = path.dirname(fileURLToPath(import.meta.url))
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return {
    texts: path.join(folder, 'dashboards', 'web'),
    scripts: path.join(folder, 'dist', 'dashboards', 'web'),
  }
}
