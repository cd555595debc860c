/**
 * A server that is killed at each step of a request, beside another that lives: who is told what,
 * and what the other one is asked. What may have been executed is never sent twice, unless it is
 * idempotent and its connection had been used before.
 */
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import { mkdirSync, rmdirSync, rmSync, unlinkSync, watch } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { Agent, errors } from 'undici'
import { ShmAgent } from '../undici/index.ts'
import type { Answer, ScriptedMethods } from './fixtures/scripted-server.ts'
import { type Transcript, transcribe } from './scripted.ts'
import { type Child, startChild } from './support/child.ts'
import { eventually } from './support/eventually.ts'
import { type Scene, scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const OK = { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'] }
/** Of the one that dies. */
const DYING = {
  '/warm': OK,
  '/': {},
  '/head': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n', 'never sent'] },
  '/half': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegun', 'never'] }
}
const LIVING = { '/warm': OK, '/': OK, '/head': OK, '/half': OK }

const BROKEN = 'error UND_ERR_SOCKET'
const ANSWERED = 'end {}'

type Server = Child<ScriptedMethods>

interface Step {
  readonly name: string
  readonly path?: string
  /** It has answered a request on the same connection before. */
  readonly reused?: boolean
  /** Its body never ends. */
  readonly unending?: boolean
  /** Killed, or stopped and then killed, when the request is sent. */
  readonly beforehand?: 'kill' | 'stop'
  /** When to kill it otherwise. */
  until?(dying: Server, reused: number, told: () => readonly string[]): Promise<void>
  /** The last the handler is told, by method. */
  readonly GET?: string
  readonly POST: string
}

const head = (dying: Server, before: number) => dying.call('heads', before + 1)

const STEPS: readonly Step[] = [
  { name: 'before it is connected to', beforehand: 'kill', GET: ANSWERED, POST: ANSWERED },
  { name: 'while it is connected to', beforehand: 'stop', GET: ANSWERED, POST: ANSWERED },
  { name: 'when it has the request', until: head, GET: BROKEN, POST: BROKEN },
  {
    name: 'when it has the request, on a connection used before',
    reused: true,
    until: head,
    GET: ANSWERED,
    POST: BROKEN
  },
  {
    name: 'when it has half of the body',
    unending: true,
    until: (dying) => eventually('it has some', async () => (await dying.call('bodyBytes')) > 0),
    POST: BROKEN
  },
  {
    name: 'when it has half of the body, on a connection used before',
    reused: true,
    unending: true,
    until: (dying) => eventually('it has some', async () => (await dying.call('bodyBytes')) > 0),
    POST: BROKEN
  },
  {
    name: 'when its head has come',
    path: '/head',
    until: (_dying, _before, told) => eventually('the head has come', () => told().length > 1),
    GET: BROKEN,
    POST: BROKEN
  },
  {
    name: 'within its body, on a connection used before',
    path: '/half',
    reused: true,
    until: (_dying, _before, told) => eventually('the head has come', () => told().length > 1),
    GET: BROKEN,
    POST: BROKEN
  }
]

async function start(s: Scene, path: string, script: Readonly<Record<string, Answer>>) {
  const fixture = new URL('./fixtures/scripted-server.js', import.meta.url)
  const server = await startChild<ScriptedMethods>(s, fixture)
  await server.call('start', path, script)
  return server
}

async function setUp(t: TestContext) {
  // A process has one descriptor for all its watches, from the first of them on.
  watch(tmpdir()).close()
  const s = await scene(t)
  const directory = join(s.directory, 'apps')
  mkdirSync(directory, { mode: 0o700 })
  s.defer(() => rmdirSync(directory))
  // By name the first, and so the first to be asked.
  const path = join(directory, 'a.sock')
  const dying = await start(s, path, DYING)
  const living = await start(s, join(directory, 'b.sock'), LIVING)
  s.defer(async () => {
    await living.call('close')
    await living.call('clean')
    rmSync(path, { force: true })
  })
  const agent = new ShmAgent({ uri: `${directory}/`, memory: '8MiB' })
  s.defer(() => agent.destroy())
  return { dying, path, living, agent }
}

test('a server that dies on a plain socket is UND_ERR_SOCKET as well, as its event says', async (t) => {
  const s = await scene(t)
  // It takes nothing in shared memory, and closes with most of a request unread.
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.destroy())
  })
  s.defer(() => new Promise((resolve) => server.close(resolve)))
  await new Promise<void>((resolve) => server.listen(s.path, resolve))
  const fallback = new Agent()
  const agent = new ShmAgent({ uri: s.path, fallback })
  s.defer(() => Promise.all([agent.destroy(), fallback.destroy()]))
  const told: unknown[] = []
  const emitter: EventEmitter = agent
  emitter.on('disconnect', (_origin: URL, _targets: unknown, error: Error) => told.push(error))
  const options = { origin: ORIGIN, path: '/', method: 'PUT', body: Buffer.alloc(8_000_000) }
  await assert.rejects(agent.request(options as never), (error: Error) => {
    assert.ok(error instanceof errors.SocketError)
    assert.match((error.cause as NodeJS.ErrnoException).code!, /^(ECONNRESET|EPIPE)$/)
    return true
  })
  await eventually('disconnect was told', () => told.length > 0)
  assert.ok(told[0] instanceof errors.SocketError)

  // What a body fails with is its own.
  const failing = new PassThrough()
  const own = Object.assign(new Error('of the body'), { code: 'ECONNRESET' })
  const failed = agent.request({ ...options, body: failing } as never)
  failing.destroy(own)
  await assert.rejects(failed, own)
})

