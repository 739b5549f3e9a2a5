// The API of a process: one server for people, programs, probes and Prometheus. Every answer has a schema, every
// question a limit, every route a permission.

import helmet from '@fastify/helmet'
import { type FastifyInstance, fastify } from 'fastify'
import {
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { guard, recognise } from './access.ts'
import { addAgentRoutes } from './agent-routes.ts'
import { addHealthRoutes } from './health.ts'
import { answerErrors, HEADERS, limitRate } from './house-rules.ts'
import { isLoopback, ListenError, listenError, placeText } from './listening.ts'
import { ProcessMetrics } from './metrics.ts'
import type { ApiParts, ApiSettings } from './parts.ts'
import type { Routes } from './shapes.ts'
import { TokenBook } from './tokens.ts'

export interface Api {
  /** `http://127.0.0.1:7650` */
  readonly address: string
  /** Ends streams and connections. */
  close(): Promise<void>
}

/** Sockets at one time. */
const CONNECTIONS_MAX = 512

/**
 * Listens.
 * @throws ListenError, TokenFileError
 */
export async function startApi(settings: ApiSettings, parts: ApiParts): Promise<Api> {
  const { host, port } = settings.listen
  if (!isLoopback(host) && !settings.proxy.said)
    throw new ListenError(
      `will not listen at ${placeText(host, port)}: others could read tokens on the way. Put a proxy that speaks TLS in front and say so with \`api.behind_proxy: true\`, or listen at 127.0.0.1`,
    )
  const tokens = TokenBook.open(settings.directory, parts.log)
  const metrics = new ProcessMetrics()
  const server = await build(settings, parts, tokens, metrics)
  const close = async () => {
    metrics.close()
    await server.close()
  }
  try {
    return { address: await server.listen({ host, port }), close }
  } catch (error) {
    await close()
    throw listenError(error, host, port)
  }
}

async function build(
  settings: ApiSettings,
  parts: ApiParts,
  tokens: TokenBook,
  metrics: ProcessMetrics,
): Promise<FastifyInstance> {
  const { addresses } = settings.proxy
  const server = fastify({
    bodyLimit: 64 << 10,
    connectionTimeout: 10_000,
    requestTimeout: 15_000,
    handlerTimeout: 30_000,
    keepAliveTimeout: 5000,
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    trustProxy: addresses.length === 0 ? false : [...addresses],
    routerOptions: { maxParamLength: 200 },
  })
  server.server.maxConnections = CONNECTIONS_MAX
  server.removeContentTypeParser('text/plain')
  server.setValidatorCompiler(validatorCompiler)
  server.setSerializerCompiler(serializerCompiler)
  answerErrors(server, parts.log)
  await server.register(helmet, HEADERS)
  recognise(server, tokens)
  await limitRate(server)
  guard(server, { host: settings.listen.host, hosts: settings.hosts })
  addHealthRoutes(server, settings.name, parts.observed, metrics)
  const typed: Routes = server.withTypeProvider<ZodTypeProvider>()
  addAgentRoutes(typed, parts)
  return server
}
