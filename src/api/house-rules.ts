// What holds for every answer of the API: which headers it has, how errors are said, how many questions one may ask.

import type { FastifyHelmetOptions } from '@fastify/helmet'
import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'

/** What an answer says that is no answer. */
export const Problem = z.object({ error: z.string() }).meta({ id: 'Problem' })
/** For the schema of every route. */
export const PROBLEMS = { '4xx': Problem, '5xx': Problem } as const

/** An answer that is an error; the message is for people. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly statusCode: number
  /** Seconds after which it may be asked again; undefined if that changes nothing. */
  readonly retryAfter: number | undefined
  constructor(statusCode: number, message: string, retryAfter?: number) {
    super(message)
    this.statusCode = statusCode
    this.retryAfter = retryAfter
  }
}

/**
 * The page runs its own scripts and styles and talks to its own server, nothing else; text becomes markup nowhere.
 * No HSTS: whoever speaks TLS in front says it.
 */
export const HEADERS: FastifyHelmetOptions = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      connectSrc: ["'self'"],
      imgSrc: ["'self'"],
      baseUri: ["'none'"],
      objectSrc: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
      'require-trusted-types-for': ["'script'"],
      'trusted-types': ["'none'"],
    },
  },
  strictTransportSecurity: false,
  referrerPolicy: { policy: 'no-referrer' },
  xFrameOptions: { action: 'deny' },
}

/** Says errors as JSON. Whoever asks learns nothing of what went wrong inside; the log does. */
export function answerErrors(server: FastifyInstance, log: Log): void {
  server.addHook('onSend', async (_, reply) => {
    // Answers are secrets and change; files of the page say otherwise themselves.
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  server.setErrorHandler((error, _, reply) => {
    if (error instanceof Refusal) {
      if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter)
      return reply.code(error.statusCode).send({ error: printable(error.message) })
    }
    if (hasZodFastifySchemaValidationErrors(error)) {
      const [first] = error.validation
      const place = `${error.validationContext ?? ''}${first?.instancePath ?? ''}`
      const words = `${place}: ${first?.message ?? 'is wrong'}`
      return reply.code(400).send({ error: printable(words).slice(0, 500) })
    }
    const { statusCode = 500, message } = error as { statusCode?: number; message?: string }
    if (statusCode < 500)
      return reply.code(statusCode).send({ error: printable(message ?? 'bad request') })
    log('error', 'a question over HTTP could not be answered', { err: error })
    return reply.code(statusCode).send({
      error: statusCode === 503 ? 'not available now' : 'internal error: the log says more',
    })
  })
  server.setNotFoundHandler((_, reply) => reply.code(404).send({ error: 'there is nothing here' }))
}

/** Questions a minute, of one token or, without one, of one address. */
export const QUESTIONS_MAX = 600

/** Counts from here on; who asks is known before. */
export async function limitRate(server: FastifyInstance): Promise<void> {
  await server.register(rateLimit, {
    global: false,
    max: QUESTIONS_MAX,
    timeWindow: 60_000,
    cache: 10_000,
    keyGenerator: ({ principal, ip }) => principal?.id ?? normalizeIP(ip),
    errorResponseBuilder: (_, { after }) =>
      new Refusal(429, `too many questions: ask again in ${after}`),
  })
  server.addHook('onRequest', server.rateLimit())
}
