import assert from 'node:assert/strict'
import { it } from 'node:test'
import { HttpParseError, KnownFields, type RequestHead, RequestReader } from '../index.ts'
import { mutate, Random } from './mutations.ts'
import { type RequestInput, type ResponseInput, transcribe } from './transcript.ts'

const REQUESTS = [
  'GET / HTTP/1.1\r\nHost: a.example\r\nAccept: text/plain\r\nX-Id: 1\r\n\r\n',
  'GET /longer/path HTTP/1.1\r\nHost: a.example\r\nAccept: text/plain\r\nX-Id: 2\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a.example\r\nAccept: text/plain\r\nContent-Length: 2\r\n\r\nhi',
  'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\nAccept: text/plain\r\n\r\nhi',
  'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi',
  'PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nAccept: text/plain\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: b.example\r\nAccept: text/plain\r\nX-Id: 1\r\n\r\n'
]

const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX: 1\r\n\r\nhi',
  'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX: 2\r\n\r\nhi',
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nX: 1\r\n\r\nhi!',
  'HTTP/1.1 103 Early Hints\r\nContent-Type: text/plain\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'
]

const ITERATIONS = 6000

/** Feeds good heads, then one that may be anything, to one reader, and each to one of its own. */
function compare(
  seeds: readonly string[],
  input: (messages: number) => RequestInput | ResponseInput
): void {
  const random = new Random(4)
  for (let i = 0; i < ITERATIONS; i++) {
    const messages = Array.from({ length: 1 + random.below(5) }, () => random.pick(seeds))
    messages.push(mutate(random, random.pick(seeds), seeds))
    const bytes = messages.map((message) => Buffer.from(message, 'latin1'))
    const alone = bytes.flatMap((one) => transcribe([one], input(1)))
    const together = transcribe(bytes, input(messages.length))
    assert.deepEqual(together, alone, JSON.stringify(messages))
  }
}

it('reads each request as if it were the first of its connection', () => {
  compare(REQUESTS, () => ({ kind: 'request' }))
})

it('reads each response as if it were the first of its connection', () => {
  compare(RESPONSES, (messages) => ({
    kind: 'response',
    to: Array.from({ length: messages }, () => 'GET')
  }))
})

/** Feeds messages that may be anything, in two pieces, each to a reader that shares what it knows. */
function compareShared(seeds: readonly string[], input: RequestInput | ResponseInput): void {
  const random = new Random(5)
  for (let i = 0; i < ITERATIONS / 4; i++) {
    const known = new KnownFields()
    for (let k = 0; k < 6; k++) {
      const message =
        random.below(3) === 0 ? random.pick(seeds) : (seeds[i % seeds.length] as string)
      const bytes = Buffer.from(
        random.below(4) === 0 ? mutate(random, message, seeds) : message,
        'latin1'
      )
      const cut = random.below(bytes.length + 1)
      const pieces = random.below(2) === 0 ? [bytes] : [bytes.subarray(0, cut), bytes.subarray(cut)]
      const shared = transcribe(pieces, { ...input, known })
      assert.deepEqual(shared, transcribe([bytes], input), bytes.toString('latin1'))
    }
  }
}

it('reads each request as if no other connection shared what it knows', () => {
  compareShared(REQUESTS, { kind: 'request' })
})

it('reads each response as if no other connection shared what it knows', () => {
  compareShared(RESPONSES, { kind: 'response', to: ['GET', 'GET'] })
})

/** Reads requests of one connection; returns the fields of each. */
function connection(known?: KnownFields, maxHeaderCount?: number): (request: string) => string[] {
  let headers: string[] = []
  const handler = {
    onHead: (head: RequestHead) => {
      headers = head.headers
    },
    onBody: () => {},
    onEnd: () => {}
  }
  const limits = maxHeaderCount === undefined ? {} : { maxHeaderCount }
  const reader = new RequestReader(handler, limits, known)
  return (request) => {
    reader.reset()
    reader.feed(Buffer.from(request), 0)
    return headers
  }
}

const ALIKE = 'GET / HTTP/1.1\r\nHost: a.example\r\nAccept: text/plain\r\n\r\n'

it('gives connections that share what they know the same array for the same fields', () => {
  const known = new KnownFields()
  const first = connection(known)(ALIKE)
  assert.equal(connection(known)(ALIKE), first)
  assert.notEqual(connection(new KnownFields())(ALIKE), first)
})

it('keeps what it knows apart once none of a few heads was like that of others', () => {
  const known = new KnownFields()
  const usual = connection(known)
  const strange = connection(known)
  const other = (n: number): string =>
    `GET / HTTP/1.1\r\nAccept: text/html\r\nX-${n}: 1\r\nHost: b.example\r\n\r\n`
  for (let n = 1; n <= 4; n++) {
    usual(ALIKE)
    usual(ALIKE)
    strange(other(n % 2))
  }
  usual(ALIKE)
  const kept = usual(ALIKE)
  strange(other(2))
  assert.equal(usual(ALIKE), kept)
  assert.equal(strange(other(2)), strange(other(2)))
})

it('refuses more fields than its own limit, though others with a higher one know them', () => {
  const known = new KnownFields()
  assert.equal(connection(known)(ALIKE).length, 4)
  assert.throws(() => connection(known, 1)(ALIKE), HttpParseError)
})

it('gives requests with the same fields the same array, and any other request one of its own', () => {
  const read = connection()
  const fields = 'Host: a.example\r\nAccept: text/plain\r\nX-Id: '
  read(`GET /1 HTTP/1.1\r\n${fields}1\r\n\r\n`)
  const second = read(`GET /2 HTTP/1.1\r\n${fields}1\r\n\r\n`)
  assert.equal(read(`GET /3 HTTP/1.1\r\n${fields}1\r\n\r\n`), second)
  const other = read(`GET /4 HTTP/1.1\r\n${fields}2\r\n\r\n`)
  assert.notEqual(other, second)
  assert.deepEqual(other, ['Host', 'a.example', 'Accept', 'text/plain', 'X-Id', '2'])
  assert.equal(read(`GET /5 HTTP/1.1\r\n${fields}2\r\n\r\n`), other)
  assert.equal(read(`GET /6 HTTP/1.1\r\n${fields}2\r\n\r\n`), other)
  assert.deepEqual(second, ['Host', 'a.example', 'Accept', 'text/plain', 'X-Id', '1'])
})
