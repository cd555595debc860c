import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HttpParseError, type RequestHead, RequestReader, ResponseReader } from '../index.ts'
import { CHUNKED, GET, latin1, POST, Recorder } from './recorder.ts'

describe('body chunks', () => {
  it('are views of what was fed', () => {
    const seen = new Recorder()
    const reader = new RequestReader(seen)
    const input = Buffer.concat([POST, latin1('body')])
    reader.feed(input, 0)
    const [chunk] = seen.chunks
    assert.equal(chunk?.buffer, input.buffer)
    assert.equal(chunk?.byteOffset, input.byteOffset + POST.length)
    assert.equal(chunk?.length, 4)
  })

  it('are the very buffer when all of it is body', () => {
    const seen = new Recorder()
    const reader = new RequestReader(seen)
    const body = latin1('body')
    reader.feed(POST, 0)
    reader.feed(body, 0)
    assert.equal(seen.chunks[0], body)
  })

  it('are views when the coding is removed, one for each chunk', () => {
    const seen = new Recorder()
    const reader = new RequestReader(seen)
    const input = Buffer.concat([CHUNKED, latin1('2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n')])
    assert.equal(reader.feed(input, 0), input.length)
    assert.deepEqual(seen.chunks.map(String), ['ab', 'cde'])
    for (const chunk of seen.chunks) assert.equal(chunk.buffer, input.buffer)
  })

  it('are never empty', () => {
    const seen = new Recorder()
    const reader = new RequestReader(seen)
    reader.feed(POST, 0)
    reader.feed(Buffer.alloc(0), 0)
    reader.feed(latin1('body'), 4)
    assert.equal(seen.chunks.length, 0)
  })
})

describe('feed', () => {
  it('stops behind a message and reads nothing more until reset', () => {
    const seen = new Recorder()
    const reader = new RequestReader(seen)
    const input = Buffer.concat([GET, GET])
    assert.equal(reader.feed(input, 0), GET.length)
    assert.equal(reader.feed(input, GET.length), GET.length)
    assert.equal(seen.heads.length, 1)
    reader.reset()
    assert.equal(reader.feed(input, GET.length), input.length)
    assert.equal(seen.ends, 2)
  })

  it('can be reset from onEnd', () => {
    const seen = new Recorder<RequestHead>()
    const reader = new RequestReader({
      onHead: (head) => seen.onHead(head),
      onBody: (chunk) => seen.onBody(chunk),
      onEnd: () => reader.reset()
    })
    const input = Buffer.concat([GET, POST, latin1('body'), CHUNKED, latin1('0\r\n\r\n'), GET])
    let at = 0
    while (at < input.length) at = reader.feed(input, at)
    assert.equal(seen.heads.length, 4)
  })

  it('throws the same error ever after', () => {
    const reader = new RequestReader(new Recorder())
    let first: unknown
    try {
      reader.feed(latin1('GET\n'), 0)
    } catch (error) {
      first = error
    }
    assert.ok(first instanceof HttpParseError)
    const same = (error: unknown): boolean => error === first
    assert.throws(() => reader.feed(GET, 0), same)
    assert.throws(() => reader.finish(), same)
    assert.equal(reader.idle, false)
  })

  it('lets the exceptions of the handler through and is unusable then', () => {
    const broken = new Error('mine')
    const reader = new RequestReader({
      onHead: () => {
        throw broken
      },
      onBody: () => {},
      onEnd: () => {}
    })
    assert.throws(() => reader.feed(GET, 0), broken)
    assert.throws(() => reader.feed(GET, 0), broken)
  })

  it('tells the status to answer with, and a code', () => {
    const reader = new RequestReader(new Recorder())
    assert.throws(() => reader.feed(latin1('GET / HTTP/3.0\r\n'), 0), {
      name: 'HttpParseError',
      status: 505,
      code: 'HTTP_UNSUPPORTED_VERSION'
    })
  })
})

