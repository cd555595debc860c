import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { Link, listen, type ShmStream } from '../../adapter/shmipc/index.ts'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { pattern, sha256 } from '../../adapter/test/support/pattern.ts'
import { Bytes } from './bytes.ts'
import { answering, atEnd, ok, startOrigin, startProxy, temporaryDirectory } from './harness.ts'

/** As it is sent: chunks of every size, up to what is more than a window. */
const CHUNKS = [1, 5000, 300, 70_000, 2049, 16_384, 1_200_000, 9, 300_000, 40_000, 2000, 66_000]
const ROUNDS = 10

function startOutbound(t: TestContext, path: string, cluster: string) {
  return startProxy(t, {
    drainTimeout: '20s',
    listeners: [
      { name: 'out', address: `shm://${path}`, takeover: true, routes: [{ cluster: 'app' }] }
    ],
    clusters: [{ name: 'app', endpoints: [{ address: cluster }] }]
  })
}

/** An app that is reached by shared memory, and each of whose streams `serve` has. */
async function startShmApp(t: TestContext, path: string, serve: (stream: ShmStream) => void) {
  const listener = await listen({ path })
  listener.on('stream', serve)
  atEnd(t, async () => {
    for (const session of listener.sessions) session.destroy()
    await listener.close()
  })
  return `shm://${path}`
}

function linkTo(t: TestContext, path: string): Link {
  const link = new Link(path)
  atEnd(t, () => link.destroy())
  return link
}

function chunked(body: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (let i = 0; at < body.length; i++) {
    const chunk = body.subarray(at, at + CHUNKS[i % CHUNKS.length]!)
    at += chunk.length
    pieces.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
  }
  pieces.push(Buffer.from('0\r\n\r\n'))
  return pieces
}

/** A body in chunks, however they were cut again on the way. */
async function readChunked(from: Bytes): Promise<Buffer> {
  const body: string[] = []
  for (;;) {
    const size = Number.parseInt(await from.until('\r\n'), 16)
    body.push(await from.take(size))
    assert.equal(await from.take(2), '\r\n')
    if (size === 0) return Buffer.from(body.join(''), 'latin1')
  }
}

test('bodies go from one shared memory to another, every byte in its place', async (t) => {
  const directory = temporaryDirectory(t)
  const body = pattern(4_000_000)
  const app = await startShmApp(t, `${directory}/app.sock`, (stream) => {
    const serve = async (connection: Bytes) => {
      for (;;) {
        await connection.head()
        const digest = sha256(await readChunked(connection))
        connection.write(
          `HTTP/1.1 200 OK\r\nX-Got: ${digest}\r\nTransfer-Encoding: chunked\r\n\r\n`
        )
        for (const piece of chunked(body)) {
          if (!stream.write(piece)) await once(stream, 'drain')
        }
      }
    }
    serve(new Bytes(stream)).catch(() => stream.destroy())
  })
  const path = `${directory}/out.sock`
  await startOutbound(t, path, app)
  const link = linkTo(t, path)
  const upload = async () => {
    const { stream } = await link.connect()
    const client = new Bytes(stream)
    for (let round = 0; round < ROUNDS; round++) {
      client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (const piece of chunked(body)) {
        if (!stream.write(piece)) await once(stream, 'drain')
      }
      assert.match(await client.head(), new RegExp(`X-Got: ${sha256(body)}`))
      assert.equal(sha256(await readChunked(client)), sha256(body))
    }
  }
  await Promise.all([upload(), upload(), upload()])
})

test('clients of a proxy that goes begin nothing more there, and lose nothing', async (t) => {
  const path = `${temporaryDirectory(t)}/out.sock`
  let answer: ((text: string) => void) | undefined
  const old = await startOrigin(t, async (connection) => {
    await connection.head()
    answer = (text) => connection.write(text)
    await connection.gone()
  })
  const young = await startOrigin(
    t,
    answering(() => ok('new'))
  )
  const first = await startOutbound(t, path, old.address)
  const link = linkTo(t, path)
  const running = new Bytes((await link.connect()).stream)
  running.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually('the request is with the origin', () => answer !== undefined)
  const session = link.session

  await startOutbound(t, path, young.address)
  const drained = first.proxy.drain()
  await eventually('the client has been asked to leave', () => link.session !== session)
  const next = new Bytes((await link.connect()).stream)
  next.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await next.head()
  assert.equal(await next.take(3), 'new')
  next.stream.destroy()

  answer?.(ok('old'))
  await running.head()
  assert.equal(await running.take(3), 'old')
  running.stream.destroy()
  assert.equal(await drained, true)
})
