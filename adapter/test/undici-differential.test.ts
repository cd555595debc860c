/** The same requests by undici's own Pool over TCP: what servers and handlers see is the same. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { type Dispatcher, Pool } from 'undici'
import type { Answer } from './fixtures/scripted-server.ts'
import { agentFor, type Dialect, startScripted, transcribe } from './scripted.ts'
import { pattern } from './support/pattern.ts'
import { scene } from './support/scene.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const CLOSE = 'HTTP/1.1 200 OK\r\nconnection: close\r\n'

const SCRIPT: Readonly<Record<string, Answer>> = {
  '/ok': { parts: [OK] },
  'http://other.test/ok': { parts: [OK] },
  '/empty': { parts: ['HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n'] },
  '/unchanged': { parts: ['HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n'] },
  '/large': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n'], fill: 3_000_000 },
  '/repeated': {
    parts: [
      'HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nX-A: \xe9\r\n__proto__: c\r\n' +
        'Content-Length: 0\r\n\r\n'
    ]
  },
  '/chunked': {
    parts: [
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n' +
        'X-Sum: 7\r\n\r\n'
    ]
  },
  '/close': { parts: [`${CLOSE}\r\nuntil the end`], finally: 'end' },
  '/hints': { parts: [`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`] },
  '/no-reason': { parts: ['HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n'] },
  '/cut': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nshort'], finally: 'end' },
  '/cut-chunked': {
    parts: ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc'],
    finally: 'end'
  },
  '/nothing': { finally: 'end' },
  '/bad-upgrade': { parts: ['HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n'] },
  '/long-head': {
    parts: [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(17_000)}\r\ncontent-length: 0\r\n\r\n`]
  }
}

type Options = Omit<Dispatcher.DispatchOptions, 'origin'>

function request(path: string, more: Partial<Options> = {}): () => Options {
  return () => ({ path, method: 'GET', ...more })
}

function post(body: () => Options['body'], headers?: Options['headers']): () => Options {
  return () => ({ path: '/ok', method: 'POST', body: body() as never, headers: headers ?? null })
}

async function* parts() {
  yield 'one '
  yield Buffer.from('two')
}

const REQUESTS: readonly (readonly [name: string, options: () => Options])[] = [
  ...Object.keys(SCRIPT).map((path) => [`GET ${path}`, request(path)] as const),
  ['HEAD', request('/chunked', { method: 'HEAD' })],
  ['query', request('/ok', { query: { a: 1, b: ['x', 'y z'] } })],
  ['own Host', request('/ok', { headers: { host: 'other.test:81' } })],
  [
    'headers as object',
    request('/ok', { headers: { A: 'b', none: undefined, many: ['x', 'y'], N: 3 } as never })
  ],
  ['headers as array', request('/ok', { headers: ['A', 'b', 'a', 'c'] })],
  ['headers as Map', request('/ok', { headers: new Map([['A', 'b']]) as never })],
  ['latin1 value', request('/ok', { headers: { a: 'caf\xe9' } })],
  ['close', request('/ok', { headers: { connection: 'close' } })],
  ['reset', request('/ok', { reset: true })],
  ['DELETE', request('/ok', { method: 'DELETE' })],
  ['POST without body', post(() => null)],
  ['POST empty string', post(() => '')],
  ['POST string', post(() => 'h\xe9llo')],
  ['POST Buffer', post(() => pattern(300_000))],
  ['POST stream', post(() => Readable.from([pattern(1000), pattern(2000)]))],
  ['POST empty stream', post(() => Readable.from([]))],
  ['POST iterable', post(() => parts() as never)],
  ['POST length and iterable', post(() => parts() as never, { 'content-length': '7' })],
  ['POST too short', post(() => parts() as never, { 'content-length': '9' })],
  ['POST too long', post(() => parts() as never, { 'content-length': '5' })],
  ['POST wrong length', post(() => 'abc', { 'content-length': '2' })],
  ['GET with a body', request('/ok', { body: 'abc' })],
  ['PUT', request('/ok', { method: 'PUT', body: 'abc' })]
]

/** Where we do otherwise, and why. */
const DELIBERATE: Readonly<Record<string, string>> = {
  'GET /unchanged': 'RFC 9110 8.6: 304 may tell the length of what it does not send',
  'GET /bad-upgrade': 'undici tells the head of 101 first, and then fails an assertion',
  HEAD: 'undici closes the connection, for servers that answer HEAD with a body; we close on those',
  'GET with a body': 'undici closes the connection without saying so'
}

/** What may differ: the address, and how sockets name their errors. */
function comparable(value: unknown, origin: string): unknown {
  const text = JSON.stringify(value).replaceAll(origin.replace('http://', ''), 'HOST')
  return JSON.parse(text.replaceAll('ECONNRESET', 'UND_ERR_SOCKET').replace(/HPE_\w+/g, 'HPE'))
}

for (const transport of ['shm', 'socket'] as const) {
  test(`over ${transport} all is as with undici over TCP`, async (t) => {
    if (transport === 'socket') process.env['SHMESH_DISABLE'] = '1'
    t.after(() => delete process.env['SHMESH_DISABLE'])
    const s = await scene(t)
    const { server, tcp } = await startScripted(s, SCRIPT)
    const agent = agentFor(s)
    const pool = new Pool(tcp)
    s.defer(() => pool.destroy())

    const different = new Set<string>()
    for (const dialect of ['controller', 'legacy'] satisfies Dialect[]) {
      for (const [name, options] of REQUESTS) {
        const told: unknown[] = []
        for (const dispatcher of [pool, agent]) {
          const transcript = await transcribe(
            dispatcher,
            { origin: 'http://app.test', ...options() },
            dialect
          )
          const seen = await server.call('seen')
          const requests = seen.map(({ connection: _, ...request }) => request)
          const origin = dispatcher === pool ? tcp : 'http://app.test'
          told.push(comparable({ transcript, requests }, origin))
        }
        if (!isDeepStrictEqual(told[1], told[0])) different.add(name)
      }
    }
    assert.deepEqual([...different], Object.keys(DELIBERATE))
    assert.equal(agent.statistics().links[0]?.transport, transport)
  })
}