describe('idle', () => {
  it('is true between messages only', () => {
    const reader = new RequestReader(new Recorder())
    assert.equal(reader.idle, true)
    reader.feed(latin1('\r\n'), 0)
    assert.equal(reader.idle, true)
    reader.feed(latin1('G'), 0)
    assert.equal(reader.idle, false)
    reader.feed(latin1('ET / HTTP/1.1\r\n'), 0)
    assert.equal(reader.idle, false)
    reader.feed(latin1('Host: a\r\n\r\n'), 0)
    assert.equal(reader.idle, true)
    reader.reset()
    reader.feed(POST, 0)
    assert.equal(reader.idle, false)
    reader.feed(latin1('body'), 0)
    assert.equal(reader.idle, true)
  })

  it('stays true while a response is awaited, until its first byte', () => {
    const reader = new ResponseReader(new Recorder())
    reader.expect('GET')
    assert.equal(reader.idle, true)
    reader.feed(latin1('HTTP/1.1 100 Continue\r\n\r\n'), 0)
    assert.equal(reader.idle, false)
    reader.feed(latin1('HTTP/1.1 204 No Content\r\n\r\n'), 0)
    assert.equal(reader.idle, true)
  })
})

describe('finish', () => {
  it('is nothing between messages, and an error within one', () => {
    const reader = new RequestReader(new Recorder())
    reader.finish()
    reader.feed(GET, 0)
    reader.finish()
    reader.reset()
    reader.feed(POST, 0)
    assert.throws(() => reader.finish(), { status: 400, code: 'HTTP_TRUNCATED' })
  })

  it('ends a body that only the connection delimits, once', () => {
    const seen = new Recorder()
    const reader = new ResponseReader(seen)
    reader.expect('GET')
    reader.feed(latin1('HTTP/1.1 200 OK\r\n\r\nbody'), 0)
    assert.equal(seen.ends, 0)
    reader.finish()
    reader.finish()
    assert.equal(seen.ends, 1)
    assert.equal(reader.idle, true)
  })

  it('is nothing in a tunnel', () => {
    const reader = new ResponseReader(new Recorder())
    reader.expect('CONNECT')
    const input = latin1('HTTP/1.1 200 OK\r\n\r\nnot HTTP')
    const end = input.length - 'not HTTP'.length
    assert.equal(reader.feed(input, 0), end)
    assert.equal(reader.feed(input, end), end)
    reader.finish()
  })
})

describe('reset and expect', () => {
  it('forget a message that was begun', () => {
    const seen = new Recorder<RequestHead>()
    const reader = new RequestReader(seen)
    reader.feed(latin1('GET /half HTTP/1.1\r\nHo'), 0)
    reader.reset()
    reader.feed(GET, 0)
    assert.deepEqual(
      seen.heads.map(({ target, headers }) => [target, headers]),
      [['/', ['Host', 'a']]]
    )
  })

  it('forget which response was awaited', () => {
    const reader = new ResponseReader(new Recorder())
    reader.expect('HEAD', { upgrade: true })
    reader.feed(latin1('HTTP/1.1 100 Continue\r\n\r\n'), 0)
    reader.reset()
    assert.equal(reader.idle, true)
    reader.finish()
    const head = latin1('HTTP/1.1 200 OK\r\n\r\n')
    assert.throws(() => reader.feed(head, 0), { code: 'HTTP_UNEXPECTED_RESPONSE' })
    reader.expect('GET')
    const upgrade = latin1('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    assert.throws(() => reader.feed(upgrade, 0), { code: 'HTTP_UNEXPECTED_UPGRADE' })
  })

  it('take any protocol when told so', () => {
    const reader = new ResponseReader(new Recorder())
    reader.expect('GET', { upgrade: true })
    const upgrade = latin1('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nrest')
    assert.equal(reader.feed(upgrade, 0), upgrade.length - 4)
  })

  it('want the method of the request', () => {
    const reader = new ResponseReader(new Recorder())
    for (const method of ['', undefined, 5]) {
      assert.throws(() => reader.expect(method as string), { code: 'SHM_ERR_INVALID_ARG' })
    }
  })
})
