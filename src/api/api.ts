// The API of a process: one server for people, programs, probes and Prometheus. Every answer has a schema, every
// question a limit, every route a permission.

import helmet from '@fastify/helmet'
import { fastifySSE } from '@fastify/sse'
import swagger from '@fastify/swagger'
import { type FastifyInstance, fastify } from 'fastify'
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
} from 'fastify-type-provider-zod'
import { z } from 'zod'
import { printableLine } from '../wire-text.ts'
import { guard, recognise } from './access.ts'
import { addAgentRoutes } from './agent-routes.ts'
import { addAlertRoutes } from './alert-routes.ts'
import { addDeliveryRoutes } from './delivery-routes.ts'
import { addFlowRoutes } from './flow-routes.ts'
import { addHealthRoutes } from './health.ts'
import { answerErrors, HEADERS, limitRate, PROBLEMS } from './house-rules.ts'
import { isLoopback, ListenError, listenError, placeText } from './listening.ts'
import { addStreamRoute, HEARTBEAT_MILLIS, LiveStream } from './live-stream.ts'
import { ProcessMetrics } from './metrics.ts'
import { addPage } from './page.ts'
import type { ApiParts, ApiSettings } from './parts.ts'
import { addRevocationRoutes } from './revocation-routes.ts'
import { AnyHeaders, NoQuery, type Routes } from './shapes.ts'
import { StoreLane } from './store-lane.ts'
import { TokenBook } from './tokens.ts'
import { addWebhookRoutes } from './webhook-routes.ts'

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
  const server = bareServer(settings)
  const metrics = new ProcessMetrics()
  const lane = new StoreLane(parts.store, parts.log)
  const { agents, revocations } = parts
  const stream = new LiveStream(parts.hub, { agents, revocations })
  const close = async () => {
    stream.close()
    await server.close()
    metrics.close()
  }
  try {
    const own = { samples: () => lane.samples(), readiness: () => ({ ready: true, reason: '' }) }
    const observed = {
      *[Symbol.iterator]() {
        yield* parts.observed
        yield stream
        yield own
      },
    }
    await addAll(server, settings, parts, { tokens, metrics, lane, stream, observed })
    return { address: await server.listen({ host, port }), close }
  } catch (error) {
    await close()
    throw listenError(error, host, port)
  }
}

function bareServer({ proxy }: ApiSettings): FastifyInstance {
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
    trustProxy: proxy.addresses.length === 0 ? false : [...proxy.addresses],
    routerOptions: { maxParamLength: 200 },
  })
  server.server.maxConnections = CONNECTIONS_MAX
  // Bodies are JSON or nothing.
  server.removeContentTypeParser('text/plain')
  server.setValidatorCompiler(validatorCompiler)
  server.setSerializerCompiler((route) => {
    const write = serializerCompiler(route as Parameters<typeof serializerCompiler>[0])
    // No answer holds a raw control character, whoever prints it.
    return (data) => printableLine(write(data))
  })
  return server
}

interface Inside {
  tokens: TokenBook
  metrics: ProcessMetrics
  lane: StoreLane
  stream: LiveStream
  observed: ApiParts['observed']
}

async function addAll(
  server: FastifyInstance,
  settings: ApiSettings,
  parts: ApiParts,
  { tokens, metrics, lane, stream, observed }: Inside,
): Promise<void> {
  answerErrors(server, parts.log)
  await server.register(helmet, HEADERS)
  recognise(server, tokens)
  await limitRate(server)
  guard(server, { host: settings.listen.host, hosts: settings.hosts })
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Bailiwick', version: settings.version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  await server.register(fastifySSE, { heartbeatInterval: HEARTBEAT_MILLIS })
  addHealthRoutes(server, settings.name, observed, metrics)
  const routes: Routes = server.withTypeProvider()
  const raised = parts.raised ?? parts.responder
  addAlertRoutes(routes, { ...parts, lane, ...(raised === undefined ? {} : { raised }) })
  addFlowRoutes(routes, lane)
  addAgentRoutes(routes, lane, parts)
  addDeliveryRoutes(routes, parts)
  addRevocationRoutes(routes, parts)
  addWebhookRoutes(routes, parts)
  addStreamRoute(routes, stream)
  addDescription(routes)
  if (!(await addPage(server)))
    parts.log('warn', 'the page was not built and is not there: npm run build')
}

function addDescription(server: Routes): void {
  server.get(
    '/api/v1/openapi.json',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'This description, as OpenAPI 3.1',
        tags: ['about'],
        querystring: NoQuery,
        headers: AnyHeaders,
        response: { 200: z.looseObject({}), ...PROBLEMS },
      },
    },
    async () => ({ ...server.swagger() }),
  )
  server.get(
    '/api/v1/me',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Whose token this is',
        tags: ['about'],
        querystring: NoQuery,
        headers: AnyHeaders,
        response: { 200: z.object({ name: z.string(), role: z.string() }), ...PROBLEMS },
      },
    },
    async ({ principal }) => ({ name: principal?.name ?? '', role: principal?.role ?? '' }),
  )
}
