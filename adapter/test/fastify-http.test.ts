/** What node:http does for an app over TCP, it does over shared memory. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'
import { agentFor, sessionFor, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { type Scene, scene } from './support/scene.ts'

/** Writes `text` on a stream of its own; returns all that comes until it is closed. */
async function exchange(s: Scene, text: string): Promise<string> {
  const session = await sessionFor(s)
  const stream = session.openStream()
  stream.write(text)
  return until(stream, () => false)
}

/** Reads until `enough` holds or the stream ends. */
function until(stream: Duplex, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (enough(text)) resolve(text)
    })
    stream.once('end', () => resolve(text))
    stream.once('error', (error) => (text === '' ? reject(error) : resolve(text)))
  })
}

test('a response from a stream arrives exact, however slowly it is read', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const { body } = await agent.request({
    origin: 'http://a',
    path: '/stream/5000000',
    method: 'GET'
  })
  const chunks: Buffer[] = []
  for await (const chunk of body) {
    chunks.push(chunk as Buffer)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(sha256(Buffer.concat(chunks)), sha256(pattern(5_000_000)))
})

test('a request that streams is read as it comes', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const all = pattern(8 * 1024 * 1024)
  async function* body() {
    for (let at = 0; at < all.length; at += 100_000) yield all.subarray(at, at + 100_000)
  }
  const response = await agent.request({
    origin: 'http://a',
    path: '/hash',
    method: 'POST',
    body: body() as never
  })
  assert.deepEqual(await response.body.json(), { bytes: all.length, sha256: sha256(all) })
})

test('a response that breaks off is an error, not an end', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const { body } = await agent.request({ origin: 'http://a', path: '/breaks', method: 'GET' })
  await assert.rejects(body.arrayBuffer(), { code: /UND_ERR_SOCKET|ECONNRESET/ })
})

test('an answer before the end of the upload reaches the client', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const session = await sessionFor(s)
  const stream = session.openStream()
  const closed = new Promise((resolve) => stream.once('close', resolve))
  const answer = until(stream, (text) => text.endsWith('no'))
  stream.write('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n')
  const block = pattern(100_000)
  const write = () => {
    if (!stream.destroyed) stream.write(block, (error) => error == null && write())
  }
  write()
  assert.match(await answer, /^HTTP\/1\.1 403 /)
  // It reads no more: what is still written must fail, not wait for ever.
  await closed
})

test('Expect: 100-continue is answered before the body', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const session = await sessionFor(s)
  const stream = session.openStream()
  stream.write(
    'POST /hash HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n'
  )
  const [first] = (await once(stream, 'data')) as [Buffer]
  assert.equal(first.toString(), 'HTTP/1.1 100 Continue\r\n\r\n')
  stream.write('hello')
  assert.match(await until(stream, () => false), /^HTTP\/1\.1 200 [\s\S]*"bytes":5/)
})

test('requests sent together are answered in order', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const text = ['a', 'b', 'c'].map((name) => `GET /hello/${name} HTTP/1.1\r\nHost: a\r\n`)
  text[2] += 'Connection: close\r\n'
  const answer = await exchange(s, `${text.join('\r\n')}\r\n`)
  assert.deepEqual(answer.match(/"hello":"."/g), ['"hello":"a"', '"hello":"b"', '"hello":"c"'])
})

test('1xx, 204 and HEAD', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const infos: unknown[] = []
  const hinted = await agent.request({
    origin: 'http://a',
    path: '/hints',
    method: 'GET',
    onInfo: ({ statusCode, headers }) => infos.push([statusCode, headers['link']])
  })
  assert.equal(await hinted.body.text(), 'after hints')
  assert.deepEqual(infos, [[103, '</style.css>; rel=preload']])

  const empty = await agent.request({ origin: 'http://a', path: '/empty', method: 'GET' })
  assert.equal(empty.statusCode, 204)
  assert.equal(await empty.body.text(), '')

  // The connection is still in step after a response without its body.
  for (let i = 0; i < 3; i++) {
    const answer = await exchange(
      s,
      'HEAD /bytes/9 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    )
    assert.match(answer, /content-length: 9\r\n[\s\S]*\r\n\r\nHTTP\/1\.1 200 [\s\S]*"hello":"x"/)
  }
})

test('each request has its own async context, also on one connection', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const ids = Array.from({ length: 50 }, (_, i) => `request ${i}`)
  const seen = await Promise.all(
    ids.map(async (id) => {
      const { body } = await agent.request({
        origin: 'http://a',
        path: '/context',
        method: 'GET',
        headers: { 'x-request': id }
      })
      return body.text()
    })
  )
  assert.deepEqual(seen, ids)
})

test('what is not HTTP, or too much of it, is refused as over TCP', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const cases = [
    ['NONSENSE\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400]
  ] as const
  for (const [text, status] of cases) {
    assert.match(await exchange(s, text), new RegExp(`^HTTP/1.1 ${status} `), text.slice(0, 40))
  }
})

test('a client sees why its head or its request took too long', async (t) => {
  const s = await scene(t)
  await startApp(s, { requestTimeout: 1000 })
  const agent = agentFor(s)
  async function* never() {
    yield Buffer.from('the beginning')
    await new Promise(() => undefined)
  }
  const response = await agent.request({
    origin: 'http://a',
    path: '/hash',
    method: 'POST',
    body: never() as never
  })
  assert.equal(response.statusCode, 408)
  await response.body.dump().catch(() => undefined)
})

test('connectionTimeout closes a connection on which nothing happens', async (t) => {
  const s = await scene(t)
  await startApp(s, { connectionTimeout: 1000 })
  const session = await sessionFor(s)
  const stream = session.openStream()
  stream.on('error', () => undefined)
  stream.resume()
  stream.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually('it is closed', () => stream.destroyed || stream.readableEnded)
  stream.destroy()
})

test('maxRequestsPerSocket says on the last response that it was the last', async (t) => {
  const s = await scene(t)
  await startApp(s, { maxRequestsPerSocket: 2 })
  const session = await sessionFor(s)
  const stream = session.openStream()
  stream.write('GET /hello/x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3))
  const answer = await until(stream, (text) => text.includes(' 503 '))
  stream.destroy()
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d+|connection: \S+/gi)?.slice(0, 5), [
    'HTTP/1.1 200',
    'Connection: keep-alive',
    'HTTP/1.1 200',
    'Connection: close',
    'HTTP/1.1 503'
  ])
})

test('two hundred requests at once', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const { body } = await agent.request({
        origin: `http://host-${i % 5}`,
        path: `/hello/${i}`,
        method: 'GET'
      })
      return ((await body.json()) as { hello: string }).hello
    })
  )
  assert.deepEqual(answers, Object.keys(answers))
  // Whatever the origins, it is one server.
  assert.equal((await app.call('statistics')).length, 1)
})

test('the last response of a connection is read to its end, long after the app has closed it', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const get = (path: string, headers: Record<string, string>) => {
    return agent.request({ origin: 'http://a', path, method: 'GET', headers })
  }
  const { body } = await get('/stream/900000', { connection: 'close' })
  await eventually('the app has closed it', async () => {
    const [session] = await app.call('statistics')
    return session!.streams === 0
  })
  // Behind all that the app said of the first.
  await (await get('/hello/x', {})).body.dump()
  assert.equal(sha256(Buffer.from(await body.arrayBuffer())), sha256(pattern(900_000)))
})
