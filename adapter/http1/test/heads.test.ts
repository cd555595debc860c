import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type RequestHead, RequestReader } from '../index.ts'
import { CHUNKED, GET, latin1, Recorder } from './recorder.ts'

describe('heads', () => {
  it('of every length around the decoding window are read whole', () => {
    for (let length = 1000; length < 2100; length++) {
      const seen = new Recorder<RequestHead>()
      const value = 'v'.repeat(length - GET.length - 'X: \r\n'.length)
      const head = `GET / HTTP/1.1\r\nHost: a\r\nX: ${value}\r\n\r\n`
      const reader = new RequestReader(seen)
      assert.equal(reader.feed(latin1(`${head}POST`), 0), length)
      assert.deepEqual(seen.heads[0]?.headers, ['Host', 'a', 'X', value])
    }
  })

  it('of 16384 bytes are read, one byte more is 431', () => {
    const value = 'v'.repeat(16384 - GET.length - 'X: \r\n'.length)
    const reader = new RequestReader(new Recorder())
    const head = latin1(`GET / HTTP/1.1\r\nHost: a\r\nX: ${value}\r\n\r\n`)
    assert.equal(reader.feed(head, 0), 16384)
    reader.reset()
    const longer = latin1(`GET / HTTP/1.1\r\nHost: a\r\nX: ${value}v\r\n\r\n`)
    assert.throws(() => reader.feed(longer, 0), { status: 431, code: 'HTTP_HEADERS_TOO_LARGE' })
  })

  it('that never end are refused at the limit, not held', () => {
    const piece = Buffer.alloc(65536, 'a')
    assert.throws(() => new RequestReader(new Recorder()).feed(piece, 0), { status: 414 })
    const reader = new RequestReader(new Recorder())
    reader.feed(latin1('GET / HTTP/1.1\r\n'), 0)
    assert.throws(() => reader.feed(piece, 0), { status: 431 })
    const many = new RequestReader(new Recorder())
    many.feed(latin1('GET / HTTP/1.1\r\n'), 0)
    assert.throws(() => many.feed(Buffer.alloc(65536, 'a:b\r\n'), 0), { status: 431 })
  })

  it('may have larger limits', () => {
    const value = 'v'.repeat(100_000)
    const seen = new Recorder<RequestHead>()
    const reader = new RequestReader(seen, { maxHeaderBytes: 300_000 })
    const head = latin1(
      `GET /${value.slice(1)} HTTP/1.1\r\nHost: a\r\nX: ${value.slice(20)}\r\n\r\n`
    )
    for (let at = 0; at < head.length; at += 1000) reader.feed(head.subarray(at, at + 1000), 0)
    assert.equal(seen.heads[0]?.headers[3], value.slice(20))
  })

  it('of one message do not show in the next', () => {
    const seen = new Recorder<RequestHead>()
    const reader = new RequestReader(seen)
    const first = latin1(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n\r\n'
    )
    reader.feed(first, 0)
    reader.reset()
    reader.feed(latin1('GET / HTTP/1.1\r\nHost:\r\nConnection: upgrade\r\n\r\n'), 0)
    assert.deepEqual(seen.heads[1], {
      method: 'GET',
      target: '/',
      version: 1,
      headers: ['Host', '', 'Connection', 'upgrade'],
      beginning: [],
      framing: { kind: 'none' },
      keepAlive: true,
      upgrade: undefined,
      expectContinue: false,
      expectation: undefined,
      host: ''
    })
    assert.equal(seen.heads[0]?.headers.length, 8)
  })
})

describe('limits', () => {
  it('must be whole numbers of at least 1', () => {
    for (const name of [
      'maxHeaderBytes',
      'maxHeaderCount',
      'maxTargetBytes',
      'maxChunkOverhead',
      'maxBodyBytes'
    ]) {
      for (const value of [0, -1, 1.5, Number.NaN, '5']) {
        assert.throws(() => new RequestReader(new Recorder(), { [name]: value }), {
          code: 'SHM_ERR_INVALID_ARG'
        })
      }
    }
    new RequestReader(new Recorder(), { maxBodyBytes: Number.POSITIVE_INFINITY })
  })

  it('bound chunk extensions by 16 KiB in a message by default, not the number of chunks', () => {
    const reader = new RequestReader(new Recorder())
    reader.feed(CHUNKED, 0)
    const plain = Buffer.alloc(6 * 50_000, '1\r\nx\r\n')
    assert.equal(reader.feed(plain, 0), plain.length)
    const extended = Buffer.alloc(1000 * 17, `1;${'a'.repeat(10)}\r\nx\r\n`)
    assert.throws(
      () => {
        for (let i = 0; i < 2; i++) reader.feed(extended, 0)
      },
      { status: 413, code: 'HTTP_CHUNK_EXTENSIONS_TOO_LARGE' }
    )
  })

  it('bound chunk extensions of each message by itself', () => {
    const reader = new RequestReader(new Recorder(), { maxChunkOverhead: 4 })
    for (let i = 0; i < 3; i++) {
      reader.feed(CHUNKED, 0)
      reader.feed(latin1('0;abc\r\n\r\n'), 0)
      assert.equal(reader.idle, true)
      reader.reset()
    }
  })
})
