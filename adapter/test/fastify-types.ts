/**
 * What TypeScript must make of the plugin. Checked by `npm run check`, never run: a line that
 * should be an error and is none fails there, too.
 */
import Fastify, { type FastifyContentTypeParser, type FastifyInstance } from 'fastify'
import shmesh, {
  bufferParser,
  type ReplyMemory,
  type ShmPluginOptions,
  type ShmServer
} from '../fastify/index.ts'
import type { SessionStatistics } from '../index.ts'

export async function registers(): Promise<void> {
  const app = Fastify()
  await app.register(shmesh)
  await app.register(shmesh, { path: ['/run/a.sock', 'shm:///run/b/'], listen: 'manual' })
  // @ts-expect-error: sizes carry a unit
  await app.register(shmesh, { memory: 1024 })
  // @ts-expect-error: no such option
  await app.register(shmesh, { pth: '/run/a.sock' })
  // @ts-expect-error: no such moment
  await app.register(shmesh, { listen: 'later' })
}

export function decorates(app: FastifyInstance): void {
  app.shm satisfies ShmServer
  app.shm.paths satisfies readonly string[]
  app.shm.listen() satisfies Promise<void>
  app.shm.statistics() satisfies SessionStatistics[]
  app.shm.inspect()[0]?.perStream satisfies readonly unknown[] | undefined
  app.shm.unshare(app.shm.share(new Uint8Array(1)) satisfies Buffer)
  // @ts-expect-error: it is not the app's to change
  app.shm.paths = []
  app.get('/', async (request, reply) => {
    request.shm satisfies ReplyMemory
    return reply.shm.alloc(10) satisfies Buffer
  })
}

export function parses(app: FastifyInstance): void {
  app.addContentTypeParser('a/b', bufferParser())
  app.addContentTypeParser('a/c', shmesh.bufferParser({ lifetime: 'request' }))
  bufferParser() satisfies FastifyContentTypeParser
  // @ts-expect-error: no such lifetime
  bufferParser({ lifetime: 'for ever' })
}

export const options: ShmPluginOptions = { group: 2000, mode: 0o660, remoteAddress: '127.0.0.1' }
