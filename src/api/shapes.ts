// Shapes that several questions and answers share.

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

/** A route reads no header but those that its own schema names. */
export const AnyHeaders = z.looseObject({})
export const NoQuery = z.strictObject({})

export const NIL = '00000000-0000-0000-0000-000000000000'
export const Uuid = z.string().regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'is no id')

/** An id or a name of a question: equal to it or not, never a pattern. */
export const Word = z.string().min(1).max(300)

/** Whole number of a query string. */
export const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max)

/** Stands for "no end": 2149-01-01, the last year that the days of the store can hold. */
export const TIME_MAX = 5_648_745_600_000_000

/** A moment in a query string: ISO 8601 with a zone. Microseconds since 1970 after reading. */
export const Moment = z.iso
  .datetime({ offset: true })
  .transform((text) => Math.min(TIME_MAX, Math.max(0, Date.parse(text) * 1000)))
