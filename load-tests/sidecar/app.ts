/**
 * The app, a process of its own: `app.js tcp|unix|shmesh PATH`. Only the last one has the plugin: the
 * others are what users have today. Tells its parent `{ port }`, 0 without TCP.
 */
import fastify, { type FastifyInstance } from 'fastify'
import shmesh from '../../adapter/fastify/index.ts'
import { bodyOf, bodyPath, MAX_BODY_BYTES, UPLOAD_ANSWER, VARIANTS } from '../demo/bodies.ts'
import { SIZES } from './plan.ts'
import { serveScenarios } from './scenario-routes.ts'

export type AppMode = 'tcp' | 'unix' | 'shmesh'

const TYPE = 'application/octet-stream'
const [mode, path] = process.argv.slice(2) as [AppMode, string]
const app = fastify({ bodyLimit: MAX_BODY_BYTES, forceCloseConnections: 'idle' })

function forEachBody(act: (url: string, body: Buffer) => void): void {
  for (const bytes of SIZES) {
    for (let variant = 0; variant < VARIANTS; variant++) {
      act(bodyPath(bytes, variant), bodyOf(bytes, variant))
    }
  }
}

function receive(scope: FastifyInstance, kind: string): void {
  forEachBody((url, expected) => {
    scope.post(`/${kind}${url}`, async ({ body, headers }, reply) => {
      const received = body as Buffer
      const exact =
        headers['x-compare'] === undefined
          ? received.length === expected.length
          : received.equals(expected)
      if (exact) return UPLOAD_ANSWER
      reply.code(422)
      return 'the body is not the one that was sent\n'
    })
  })
}

forEachBody((url, body) => {
  app.get(`/buffer${url}`, async (_, reply) => {
    reply.type(TYPE)
    return body
  })
})
app.register(async (scope) => {
  scope.addContentTypeParser(TYPE, { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  receive(scope, 'stock')
})

serveScenarios(app)

if (mode === 'shmesh') {
  await app.register(shmesh, { path })
  forEachBody((url, body) => {
    app.get(`/alloc${url}`, async (_, reply) => {
      reply.type(TYPE)
      const made = reply.shm.allocUnsafe(body.length)
      body.copy(made)
      return made
    })
    let shared: Buffer | undefined
    app.get(`/shared${url}`, async (_, reply) => {
      reply.type(TYPE)
      shared ??= app.shm.share(body)
      return shared
    })
  })
  for (const lifetime of ['held', 'request'] as const) {
    app.register(async (scope) => {
      scope.addContentTypeParser(TYPE, shmesh.bufferParser({ lifetime }))
      receive(scope, lifetime)
    })
  }
}

if (mode === 'tcp') await app.listen({ host: '127.0.0.1', port: 0 })
else if (mode === 'unix') await app.listen({ path })
else await app.ready()
process.once('SIGTERM', async () => {
  await app.close()
  process.channel?.unref()
})
const address = app.server.address()
process.send?.({ port: typeof address === 'object' ? (address?.port ?? 0) : 0 })
