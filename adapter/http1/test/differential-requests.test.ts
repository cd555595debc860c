import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, METHODS, type ServerResponse } from 'node:http'
import { it } from 'node:test'
import { RequestReader } from '../index.ts'
import type { RequestHead } from '../message.ts'
import { InMemoryWire } from './in-memory-wire.ts'
import { mutate, pieces, Random } from './mutations.ts'
import { transcribe } from './transcript.ts'

const SEEDS = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Y: z \t\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x\r\n\r\n',
  'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'PUT /q HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1;a=b;c="d\\"e";f\r\nx\r\n0\r\nX: y\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nzGET /2 HTTP/1.1\r\nHost: [::1]:1\r\n\r\n',
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  '\r\nDELETE /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
]

const ITERATIONS = 12_000

interface Message {
  readonly head: string
  readonly headers: string[]
  body: string
  trailers: string[]
}

it('accepts nothing that node:http does not, and reads the same out of it', async () => {
  const random = new Random(20260211)
  let compared = 0
  for (let i = 0; i < ITERATIONS; i++) {
    const bytes = Buffer.from(mutate(random, random.pick(SEEDS), SEEDS), 'latin1')
    const { messages, used } = ours(bytes)
    if (messages.length === 0) continue
    const input = bytes.subarray(0, used)
    // Where we accept more, on purpose: any token is a method, not only the registered ones.
    if (messages.some(({ head }) => !METHODS.includes(head.split(' ')[0] as string))) continue
    compared++
    const theirs = await nodeReads(input)
    assert.deepEqual(messages, theirs, JSON.stringify(bytes.toString('latin1')))
  }
  assert.ok(compared > ITERATIONS / 8, `only ${compared} inputs were good enough to compare`)
})

it('reads the same from pieces of any size', () => {
  const random = new Random(17)
  for (let i = 0; i < ITERATIONS; i++) {
    const bytes = Buffer.from(mutate(random, random.pick(SEEDS), SEEDS), 'latin1')
    const whole = transcribe([bytes], { kind: 'request' })
    const split = transcribe(pieces(random, bytes), { kind: 'request' })
    // An input that ends within a bad line is refused for the one or for the other.
    const cut = (lines: string[]): string[] =>
      lines.map((line) => (line.startsWith('refused') ? 'refused' : line))
    assert.deepEqual(cut(split), cut(whole), JSON.stringify(bytes.toString('latin1')))
  }
})

/** The messages that are complete, and how many bytes they take; a server would stop there, too. */
function ours(bytes: Buffer): { messages: Message[]; used: number } {
  const messages: Message[] = []
  let used = 0
  let message: Message | undefined
  let last = false
  let ended = false
  const reader = new RequestReader({
    onHead: (head: RequestHead) => {
      // Behind the offer of an upgrade node:http reads no further request; nor would a server of ours
      // before it has answered.
      last = !head.keepAlive || head.method === 'CONNECT' || head.upgrade !== undefined
      ended = false
      const line = `${head.method} ${head.target} 1.${head.version}`
      message = { head: line, headers: head.headers, body: '', trailers: [] }
    },
    onBody: (chunk) => {
      if (message !== undefined) message.body += chunk.toString('latin1')
    },
    onEnd: (trailers) => {
      if (message === undefined) return
      message.trailers = trailers
      messages.push(message)
      ended = true
    }
  })
  let at = 0
  try {
    while (at < bytes.length) {
      const next = reader.feed(bytes, at)
      assert.ok(next > at, 'feed must get on')
      at = next
      if (!ended) continue
      used = at
      if (last) break
      ended = false
      reader.reset()
    }
  } catch {
    // What came before the error counts; the input behind `used` is not compared.
  }
  return { messages, used }
}

function nodeReads(bytes: Buffer): Promise<Message[] | string> {
  // Half-open, or the end of the input would abort the requests that wait for their turn.
  const server = Object.assign(createServer(), { httpAllowHalfOpen: true })
  const wire = new InMemoryWire()
  const messages: Message[] = []
  return new Promise((resolve) => {
    const done = (result: Message[] | string): void => {
      wire.destroy()
      resolve(result)
    }
    const add = (request: IncomingMessage): Message => {
      const head = `${request.method} ${request.url} ${request.httpVersion}`
      const message = { head, headers: request.rawHeaders, body: '', trailers: [] as string[] }
      messages.push(message)
      return message
    }
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      const message = add(request)
      request.setEncoding('latin1')
      request.on('data', (text: string) => {
        message.body += text
      })
      request.on('end', () => {
        message.trailers = request.rawTrailers
        response.end()
      })
    }
    server.on('request', answer)
    server.on('checkContinue', answer)
    server.on('checkExpectation', answer)
    server.on('connect', (request: IncomingMessage) => {
      add(request)
      done(messages)
    })
    server.on('clientError', (error: Error) => done(`refused: ${error.message}`))
    wire.on('finish', () => done(messages))
    server.emit('connection', wire)
    wire.deliver(bytes)
  })
}
