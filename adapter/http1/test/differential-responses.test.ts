import assert from 'node:assert/strict'
import { type IncomingMessage, request } from 'node:http'
import { it } from 'node:test'
import { ResponseReader } from '../index.ts'
import type { ResponseHead } from '../message.ts'
import { InMemoryWire } from './in-memory-wire.ts'
import { mutate, pieces, Random } from './mutations.ts'
import { transcribe } from './transcript.ts'

const SEEDS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nServer: x y\r\n\r\nuntil the end',
  'HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 204\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n',
  'HTTP/1.1 500 Oh no\r\nTransfer-Encoding: Chunked\r\n\r\n1;a="b"\r\nx\r\n0\r\nX: y\r\nX: z\r\n\r\n',
  'HTTP/1.1 200 Fine \xe9\r\nX:\r\nY: \t a  b \t\r\nContent-Length: 0\r\n\r\n'
]

const METHODS = ['GET', 'HEAD', 'POST']
const ITERATIONS = 8_000

interface Answer {
  interim: number[]
  status: number
  reason: string
  version: string
  headers: string[]
  body: string
  trailers: string[]
}

it('accepts nothing that node:http does not, and reads the same out of it', async () => {
  const random = new Random(112)
  let compared = 0
  for (let i = 0; i < ITERATIONS; i++) {
    const bytes = Buffer.from(mutate(random, random.pick(SEEDS), SEEDS), 'latin1')
    const method = random.pick(METHODS)
    const answer = ours(method, bytes)
    if (answer === undefined) continue
    compared++
    const theirs = await nodeReads(method, answer.input)
    assert.deepEqual(answer.read, theirs, `${method} ${JSON.stringify(bytes.toString('latin1'))}`)
  }
  assert.ok(compared > ITERATIONS / 8, `only ${compared} inputs were good enough to compare`)
})

it('reads the same from pieces of any size', () => {
  const random = new Random(113)
  for (let i = 0; i < ITERATIONS; i++) {
    const bytes = Buffer.from(mutate(random, random.pick(SEEDS), SEEDS), 'latin1')
    const input = { kind: 'response' as const, to: [random.pick(METHODS), 'GET'] }
    // An input that ends within a bad line is refused for the one or for the other.
    const cut = (lines: string[]): string[] =>
      lines.map((line) => (line.startsWith('refused') ? 'refused' : line))
    const split = cut(transcribe(pieces(random, bytes), input))
    assert.deepEqual(
      split,
      cut(transcribe([bytes], input)),
      JSON.stringify(bytes.toString('latin1'))
    )
  }
})

function ours(method: string, bytes: Buffer): { read: Answer; input: Buffer } | undefined {
  const read = blank()
  let ended = false
  let closesTooSoon = false
  const reader = new ResponseReader({
    onHead: (head: ResponseHead) => {
      if (head.status < 200) {
        read.interim.push(head.status)
        // Where we accept more, on purpose: Connection speaks of the final response.
        closesTooSoon ||= !head.keepAlive
        return
      }
      read.status = head.status
      read.reason = head.reason
      read.version = `1.${head.version}`
      read.headers = head.headers
    },
    onBody: (chunk) => {
      read.body += chunk.toString('latin1')
    },
    onEnd: (trailers) => {
      read.trailers = trailers
      ended = true
    }
  })
  reader.expect(method)
  try {
    const used = reader.feed(bytes, 0)
    assert.ok(used === bytes.length || ended, 'feed must get on')
    reader.finish()
    if (closesTooSoon) return undefined
    return { read, input: bytes.subarray(0, used) }
  } catch {
    return undefined
  }
}

function nodeReads(method: string, bytes: Buffer): Promise<Answer | string> {
  const wire = new InMemoryWire()
  const read = blank()
  return new Promise((resolve) => {
    const client = request({ method, createConnection: () => wire })
    const done = (result: Answer | string): void => {
      wire.destroy()
      resolve(result)
    }
    client.on('error', (error) => done(`refused: ${error.message}`))
    client.on('information', ({ statusCode }) => read.interim.push(statusCode))
    client.on('response', (response: IncomingMessage) => {
      read.status = response.statusCode as number
      read.reason = response.statusMessage as string
      read.version = response.httpVersion
      read.headers = response.rawHeaders
      response.setEncoding('latin1')
      response.on('data', (text: string) => {
        read.body += text
      })
      response.on('error', (error) => done(`refused: ${error.message}`))
      response.on('end', () => {
        read.trailers = response.rawTrailers
        done(read)
      })
    })
    client.on('upgrade', () => done('upgrade'))
    client.end()
    wire.deliver(bytes)
  })
}

function blank(): Answer {
  return { interim: [], status: 0, reason: '', version: '', headers: [], body: '', trailers: [] }
}
