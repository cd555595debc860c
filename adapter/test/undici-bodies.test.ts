/** Every kind of request body, whole and empty, with what its request says of it. */
import assert from 'node:assert/strict'
import { Readable, Stream } from 'node:stream'
import { test } from 'node:test'
import { FormData as UndiciFormData } from 'undici'
import type { Seen } from './fixtures/scripted-server.ts'
import { agentFor, startScripted, transcribe } from './scripted.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const SCRIPT = {
  '/': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'] },
  '/early': {
    parts: ['HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'],
    early: true
  }
}

/** A stream as they were before Node.js 0.10: it flows at once and has neither read nor resume. */
class OldStream extends Stream {
  constructor(chunks: readonly string[]) {
    super()
    setImmediate(() => {
      for (const chunk of chunks) this.emit('data', chunk)
      this.emit('end')
    })
  }
}

/** As users make them of a stream: its size is known when it has ended. */
class StreamAsBlob {
  readonly #chunks: readonly string[]
  readonly type = 'x/y'

  constructor(...chunks: readonly string[]) {
    this.#chunks = chunks
  }

  get [Symbol.toStringTag](): string {
    return 'Blob'
  }

  stream(): Readable {
    return Readable.from(this.#chunks)
  }
}

async function* generate(...chunks: (string | Uint8Array)[]) {
  yield* chunks
}

function ended(): Readable {
  const stream = new Readable({ read() {} })
  stream.push('known')
  stream.push(null)
  return stream
}

function header({ headers }: Seen, name: string): string | undefined {
  const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name)
  return at === -1 ? undefined : headers[at + 1]
}

const BYTES = pattern(200_000)
const NUMBERS = new Uint16Array(BYTES.buffer.slice(0, 2000))

const CASES: readonly (readonly [
  name: string,
  body: () => unknown,
  sent: string | Uint8Array,
  length: number | 'chunked',
  type?: string
])[] = [
  ['nothing', () => null, '', 0],
  ['string', () => 'h\u00e9\u{1f600}', 'h\u00e9\u{1f600}', 7],
  ['empty string', () => '', '', 0],
  ['Buffer', () => BYTES, BYTES, BYTES.length],
  ['empty Buffer', () => Buffer.alloc(0), '', 0],
  ['Uint8Array', () => new Uint8Array(BYTES), BYTES, BYTES.length],
  ['typed array', () => NUMBERS, new Uint8Array(NUMBERS.buffer), 2000],
  ['a part of a DataView', () => new DataView(NUMBERS.buffer, 2, 3), part(2, 5), 3],
  ['ArrayBuffer', () => NUMBERS.buffer, new Uint8Array(NUMBERS.buffer), 2000],
  ['Readable', () => Readable.from([BYTES]), BYTES, 'chunked'],
  ['Readable of text', () => Readable.from(['a', 'b', 'c']), 'abc', 'chunked'],
  ['Readable that has ended', ended, 'known', 5],
  ['empty Readable', () => Readable.from([]), '', 0],
  ['old stream', () => new OldStream(['old', 'stream']), 'oldstream', 'chunked'],
  ['web stream', () => new Blob([BYTES]).stream(), BYTES, 'chunked'],
  [
    'async iterable',
    () => generate('a', BYTES, ''),
    Buffer.concat([Buffer.from('a'), BYTES]),
    'chunked'
  ],
  ['empty async iterable', () => generate(), '', 0],
  ['iterable', () => ['a', Buffer.from('b')], 'ab', 'chunked'],
  ['Blob', () => new Blob([BYTES], { type: 'x/y' }), BYTES, BYTES.length, 'x/y'],
  ['empty Blob', () => new Blob([]), '', 0],
  ['File', () => new File(['file'], 'name'), 'file', 4],
  ['Blob of unknown size', () => new StreamAsBlob('a', 'b'), 'ab', 'chunked', 'x/y']
]

function part(from: number, to: number): Uint8Array {
  return new Uint8Array(NUMBERS.buffer).slice(from, to)
}

test('every kind of body arrives, and is announced', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  for (const [name, body, sent, length, type] of CASES) {
    const options = { origin: ORIGIN, path: '/', method: 'POST', body: body() } as never
    const { events } = await transcribe(agent, options)
    assert.equal(events.at(-1), 'end {}', name)
    const [seen] = await server.call('seen')
    assert.equal(seen?.sha256, sha256(Buffer.from(sent)), name)
    const announced = header(seen!, 'transfer-encoding') ?? Number(header(seen!, 'content-length'))
    assert.equal(announced, length, name)
    assert.equal(header(seen!, 'content-type'), type, name)
  }
  // All of it went by one connection.
  assert.equal(await server.call('connections'), 1)
})

