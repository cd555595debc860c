/** Bodies both ways: whose memory they are in, who waits for whom, and what nobody reads. */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { WireRequest } from '../server/index.ts'
import type { Lease } from '../wire.ts'
import { ServerScene, settled } from './server-scene.ts'

const MIB = 1024 * 1024

function post(length: number): string {
  return `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`
}

test('what was read stays true after the memory it came in is used again', async (t) => {
  const scene = new ServerScene(t)
  const kept: Buffer[] = []
  scene.server.on('request', (request, response) => {
    request.on('data', (chunk: Buffer) => kept.push(chunk)).on('end', () => response.end())
  })
  const stream = scene.connect()
  stream.deliver(`${post(8)}abc`)
  stream.deliver('de')
  await settled()
  // After the next tick the stream flows, and hands out what it is given at once.
  stream.deliver('fgh')
  await settled()
  assert.equal(Buffer.concat(kept).toString(), 'abcdefgh')
})

test('with an encoding set, views are decoded where they lie, characters in pieces too', async (t) => {
  const scene = new ServerScene(t)
  const texts: string[] = []
  scene.server.on('request', (request, response) => {
    request.setEncoding('utf8')
    request.on('data', (text: string) => texts.push(text)).on('end', () => response.end())
  })
  const text = Buffer.from('zwölf € und 𝄞')
  const stream = scene.connect()
  stream.deliver(post(text.length))
  for (const byte of text) stream.deliver(Buffer.of(byte))
  await settled()
  assert.equal(texts.join(''), 'zwölf € und 𝄞')
})

test('a body nobody reads holds its sender back, and is read when somebody does', async (t) => {
  const scene = new ServerScene(t)
  let request: WireRequest | undefined
  scene.server.on('request', (incoming, response) => {
    request = incoming as WireRequest
    incoming.on('end', () => response.end('all'))
  })
  const stream = scene.connect()
  stream.deliver(post(MIB))
  for (let sent = 0; sent < MIB; sent += 16_384) stream.deliver(Buffer.alloc(16_384, 'x'))
  await settled()
  assert.ok(stream.wirePaused)
  assert.ok(request!.readableLength <= 65_536 + 16_384, `${request!.readableLength} bytes`)
  let bytes = 0
  request!.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  await settled()
  assert.equal(bytes, MIB)
  assert.match(stream.output, /all$/)
})