/** As `transcribe`, and what has been told so far. */
function send(agent: ShmAgent, options: object) {
  const told: string[] = []
  const dispatcher = {
    dispatch: (given: object, handler: Record<string, (...args: unknown[]) => unknown>) => {
      const tell = (name: string) => {
        const method = handler[name]!
        handler[name] = (...args) => {
          told.push(name)
          return method(...args)
        }
      }
      for (const name of Object.keys(handler)) tell(name)
      return agent.dispatch(given as never, handler as never)
    }
  }
  const ended = transcribe(dispatcher as never, { origin: ORIGIN, ...options } as never)
  return { told: () => told, ended }
}

for (const step of STEPS) {
  for (const method of ['GET', 'POST'] as const) {
    const expected = step[method]
    if (expected === undefined) continue
    const title = expected === ANSWERED ? 'the other is asked' : 'the request fails, once'
    test(`killed ${step.name}, ${method}: ${title}`, async (t) => {
      const { dying, path, living, agent } = await setUp(t)
      const { path: target = '/', reused = false, unending = false } = step
      let before = 0
      // Each in turn: this one, the other, and then this one again.
      if (reused) {
        for (let i = 0; i < 2; i++) await send(agent, { path: '/warm', method: 'GET' }).ended
        before = 1
      }
      const body = unending ? new PassThrough() : null
      const warm = await living.call('seen')
      assert.equal(warm.length, before)
      if (step.beforehand === 'stop') await dying.stop()
      else if (step.beforehand === 'kill') await dying.kill()
      const request = send(agent, {
        path: target,
        method,
        body: method === 'GET' ? null : (body ?? 'x')
      })
      body?.write('half')
      if (dying.running) {
        await step.until?.(dying, before, request.told)
        // Who connects while the kernel takes it down is let in, and then reset.
        unlinkSync(path)
        await dying.kill()
      }
      const { events }: Transcript = await request.ended
      assert.equal(events.at(-1), expected)
      const asked = (await living.call('seen')).map((seen) => `${seen.method} ${seen.target}`)
      assert.deepEqual(asked, expected === ANSWERED ? [`${method} ${target}`] : [])
      if (body !== null) assert.equal(body.destroyed, true)
      const { links, origins } = agent.statistics()
      for (const { session } of links) assert.equal(session?.leases ?? 0, 0)
      assert.ok(origins.every(({ queued }) => queued === 0))
      // And the next is served.
      assert.equal((await send(agent, { path: '/', method: 'POST' }).ended).events.at(-1), ANSWERED)
    })
  }
}
