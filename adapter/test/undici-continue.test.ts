/** `expectContinue`: a body that is sent when the server wants it (RFC 9110 10.1.1). */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import type { Dispatcher } from 'undici'
import { ShmAgent } from '../undici/index.ts'
import { startApp } from './app.ts'
import { agentFor, startScripted, transcribe } from './scripted.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'
const SCRIPT = {
  '/': { parts: [OK] },
  '/asks': { interim: CONTINUE, parts: [OK] },
  '/hints': { interim: `${HINTS}${CONTINUE}`, parts: [OK] },
  '/late': { parts: [`${CONTINUE}${OK}`] },
  '/refuses': { parts: ['HTTP/1.1 417 No\r\ncontent-length: 2\r\n\r\nno'], early: true },
  '/dies': { early: true, finally: 'destroy' }
} as const
const BODY = pattern(200_000)

async function setUp(t: TestContext) {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  await server.call('seen')
  return { s, server, agent }
}

function put(path: string, body: unknown, more: object = {}): Dispatcher.DispatchOptions {
  return { origin: ORIGIN, path, method: 'PUT', body, expectContinue: true, ...more } as never
}

/** One that says how much of it was asked for. */
function counted(parts: readonly (string | Buffer)[]) {
  const body = { asked: 0, stream: undefined as never as Readable }
  const left = [...parts]
  body.stream = new Readable({
    read() {
      body.asked++
      this.push(left.shift() ?? null)
    }
  })
  return body
}

function fields({ headers }: { readonly headers: readonly string[] }): string {
  return headers.filter((_, i) => i % 2 === 0).join()
}

test('every kind of body waits for 100, and is sent then', async (t) => {
  const { agent, server } = await setUp(t)
  const alloc = () => {
    const body = agent.allocUnsafe(BODY.length, { origin: ORIGIN })
    BODY.copy(body)
    return body
  }
  const cases: readonly (readonly [what: string, () => unknown, Buffer, framing: string])[] = [
    ['Buffer', () => BODY, BODY, 'content-length'],
    ['memory of alloc', alloc, BODY, 'content-length'],
    ['text', () => 'h\u00e9', Buffer.from('h\u00e9'), 'content-length'],
    ['stream', () => Readable.from([BODY, BODY]), twice(), 'transfer-encoding'],
    ['empty stream', () => Readable.from([]), Buffer.alloc(0), 'transfer-encoding'],
    ['Blob', () => new Blob([BODY]), BODY, 'content-length']
  ]
  let heads = 1
  for (const path of ['/asks', '/hints']) {
    for (const [what, body, sent, framing] of cases) {
      const ended = transcribe(agent, put(path, body()))
      await server.call('heads', ++heads)
      assert.equal((await server.call('seen')).length, 0, what)
      await server.call('next')
      const { events } = await ended
      const told = path === '/hints' ? /^start,103 .*,200 OK .*,end \{\}$/ : /^start,200 OK .*,end/
      assert.match(events.join(), told, what)
      const [seen] = await server.call('seen')
      assert.equal(seen?.sha256, sha256(sent), what)
      assert.equal(fields(seen!), `host,connection,expect,${framing}`, what)
    }
  }
  assert.equal(await server.call('connections'), 1)
})

test('no byte of it leaves, and no part is asked for, before the server answers', async (t) => {
  const { agent, server } = await setUp(t)
  const body = counted([BODY, BODY])
  const ended = transcribe(agent, put('/asks', body.stream))
  await server.call('heads', 2)
  assert.equal(await server.call('bodyBytes'), 0)
  // To find out its length, and what it keeps.
  assert.ok(body.asked <= 1)
  await server.call('next')
  assert.equal((await ended).events.at(-1), 'end {}')
  assert.equal((await server.call('seen'))[0]?.bytes, 2 * BODY.length)
})

test('a final answer instead of 100: the body is not sent, and the connection not used again', async (t) => {
  const { agent, server } = await setUp(t)
  const held = agent.allocUnsafe(BODY.length, { origin: ORIGIN })
  BODY.copy(held)
  const { stream } = counted([BODY])
  for (const body of [held, stream]) {
    const { events, body: answer } = await transcribe(agent, put('/refuses', body))
    assert.match(events.join(), /^start,417 No .*,end \{\}$/)
    assert.equal(answer, 'no')
  }
  assert.equal(await server.call('bodyBytes'), 0)
  assert.equal(stream.destroyed, true)
  assert.equal(sha256(held), sha256(BODY), 'what was not sent is the sender\u2019s')
  await transcribe(agent, put('/', held, { expectContinue: false }))
  const [seen] = await server.call('seen')
  assert.equal(seen?.sha256, sha256(BODY))
  assert.equal(seen?.connection, 3)
})

test('a server that says nothing gets the body all the same, and may say 100 late', async (t) => {
  const { agent, server } = await setUp(t)
  for (const path of ['/', '/late']) {
    const { events } = await transcribe(agent, put(path, BODY))
    assert.match(events.join(), /^start,200 OK .*,end \{\}$/, path)
    assert.equal((await server.call('seen'))[0]?.sha256, sha256(BODY))
  }
})

test('without a body, or without being asked to, nothing is expected', async (t) => {
  const { agent, server } = await setUp(t)
  for (const options of [
    put('/', null),
    put('/', ''),
    put('/', 'x', { expectContinue: false }),
    put('/', 'x', { expectContinue: undefined })
  ]) {
    await transcribe(agent, options)
    assert.equal(fields((await server.call('seen'))[0]!), 'host,connection,content-length')
  }
  // A 100 nobody asked for is still none.
  const { events } = await transcribe(agent, put('/late', 'x', { expectContinue: false }))
  assert.equal(events.at(-1), 'error UND_ERR_SOCKET')
})

test('aborted, or broken, while it waits', async (t) => {
  const { agent, server } = await setUp(t)
  const aborting = new AbortController()
  const aborted = agent.request(put('/asks', BODY, { signal: aborting.signal }) as never)
  await server.call('heads', 2)
  aborting.abort()
  await assert.rejects(aborted, { name: 'AbortError' })

  for (const [idempotent, heads] of [
    [true, 2],
    [false, 1]
  ] as const) {
    await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
    const before = await server.call('headsSoFar')
    const { events } = await transcribe(agent, put('/dies', BODY, { idempotent }))
    assert.deepEqual(events, ['start', 'error UND_ERR_SOCKET'])
    assert.equal((await server.call('headsSoFar')) - before, heads, `idempotent: ${idempotent}`)
  }
  assert.equal(await server.call('bodyBytes'), 0)
})

test('an app with the plugin asks for it', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = new ShmAgent(s.path)
  s.defer(() => agent.destroy())
  const headers = { 'content-type': 'application/octet-stream' }
  const options = { ...put('/echo', BODY, { headers }), method: 'POST' } as const
  const { statusCode, body } = await agent.request(options as never)
  assert.equal(statusCode, 200)
  assert.equal(sha256(Buffer.from(await body.arrayBuffer())), sha256(BODY))
})

function twice(): Buffer {
  return Buffer.concat([BODY, BODY])
}