test('what is left of a body after its response is dropped, and the next request served', async (t) => {
  const scene = new ServerScene(t)
  scene.server.on('request', (request, response) => response.end(request.url))
  const stream = scene.connect()
  stream.deliver(post(MIB))
  for (let sent = 0; sent < MIB; sent += 16_384) stream.deliver(Buffer.alloc(16_384, 'x'))
  stream.deliver('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
  await settled()
  assert.match(stream.output, /\/next$/)
})

test('a body without end that nobody reads ends the connection', async (t) => {
  const scene = new ServerScene(t)
  scene.server.on('request', (_request, response) => response.end())
  const stream = scene.connect()
  stream.deliver(post(64 * MIB))
  await settled()
  for (let sent = 0; sent < 20 && !stream.destroyed; sent++) stream.deliver(Buffer.alloc(MIB))
  assert.ok(stream.destroyed)
  assert.ok(stream.ended)
})

test('whoever reads on after the response gets the whole body', async (t) => {
  const scene = new ServerScene(t)
  let text = ''
  let closed = false
  scene.server.on('request', async (request, response) => {
    request.on('close', () => {
      closed = true
    })
    response.end('early')
    for await (const chunk of request) text += chunk
  })
  const stream = scene.connect()
  stream.deliver(`${post(6)}abc`)
  await settled()
  assert.match(stream.output, /early$/)
  stream.deliver('def')
  stream.deliver('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await settled()
  assert.equal(text, 'abcdef')
  assert.ok(closed)
  assert.equal(stream.output.match(/early/g)?.length, 2)
})

test('whoever is full at the end of a body that was answered before does not stop the next request', async (t) => {
  const scene = new ServerScene(t)
  scene.server.on('request', (request, response) => {
    // Wants the body, and takes its time.
    request.on('data', () => {}).pause()
    response.end(request.url)
  })
  const stream = scene.connect()
  stream.deliver(post(100_000))
  await settled()
  stream.deliver(Buffer.alloc(100_000, 'x'))
  await settled()
  stream.deliver('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
  await settled()
  assert.match(stream.output, /\/next$/)
})

test('a request that was read is closed after its response, not before', async (t) => {
  const scene = new ServerScene(t)
  const events: string[] = []
  const responses: ServerResponse[] = []
  scene.server.on('request', (request, response) => {
    request.resume().on('end', () => events.push('end'))
    request.on('close', () => events.push('close'))
    response.on('finish', () => events.push('finish'))
    responses.push(response)
  })
  scene.connect().deliver(`${post(3)}abc`)
  await settled()
  assert.deepEqual(events, ['end'])
  responses[0]!.end()
  await settled()
  assert.deepEqual(events, ['end', 'finish', 'close'])
})

test('a taker gets views, which last while it holds them', async (t) => {
  const scene = new ServerScene(t)
  const views: Buffer[] = []
  const leases: Lease[] = []
  const ends: unknown[] = []
  scene.server.on('request', (request, response) => {
    ;(request as WireRequest).lendTo({
      onBody: (chunk, lease) => {
        views.push(chunk)
        lease!.hold()
        leases.push(lease!)
      },
      onBodyEnd: (error) => {
        ends.push(error)
        response.end()
      }
    })
  })
  const stream = scene.connect()
  stream.deliver(post(6))
  stream.deliver('abc')
  stream.deliver('def')
  await settled()
  assert.deepEqual(ends, [undefined])
  assert.equal(Buffer.concat(views).toString(), 'abcdef')
  assert.equal(stream.lent, 6)
  for (const lease of leases) lease.drop()
  assert.equal(stream.lent, 0)
})

test('a taker is told that the rest will not come', async (t) => {
  const scene = new ServerScene(t)
  const ends: unknown[] = []
  scene.server.on('request', (request) => {
    ;(request as WireRequest).lendTo({
      onBody: () => undefined,
      onBodyEnd: (error) => ends.push((error as NodeJS.ErrnoException).code)
    })
  })
  const stream = scene.connect()
  stream.deliver(`${post(6)}abc`)
  await settled()
  stream.reset()
  await settled()
  assert.deepEqual(ends, ['ECONNRESET'])
})

test('a response waits for a client that does not read', async (t) => {
  const scene = new ServerScene(t)
  const events: string[] = []
  let response: ServerResponse | undefined
  scene.server.on('request', (_request, outgoing) => {
    response = outgoing
    for (const event of ['drain', 'finish', 'close']) {
      outgoing.on(event, () => events.push(event))
    }
  })
  const stream = scene.connect()
  stream.deliver('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  stream.stall()
  assert.equal(
    response!.write('x'.repeat(1000), () => events.push('written')),
    true
  )
  assert.equal(response!.write('x'.repeat(MIB)), false)
  assert.equal(response!.writableNeedDrain, true)
  assert.ok(response!.writableLength > MIB)
  await settled()
  assert.deepEqual(events, [])
  stream.unstall()
  await settled()
  assert.deepEqual(events, ['written', 'drain'])
  assert.equal(response!.writableNeedDrain, false)
  stream.stall()
  response!.end('end')
  await settled()
  assert.equal(response!.writableFinished, false)
  assert.deepEqual(events, ['written', 'drain'])
  stream.unstall()
  await settled()
  assert.deepEqual(events, ['written', 'drain', 'finish', 'close'])
})

test('the last response of a connection arrives whole before it is closed', async (t) => {
  const scene = new ServerScene(t)
  scene.server.on('request', (_request, response) => response.end('x'.repeat(MIB)))
  const stream = scene.connect()
  stream.stall()
  stream.deliver('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await settled()
  assert.equal(stream.destroyed, false)
  stream.unstall()
  await settled()
  assert.match(stream.output, /x{1000}$/)
  assert.equal(stream.output.length - stream.output.indexOf('\r\n\r\n') - 4, MIB)
  assert.ok(stream.ended && stream.destroyed)
})

test('early hints cannot carry another line', async (t) => {
  const scene = new ServerScene(t)
  scene.server.on('request', (_request, response) => {
    for (const hints of [{ link: '</a>; rel=preload', 'x\r\ny': 'z' }, { 'x-y': 'a\r\nb: c' }]) {
      assert.throws(() => response.writeEarlyHints(hints as never), { code: 'SHM_ERR_INVALID_ARG' })
    }
    response.end()
  })
  const stream = await scene.exchange('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(stream.output, /^HTTP\/1\.1 200/)
})

test('a chunk as large as a slice is handed on in pieces, exact, and stops when nobody wants more', async (t) => {
  const scene = new ServerScene(t)
  const body = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251))
  const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`
  const seen: Buffer[] = []
  scene.server.on('request', (request, response) => {
    request.on('data', (chunk: Buffer) => seen.push(chunk))
    request.once('end', () => response.end())
  })
  const stream = scene.connect()
  stream.deliver(head)
  stream.deliver(body)
  await settled()
  assert.deepEqual(
    seen.map(({ length }) => length),
    [65_536, 65_536, 65_536, 200_000 - 3 * 65_536]
  )
  assert.ok(Buffer.concat(seen.splice(0)).equals(body))

  scene.server.removeAllListeners('request')
  scene.server.on('request', (request) => {
    request.once('data', (chunk: Buffer) => {
      seen.push(chunk)
      request.destroy()
    })
  })
  const second = scene.connect()
  second.deliver(head)
  second.deliver(body)
  await settled()
  assert.equal(seen.length, 1)
  assert.ok(second.destroyed)
})