test('FormData of any implementation becomes multipart', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  for (const Form of [FormData, UndiciFormData]) {
    const form = new Form()
    form.append('a "quoted"\nname', 'lines\nof\r\ntext')
    form.append('file', new Blob([BYTES], { type: 'x/y' }) as never, 'na"me.bin')
    form.append('file', new Blob(['second']) as never)
    const options = { origin: ORIGIN, path: '/', method: 'POST', body: form } as never
    await transcribe(agent, options)
    const [seen] = await server.call('seen')
    const type = header(seen!, 'content-type')!
    const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(type)![1]
    const expected = Buffer.concat([
      Buffer.from(
        `--${boundary}\r\nContent-Disposition: form-data; name="a %22quoted%22%0D%0Aname"\r\n\r\n` +
          `lines\r\nof\r\ntext\r\n--${boundary}\r\n` +
          'Content-Disposition: form-data; name="file"; filename="na%22me.bin"\r\n' +
          'Content-Type: x/y\r\n\r\n'
      ),
      BYTES,
      Buffer.from(
        `\r\n--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="blob"\r\n` +
          `Content-Type: application/octet-stream\r\n\r\nsecond\r\n--${boundary}--\r\n`
      )
    ])
    assert.equal(seen?.sha256, sha256(expected))
    assert.equal(Number(header(seen!, 'content-length')), expected.length)
  }
})

test('FormData with a file of unknown size is sent in chunks', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  // As other implementations take it.
  const form = new UndiciFormData()
  const file = Object.assign(new StreamAsBlob('some', 'thing'), { name: 'name' })
  form.entries = () => [['file', file]].values() as never
  const options = { origin: ORIGIN, path: '/', method: 'POST', body: form } as never
  await transcribe(agentFor(s), options)
  const [seen] = await server.call('seen')
  assert.equal(header(seen!, 'transfer-encoding'), 'chunked')
  const boundary = header(seen!, 'content-type')!.split('boundary=')[1]
  const expected =
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="name"\r\n` +
    `Content-Type: x/y\r\n\r\nsomething\r\n--${boundary}--\r\n`
  assert.equal(seen?.sha256, sha256(Buffer.from(expected)))
})

test('what is no body is refused before anything is sent', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  for (const body of [7, true, {}, () => 'x', Symbol('x')]) {
    const options = { origin: ORIGIN, path: '/', method: 'POST', body } as never
    assert.deepEqual((await transcribe(agent, options)).events, ['error UND_ERR_INVALID_ARG'])
  }
  // A part that is none is known when it comes.
  const { events } = await transcribe(agent, {
    origin: ORIGIN,
    path: '/',
    method: 'POST',
    body: Readable.from([{}])
  })
  assert.equal(events.at(-1), 'error ERR_INVALID_ARG_TYPE')
  assert.deepEqual(await server.call('seen'), [])
})

test('a body that fails, or is closed, fails its request and nothing else', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const failing = new Readable({
    read() {
      this.destroy(Object.assign(new Error('mine'), { code: 'MINE' }))
    }
  })
  const failed = new Readable({ read() {} })
  failed.on('error', () => undefined)
  failed.destroy(Object.assign(new Error('mine'), { code: 'MINE' }))
  const closed = new Readable({ read() {} })
  setImmediate(() => closed.destroy())
  async function* throwing() {
    yield 'x'
    throw Object.assign(new Error('mine'), { code: 'MINE' })
  }
  for (const [name, body, code] of [
    ['failing', failing, 'MINE'],
    ['failed before', failed, 'MINE'],
    ['closed', closed, 'UND_ERR_ABORTED'],
    ['throwing', throwing(), 'MINE']
  ] as const) {
    const options = { origin: ORIGIN, path: '/', method: 'POST', body } as never
    assert.equal((await transcribe(agent, options)).events.at(-1), `error ${code}`, name)
  }
  assert.deepEqual(await server.call('seen'), [])
  assert.equal(
    (await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })).events.length,
    3
  )
})

test('a body is read as fast as the server takes it, and let go when it answers early', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  let produced = 0
  let returned = false
  async function* endless() {
    try {
      for (;;) {
        produced += BYTES.length
        yield BYTES
      }
    } finally {
      returned = true
    }
  }
  const { events, body } = await transcribe(agent, {
    origin: ORIGIN,
    path: '/early',
    method: 'POST',
    body: endless() as never
  })
  assert.equal(events.at(-1), 'end {}')
  assert.equal(body, 'no')
  await new Promise(setImmediate)
  assert.ok(returned, 'the generator was ended')
  assert.ok(produced < 4_000_000, `${produced} bytes were produced for a server that read none`)
  // A connection with half a request on it is not used again.
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  const [seen] = await server.call('seen')
  assert.equal(seen?.connection, 2)
})

test('a connection with half a request on it is not used again, though nothing waits', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  let goOn: (() => void) | undefined
  async function* halting() {
    yield 'the beginning'
    await new Promise<void>((resolve) => {
      goOn = resolve
    })
  }
  const { body } = await transcribe(agent, {
    origin: ORIGIN,
    path: '/early',
    method: 'POST',
    body: halting() as never
  })
  assert.equal(body, 'no')
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  goOn?.()
  const [seen] = await server.call('seen')
  assert.equal(seen?.connection, 2)
})
