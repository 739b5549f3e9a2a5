// What a long-running process shows of itself over HTTP: that it lives, whether it gets on, its numbers. It answers
// GET alone, holds nothing back and takes nothing in.

import { type FastifyInstance, fastify } from 'fastify'
import type { Log, Observed } from '../telemetry.ts'
import { listenError } from './listening.ts'
import { ProcessMetrics } from './metrics.ts'
import { readinessOf } from './readiness.ts'

const CONNECTIONS_MAX = 64

export class HealthServer {
  readonly address: string
  readonly #server: FastifyInstance
  readonly #metrics: ProcessMetrics

  /**
   * Listens.
   * @param name of the process, for people. @param observed may change while the server runs
   * @throws ListenError
   */
  static async open(
    { host, port }: { host: string; port: number },
    name: string,
    observed: Iterable<Observed>,
    log: Log,
  ): Promise<HealthServer> {
    const metrics = new ProcessMetrics()
    const server = routes(name, observed, metrics, log)
    try {
      const address = await server.listen({ host, port })
      return new HealthServer(server, metrics, address)
    } catch (error) {
      metrics.close()
      await server.close()
      throw listenError(error, host, port)
    }
  }

  private constructor(server: FastifyInstance, metrics: ProcessMetrics, address: string) {
    this.#server = server
    this.#metrics = metrics
    this.address = address
  }

  async close(): Promise<void> {
    this.#metrics.close()
    await this.#server.close()
  }
}

function routes(
  name: string,
  observed: Iterable<Observed>,
  metrics: ProcessMetrics,
  log: Log,
): FastifyInstance {
  const server = fastify({
    bodyLimit: 1024,
    connectionTimeout: 10_000,
    requestTimeout: 15_000,
    handlerTimeout: 10_000,
    keepAliveTimeout: 5000,
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    return503OnClosing: false,
  })
  server.server.maxConnections = CONNECTIONS_MAX
  server.addHook('onSend', async (_, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  // Whoever asks learns nothing of what went wrong inside; the log does.
  server.setErrorHandler((error, _, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500
    if (status >= 500) log('error', 'a question over HTTP could not be answered', { err: error })
    return reply.code(status).send({ error: status >= 500 ? 'internal error' : 'bad request' })
  })
  server.setNotFoundHandler((_, reply) =>
    reply.code(404).send({ error: 'ask for /health, /ready or /metrics' }),
  )
  addHealthRoutes(server, name, observed, metrics)
  return server
}

/** `/health`, `/ready` and `/metrics`: in the clear, for whoever keeps the process alive and for Prometheus. */
export function addHealthRoutes(
  server: Pick<FastifyInstance, 'get'>,
  name: string,
  observed: Iterable<Observed>,
  metrics: ProcessMetrics,
): void {
  const open = { config: { permission: 'open' as const, anyHost: true }, schema: { hide: true } }
  server.get('/health', open, async () => ({ status: 'alive', name }))
  server.get('/ready', open, async (_, reply) => {
    const readiness = readinessOf(observed)
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })
  server.get('/metrics', open, async (_, reply) =>
    reply.type(metrics.contentType).send(await metrics.text(name, observed)),
  )
}
