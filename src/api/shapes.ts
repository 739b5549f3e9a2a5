// Shapes that several answers share: times, pages, the parts of a question.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'

/** The server as routes with schemas see it. */
export type Routes = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** Every header that a route of ours reads stands in its own schema; of the others none is believed. */
export const AnyHeaders = z.looseObject({})
export const NoQuery = z.strictObject({})

/** Text of a question: an id, a name. Never a pattern. */
export const word = (max = 300) => z.string().min(1).max(max)
