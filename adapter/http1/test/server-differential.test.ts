/** The same requests, by the same listeners, through our codec and through node:http's. */
import assert from 'node:assert/strict'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { type Codec, ServerScene, undated } from './server-scene.ts'

const GET = 'GET /a?b HTTP/1.1\r\nHost: a\r\n'
const CLOSE = 'Connection: close\r\n'
const END = '\r\n'

const LISTENERS: Record<string, RequestListener> = {
  'end with text': (_request, response) => response.end('text'),
  'end with text that is not ASCII': (_request, response) => response.end('zwölf €'),
  'end with latin1 text': (_request, response) => response.end('zw\u00f6lf', 'latin1'),
  'end with hex text': (_request, response) => response.end('616263', 'hex'),
  'end with a buffer': (_request, response) => response.end(Buffer.from('buffer')),
  'end with a view': (_request, response) => response.end(new Uint8Array([97, 98])),
  'end with nothing': (_request, response) => response.end(),
  'end with an empty text': (_request, response) => response.end(''),
  'end with a callback': (_request, response) => response.end(() => undefined),
  'end twice': (_request, response) => response.end('a').end('b'),
  'write and end': (_request, response) => {
    response.write('first ')
    response.write(Buffer.from('second '))
    response.write('')
    response.end('third')
  },
  'write with a known length': (_request, response) => {
    response.setHeader('Content-Length', 5)
    response.write('he')
    response.end('llo')
  },
  'several turns': async (_request, response) => {
    for (const text of ['a', 'b', 'c']) {
      response.write(text)
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  },
  'a piped stream': (_request, response) => {
    Readable.from(['x'.repeat(10_000), 'y']).pipe(response)
  },
  'a pipeline': (_request, response) => pipeline(Readable.from(['x', 'y']), response),
  'fields of every kind': (_request, response) => {
    response.statusCode = 201
    response.statusMessage = 'Made'
    response.setHeader('X-One', 'a')
    response.appendHeader('X-One', 'b')
    response.setHeader('Set-Cookie', ['a=1', 'b=2'])
    response.setHeader('X-Gone', 'x')
    response.removeHeader('X-Gone')
    response.end(JSON.stringify([response.getHeaders(), response.getHeaderNames()]))
  },
  'writeHead with an object': (_request, response) =>
    response.writeHead(202, { 'content-type': 'text/plain', 'Content-Length': 2 }).end('ok'),
  'writeHead with an array': (_request, response) =>
    response.writeHead(202, 'Fine', ['A', 'b', 'A', 'c']).end('ok'),
  'no date': (_request, response) => {
    response.sendDate = false
    response.end('x')
  },
  'connection: close': (_request, response) => response.setHeader('Connection', 'close').end('bye'),
  'no keep-alive': (_request, response) => {
    response.shouldKeepAlive = false
    response.end('bye')
  },
  'chunked asked for': (_request, response) =>
    response.setHeader('Transfer-Encoding', 'chunked').end('one'),
  'length removed': (_request, response) => {
    response.removeHeader('Content-Length')
    response.end('one')
  },
  trailers: (request, response) => {
    if (!(response as Chunking).useChunkedEncodingByDefault || request.method === 'HEAD') {
      assert.throws(() => response.writeHead(200, { Trailer: 'X-Sum' }), {
        code: 'ERR_HTTP_TRAILER_INVALID'
      })
      response.end()
      return
    }
    response.writeHead(200, { Trailer: 'X-Sum' })
    response.write('body')
    response.addTrailers({ 'X-Sum': 'abc' })
    response.end()
  },
  '204 with a body': (_request, response) => response.writeHead(204).end('ignored'),
  '304': (_request, response) => response.writeHead(304, { ETag: '"x"' }).end(),
  '204 with chunks': (_request, response) => {
    response.writeHead(204, { 'Transfer-Encoding': 'chunked' }).end()
  },
  'early hints': (_request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.writeProcessing()
    response.end('hinted')
  },
  'flushed head': (_request, response) => {
    response.flushHeaders()
    setImmediate(() => response.end('later'))
  },
  'headers of the request': (request, response) => {
    const { headers, rawHeaders, headersDistinct, url, method, httpVersion } = request
    response.end(JSON.stringify([headers, rawHeaders, headersDistinct, url, method, httpVersion]))
  },
  'the body as text': async (request, response) => {
    request.setEncoding('utf8')
    let text = ''
    for await (const part of request) text += part
    response.end(JSON.stringify([text, request.trailers, request.rawTrailers, request.complete]))
  },
  'the body piped back': (request, response) => {
    request.pipe(response)
  },
  'the body by read()': (request, response) => {
    request.on('readable', () => {
      for (let chunk = request.read(); chunk !== null; chunk = request.read()) response.write(chunk)
    })
    request.on('end', () => response.end())
  },
  'a second head': (_request, response) => {
    response.end('x')
    assert.throws(() => response.setHeader('a', 'b'), { code: 'ERR_HTTP_HEADERS_SENT' })
    assert.throws(() => response.writeHead(200), { code: 'ERR_HTTP_HEADERS_SENT' })
  },
  'what cannot be sent': (_request, response) => {
    const codes: unknown[] = []
    const attempts: (() => unknown)[] = [
      () => response.setHeader('a\r\nb', 'c'),
      () => response.setHeader('a', 'b\r\nc: d'),
      () => response.writeHead(200, { 'a:': 'b' }),
      () => response.writeHead(200, 'OK\r\nb: c'),
      () => response.writeHead(99),
      () => response.write(null as never),
      () => response.write({} as never),
      () => response.end(5 as never),
      () => response.addTrailers({ a: 'b\nc' })
    ]
    for (const attempt of attempts) {
      try {
        attempt()
        codes.push('done')
      } catch (error) {
        codes.push((error as NodeJS.ErrnoException).code)
      }
    }
    response.statusCode = 200
    response.statusMessage = ''
    response.end(codes.join(' '))
  },
  'a strict length': (request, response) => {
    response.strictContentLength = true
    response.writeHead(200, { 'Content-Length': 4 })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    assert.throws(() => response.write('12345'), { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH' })
    assert.throws(() => response.end('123'), { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH' })
    response.end('1234')
  }
}

const REQUESTS: Record<string, string> = {
  GET: GET + END,
  'GET, close': GET + CLOSE + END,
  HEAD: `HEAD / HTTP/1.1\r\nHost: a\r\n${END}`,
  'HTTP/1.0': `GET / HTTP/1.0\r\n${END}`,
  'HTTP/1.0, keep-alive': `GET / HTTP/1.0\r\nConnection: keep-alive\r\n${END}`,
  'HTTP/1.0 with TE': `GET / HTTP/1.0\r\nTE: chunked\r\nConnection: keep-alive\r\n${END}`,
  'POST, length': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n${END}f\u00c3\u00bcnfzig`,
  'POST, chunked': `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${END}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\nX-T: 2\r\n\r\n`,
  'POST, empty': `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n${END}`,
  'repeated fields': `${GET}Cookie: a\r\ncookie: b\r\nSet-Cookie: c\r\nset-cookie: d\r\nX-A: 1\r\nx-a: 2\r\nUser-Agent: e\r\nUser-Agent: f\r\nAge: 1\r\nage: 2\r\nconstructor: g\r\n__proto__: h\r\nAccept:\r\n${END}`,
  'Expect: 100-continue': `POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n${END}ab`,
  'Expect: else': `GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n${END}`,
  'upgrade nobody takes': `${GET}Connection: upgrade\r\nUpgrade: x\r\n${END}`
}

for (const [title, listener] of Object.entries(LISTENERS)) {
  test(title, async (t) => {
    for (const [name, bytes] of Object.entries(REQUESTS)) {
      const own = await observe(t, 'own', listener, bytes)
      const node = await observe(t, 'node', listener, bytes)
      assert.deepEqual(own, node, name)
    }
  })
}

interface Chunking extends ServerResponse {
  readonly useChunkedEncodingByDefault: boolean
}

type Observed = { readonly output: string; readonly events: string[]; readonly closed: boolean }

async function observe(
  t: TestContext,
  codec: Codec,
  listener: RequestListener,
  bytes: string
): Promise<Observed> {
  const scene = new ServerScene(t, codec)
  const events: string[] = []
  scene.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    for (const event of ['prefinish', 'finish', 'close', 'error', 'drain']) {
      response.on(event, () => events.push(event))
    }
    request.on('aborted', () => events.push('aborted'))
    listener(request, response)
  })
  const stream = await scene.exchange(bytes)
  return {
    output: joined(undated(stream.output)),
    events,
    closed: stream.destroyed || stream.ended
  }
}

/** Without the borders of chunks: Node 26 makes one of several that are written in a turn. */
function joined(text: string): string {
  return text.replaceAll(/^[0-9a-f]+\r\n((?:(?!\r\n)[\s\S])*)\r\n(?=[0-9a-f]+\r\n)/gm, '$1')
}
