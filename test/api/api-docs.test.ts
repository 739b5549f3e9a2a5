// The page of documentation and the description that the API gives of itself, held against each other and against the
// shapes of the answers.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { AlertDetail, AlertPage } from '../../src/api/alert-list.ts'
import { DeadList } from '../../src/api/delivery-routes.ts'
import { KillShown, RequestShown, RevocationList } from '../../src/api/revocation-routes.ts'
import { openWorld, type World } from './world.ts'

interface Described {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, object> }
}
interface Operation {
  summary: string
  parameters?: { name: string; in: string }[]
  responses: Record<string, { content?: Record<string, { schema: object }> }>
}

const PAGE = readFileSync(path.join(import.meta.dirname, '..', '..', 'docs', 'api.md'), 'utf8')
/** Each documented route with the text below its heading. */
const SECTIONS = new Map(
  PAGE.split(/^(?=#)/m).flatMap((text) => {
    const route = /^### ((?:GET|POST) \/\S+)$/m.exec(text)?.[1]
    return route === undefined ? [] : [[route, text] as const]
  }),
)

let world: World
let about: Described
let operations: Map<string, Operation>
beforeAll(async () => {
  world = await openWorld()
  about = (await (await world.get('/api/v1/openapi.json')).json()) as Described
  operations = new Map(
    Object.entries(about.paths).flatMap(([where, methods]) =>
      Object.entries(methods)
        .filter(([method]) => method !== 'head')
        .map(([method, operation]) => [`${method.toUpperCase()} ${where}`, operation]),
    ),
  )
})
afterAll(() => world.close())

test('every route is documented, and every documented route is there', () => {
  expect([...SECTIONS.keys()].sort()).toEqual([...operations.keys()].sort())
})

test('every parameter of a query is named on the page', () => {
  for (const [route, { parameters = [] }] of operations)
    for (const { name } of parameters.filter((one) => one.in === 'query'))
      expect(SECTIONS.get(route), `${name} of ${route}`).toContain(`\`${name}\``)
})

test('every reference of the description leads somewhere', () => {
  const text = JSON.stringify(about)
  const wanted = new Set(
    [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, one]) => one),
  )
  expect([...wanted].filter((name) => about.components.schemas[name!] === undefined)).toEqual([])
  expect(wanted.size).toBeGreaterThan(5)
})

/** The answer of a route as JSON Schema says it, with references followed, as something that checks. */
function shapeOf(route: string): z.ZodType {
  const { responses } = operations.get(route)!
  const [, answer] = Object.entries(responses).find(([status]) => /^2\d\d$/.test(status))!
  const schema = answer.content!['application/json']!.schema
  return z.fromJSONSchema(strict({ ...schema, components: about.components }) as never)
}

/** Nothing that is not said may stand there. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict)
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).map(([key, value]) => [
    key === 'components' ? '$defs' : key,
    key === 'components'
      ? strict((value as { schemas: object }).schemas)
      : key === '$ref'
        ? String(value).replace('#/components/schemas/', '#/$defs/')
        : strict(value),
  ])
  return Object.fromEntries(entries)
}

describe('examples are answers', () => {
  const examples = [...SECTIONS].flatMap(([route, text]) => {
    const json = /^```json\n([\s\S]*?)^```$/m.exec(text)?.[1]
    return json === undefined ? [] : [[route, json] as const]
  })
  test('of most routes', () => expect(examples.length).toBeGreaterThan(8))
  test.each(examples)('%s', (route, json) => {
    const example: unknown = JSON.parse(json)
    const read = shapeOf(route).safeParse(example)
    expect(read.error?.issues).toBeUndefined()
    // No key that the answer has not.
    expect(read.data).toEqual(example)
  })
})

test('what the command line reads is what the page shows', () => {
  const shapes: Readonly<Record<string, z.ZodType>> = {
    'GET /api/v1/alerts': AlertPage,
    'GET /api/v1/alerts/{id}': AlertDetail,
    'GET /api/v1/deliveries/dead': DeadList,
    'GET /api/v1/revocations': RevocationList,
    'GET /api/v1/revocations/{id}/dry-run': RequestShown,
    'POST /api/v1/revocations/kill': KillShown,
  }
  for (const [route, shape] of Object.entries(shapes)) {
    const json = /^```json\n([\s\S]*?)^```$/m.exec(SECTIONS.get(route)!)![1]!
    expect(shape.parse(JSON.parse(json)), route).toEqual(JSON.parse(json))
  }
})
