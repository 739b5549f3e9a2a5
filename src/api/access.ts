// Who gets in: the name that was asked for must be ours (a page of elsewhere could otherwise be resolved to this
// machine), the token somebody's, and its role enough for what the route declares. A route that declares nothing is a
// mistake of ours, and nothing starts.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isLoopback } from './listening.ts'
import { type Principal, ROLES, type Role, type TokenBook } from './tokens.ts'

/** What a route needs of whoever asks. `open`: nothing at all. */
export const PERMISSIONS = {
  open: undefined,
  /** To look. */
  read: 'viewer',
  /** To send again what died. */
  redrive: 'analyst',
  /** To decide about revocations, and to stop all of them. */
  decide: 'approver',
} as const satisfies Record<string, Role | undefined>
export type Permission = keyof typeof PERMISSIONS

declare module 'fastify' {
  interface FastifyContextConfig {
    permission?: Permission
    /** Answers whatever name it was asked by: probes know addresses alone. */
    anyHost?: boolean
  }
  interface FastifyRequest {
    /** Whose token came with the request; of a route that is not open, never null. */
    principal: Principal | null
  }
}

export interface AccessSettings {
  /** Where the server listens. */
  host: string
  /** Other names that are ours. */
  hosts: readonly string[]
}

/** Knows who asks, before anything is refused: what is counted for each of them needs it. */
export function recognise(server: FastifyInstance, tokens: TokenBook): void {
  server.decorateRequest('principal', null)
  server.addHook('onRequest', async (request) => {
    request.principal = tokens.principalOf(bearerOf(request)) ?? null
  })
}

/** Guards all routes that are added to the server after this; `recognise` comes before it. */
export function guard(server: FastifyInstance, { host, hosts }: AccessSettings): void {
  const ours = new Set([host, ...hosts].map((one) => one.toLowerCase()))
  const outside = !isLoopback(host)
  server.addHook('onRoute', ({ method, url, config, schema }) => {
    const { permission } = config ?? {}
    if (permission === undefined || !Object.hasOwn(PERMISSIONS, permission))
      throw new Error(`${method} ${url} declares no permission`)
    if (permission === 'open') return
    const needed = ['response', 'querystring', 'headers', ...(url.includes(':') ? ['params'] : [])]
    if (method === 'POST') needed.push('body')
    for (const part of needed)
      if (schema?.[part as 'body'] === undefined)
        throw new Error(`${method} ${url} has no schema of its ${part}`)
  })
  server.addHook('onRequest', async (request, reply) => {
    const { permission, anyHost } = request.routeOptions.config
    if (!isOurs(request.headers.host, ours) && !(anyHost === true && outside))
      return refuse(reply, 421, 'this is not the host that was asked for: see `api.hosts`')
    // A path that no route has: no token opens it, and none is asked for.
    if (request.is404 || permission === 'open') return
    const role = permission === undefined ? undefined : PERMISSIONS[permission]
    if (request.principal === null || role === undefined) {
      reply.header('www-authenticate', 'Bearer')
      return refuse(reply, 401, 'a token is needed: Authorization: Bearer bw_…')
    }
    if (ROLES.indexOf(request.principal.role) < ROLES.indexOf(role))
      return refuse(
        reply,
        403,
        `this needs the role ${role}, and the token is a ${request.principal.role}'s`,
      )
  })
}

function refuse(reply: FastifyReply, status: number, error: string): FastifyReply {
  return reply.code(status).send({ error })
}

function bearerOf(request: FastifyRequest): string {
  return /^Bearer ([\x21-\x7e]{1,100})$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
}

/** Whether a Host header names us: a loopback name, the address listened at, or a name that was set. */
function isOurs(header: string | undefined, ours: ReadonlySet<string>): boolean {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header ?? '')
  const name = (match?.[1] ?? match?.[2])?.toLowerCase()
  return name !== undefined && (isLoopback(name) || ours.has(name))
}
