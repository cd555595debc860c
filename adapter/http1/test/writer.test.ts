import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  beginRequestHead,
  chunkHeader,
  furtherFields,
  type Headers,
  LAST_CHUNK,
  RequestReader,
  ResponseReader,
  SharedFields,
  writeRequestHead,
  writeResponseHead,
  writeTrailers
} from '../index.ts'
import type { RequestHead, ResponseHead } from '../message.ts'

const invalid = { code: 'SHM_ERR_INVALID_ARG' }

/** All of latin1, and characters whose low byte is CR, LF, NUL, space or a letter. */
const CHARACTERS = [
  ...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)),
  ...['\u010d', '\u010a', '\u0100', '\u0120', '\u0141', '\u2028', '\ud83d', '\ufeff', '\uff0a']
]

function readRequest(text: string): RequestHead {
  let head: RequestHead | undefined
  const reader = new RequestReader({
    onHead: (read) => {
      head = read
    },
    onBody: () => assert.fail('a head has no body'),
    onEnd: () => {}
  })
  const bytes = Buffer.from(text, 'latin1')
  assert.equal(reader.feed(bytes, 0), bytes.length, 'the head must be one head')
  assert.ok(head)
  return head
}

function readResponse(text: string): ResponseHead {
  let head: ResponseHead | undefined
  const reader = new ResponseReader({
    onHead: (read) => {
      head = read
    },
    onBody: () => assert.fail('a head has no body'),
    onEnd: () => {}
  })
  reader.expect('GET')
  const bytes = Buffer.from(text, 'latin1')
  assert.equal(reader.feed(bytes, 0), bytes.length, 'the head must be one head')
  assert.ok(head)
  return head
}

/** Writes with each character in turn; what is written is read back as it was meant, or refused. */
function everyCharacter(write: (character: string) => void): string {
  return CHARACTERS.filter((character) => {
    try {
      write(character)
      return true
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'SHM_ERR_INVALID_ARG')
      return false
    }
  }).join('')
}

const TOKEN = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
const VISIBLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('')
const OBS_TEXT = Array.from({ length: 128 }, (_, i) => String.fromCharCode(0x80 + i)).join('')

describe('writeRequestHead', () => {
  it('writes what a reader reads back', () => {
    const headers = ['Host', 'a:80', 'X-A', '1', 'x-a', '2 \xe9\t3', 'Empty', '']
    const text = writeRequestHead('PATCH', '/x?y', headers)
    assert.equal(
      text,
      'PATCH /x?y HTTP/1.1\r\nHost: a:80\r\nX-A: 1\r\nx-a: 2 \xe9\t3\r\nEmpty: \r\n\r\n'
    )
    const { method, target, headers: read } = readRequest(text)
    assert.deepEqual({ method, target, read }, { method: 'PATCH', target: '/x?y', read: headers })
  })

  it('lets only tokens be methods', () => {
    const accepted = everyCharacter((character) => {
      const method = `A${character}B`
      assert.equal(readRequest(writeRequestHead(method, '/', ['Host', 'a'])).method, method)
    })
    assert.equal(accepted, TOKEN)
    assert.throws(() => writeRequestHead('', '/', ['Host', 'a']), invalid)
  })

  it('lets only visible ASCII but # be in targets', () => {
    const accepted = everyCharacter((character) => {
      const target = `/a${character}b`
      assert.equal(readRequest(writeRequestHead('GET', target, ['Host', 'a'])).target, target)
    })
    assert.equal(accepted, VISIBLE.replace('#', ''))
    assert.throws(() => writeRequestHead('GET', '', ['Host', 'a']), invalid)
  })

  it('lets only tokens be names', () => {
    const accepted = everyCharacter((character) => {
      const headers = ['Host', 'a', `A${character}B`, 'v']
      assert.deepEqual(readRequest(writeRequestHead('GET', '/', headers)).headers, headers)
    })
    assert.equal(accepted, TOKEN)
    assert.throws(() => writeRequestHead('GET', '/', ['Host', 'a', '', 'v']), invalid)
  })

  it('lets only text be in values', () => {
    const accepted = everyCharacter((character) => {
      const headers = ['Host', 'a', 'A', `v${character}w`]
      assert.deepEqual(readRequest(writeRequestHead('GET', '/', headers)).headers, headers)
    })
    assert.equal(accepted, `\t ${VISIBLE}${OBS_TEXT}`)
  })

  it('finds a bad byte wherever it stands in a long value', () => {
    for (let at = 0; at < 64; at++) {
      for (const bad of ['\r', '\n', '\0', '\x1f', '\x7f', '\u010a', '\r\nX: y']) {
        const value = `${'v'.repeat(at)}${bad}${'w'.repeat(64 - at)}`
        const headers = ['Host', 'a', 'A', value, 'B', 'b']
        assert.throws(() => writeRequestHead('GET', '/', headers), invalid, `at ${at}`)
      }
    }
  })

  it('takes numbers for their text and nothing else that is no string', () => {
    const write = (value: unknown): string =>
      writeRequestHead('GET', '/', ['Host', 'a', 'X', value] as Headers)
    const headers = ['Host', 'a', 'X', 5] as unknown as Headers
    assert.deepEqual(readRequest(writeRequestHead('GET', '/', headers)).headers, [
      'Host',
      'a',
      'X',
      '5'
    ])
    assert.equal(headers[3], 5, "the caller's array is left alone")
    assert.deepEqual(readRequest(write(5n)).headers, ['Host', 'a', 'X', '5'])
    const split = { toString: () => 'a\r\nEvil: b' }
    for (const value of [undefined, null, true, ['a'], ['a\r\nb'], split, Symbol('x'), {}]) {
      assert.throws(() => write(value), invalid)
    }
    assert.throws(() => writeRequestHead('GET', '/', ['Host', 'a', 7, 'x'] as never), {
      ...invalid,
      message: 'headers[2] must be a field name, got 7'
    })
  })

  it('checks what it writes and not what the array says when asked again', () => {
    let asked = 0
    const headers = new Proxy(['Host', 'a', 'X', 'harmless'], {
      get: (target, key, self) =>
        key === '3' && asked++ === 0 ? 'a\r\nEvil: b' : Reflect.get(target, key, self)
    })
    assert.throws(() => writeRequestHead('GET', '/', headers), invalid)
  })

  it('wants one Host, and a valid one', () => {
    for (const headers of [[], ['Host', 'a', 'host', 'a'], ['Host', 'a,b'], ['Host', 'a/b']]) {
      assert.throws(() => writeRequestHead('GET', '/', headers), invalid)
    }
    assert.equal(readRequest(writeRequestHead('GET', '/', ['Host', ''])).host, '')
    assert.equal(readRequest(writeRequestHead('GET', '/', ['Host', '[::1]:80'])).host, '[::1]:80')
  })

  it('wants a target that goes with the method', () => {
    for (const [method, target] of [
      ['GET', '*'],
      ['GET', 'a:80'],
      ['GET', 'x'],
      ['CONNECT', '/'],
      ['CONNECT', 'a']
    ] as const) {
      assert.throws(() => writeRequestHead(method, target, ['Host', 'a']), invalid)
    }
    for (const [method, target] of [
      ['OPTIONS', '*'],
      ['CONNECT', 'a:80'],
      ['GET', 'http://a/x']
    ] as const) {
      assert.equal(readRequest(writeRequestHead(method, target, ['Host', 'a'])).target, target)
    }
  })

  it('writes heads larger than any reader takes by default', () => {
    const value = 'v'.repeat(100_000)
    assert.ok(writeRequestHead('GET', '/', ['Host', 'a', 'X', value]).includes(value))
    assert.throws(() => writeRequestHead('GET', '/', ['Host', 'a', 'X', `${value}\n`]), invalid)
  })
})

/** Both parts of a head. */
function writeSharedRequestHead(
  method: string,
  target: string,
  shared: SharedFields,
  headers: string[]
): string {
  return beginRequestHead(method, target, shared) + furtherFields(headers)
}

describe('heads of shared and further fields', () => {
  it('writes what the whole head would be', () => {
    const shared = new SharedFields(['Host', 'a', 'Content-Length', '3'])
    for (const more of [[], ['X-Request-Id', '1'], ['X', 'y', 'X', '']]) {
      const whole = writeRequestHead('PUT', '/b', ['Host', 'a', 'Content-Length', '3', ...more])
      assert.equal(writeSharedRequestHead('PUT', '/b', shared, more), whole)
    }
  })

  it('lets nothing behind the shared fields frame or route', () => {
    const shared = new SharedFields(['Host', 'a'])
    for (const name of ['Host', 'content-length', 'Transfer-Encoding', 'connection']) {
      assert.throws(() => writeSharedRequestHead('GET', '/', shared, [name, '1']), invalid)
    }
    assert.throws(() => writeSharedRequestHead('GET', '/', shared, ['X', 'a\r\nB: c']), invalid)
    assert.throws(() => writeSharedRequestHead('GET', '/ b', shared, []), invalid)
    assert.throws(() => writeSharedRequestHead('G:', '/', shared, []), invalid)
  })

  it('shares only fields that make a head', () => {
    for (const fields of [[], ['X', 'y'], ['Host', 'a', 'Host', 'b'], ['Host', 'a\n']]) {
      assert.throws(() => new SharedFields(fields), invalid)
    }
  })
})

describe('writeResponseHead', () => {
  it('writes what a reader reads back', () => {
    const headers = ['Content-Length', '0', 'X', '\xff']
    const text = writeResponseHead(404, "n'est pas l\xe0", headers)
    assert.equal(text, "HTTP/1.1 404 n'est pas l\xe0\r\nContent-Length: 0\r\nX: \xff\r\n\r\n")
    const { status, reason, headers: read } = readResponse(text)
    assert.deepEqual(
      { status, reason, read },
      { status: 404, reason: "n'est pas l\xe0", read: headers }
    )
    assert.equal(readResponse(writeResponseHead(200, '', headers)).reason, '')
  })

  it('lets only text be in reasons', () => {
    const accepted = everyCharacter((character) => {
      const reason = `O${character}K`
      const text = writeResponseHead(200, reason, ['Content-Length', '0'])
      assert.equal(readResponse(text).reason, reason)
    })
    assert.equal(accepted, `\t ${VISIBLE}${OBS_TEXT}`)
  })

  it('lets only whole numbers from 100 to 999 be statuses', () => {
    for (const status of [99, 1000, 200.5, Number.NaN, -200, 0, '200', '200 OK\r\nX: y', null]) {
      assert.throws(() => writeResponseHead(status as number, '', []), invalid)
    }
  })

  it('wants one way of framing', () => {
    for (const headers of [
      ['Content-Length', '5', 'content-length', '5'],
      ['Content-Length', '5', 'Transfer-Encoding', 'chunked'],
      ['Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'],
      ['Transfer-Encoding', 'gzip, chunked'],
      ['Transfer-Encoding', 'identity'],
      ['Content-Length', ''],
      ['Content-Length', '+5'],
      ['Content-Length', '5,5'],
      ['Content-Length', '5 '],
      ['Content-Length', '0x5'],
      ['Content-Length', '9007199254740992']
    ]) {
      assert.throws(() => writeResponseHead(200, 'OK', headers), invalid, headers.join(' '))
    }
    assert.ok(writeResponseHead(200, 'OK', ['TRANSFER-ENCODING', 'Chunked']))
  })

  it('wants names and values in turn', () => {
    for (const headers of [['X'], {}, 'X: y', undefined, null]) {
      assert.throws(() => writeResponseHead(200, 'OK', headers as Headers), invalid)
    }
  })
})

describe('chunks', () => {
  it('have a size in hexadecimal', () => {
    assert.equal(chunkHeader(1), '1\r\n')
    assert.equal(chunkHeader(255), 'ff\r\n')
    assert.equal(chunkHeader(2 ** 32 + 1), '100000001\r\n')
    assert.equal(chunkHeader(Number.MAX_SAFE_INTEGER), '1fffffffffffff\r\n')
  })

  it('are never empty, for that would end the body', () => {
    for (const bytes of [0, -1, 1.5, Number.NaN, 2 ** 53, '5', undefined]) {
      assert.throws(() => chunkHeader(bytes as number), invalid)
    }
  })

  it('end with trailers, or without', () => {
    assert.equal(writeTrailers([]), LAST_CHUNK)
    assert.equal(writeTrailers(['X', 'y', 'X', 'z']), '0\r\nX: y\r\nX: z\r\n\r\n')
  })

  it('have no trailers that frame or route', () => {
    for (const name of ['Content-Length', 'transfer-encoding', 'HOST', 'Connection']) {
      assert.throws(() => writeTrailers([name, 'chunked']), invalid)
    }
    assert.throws(() => writeTrailers(['X', 'a\r\n\r\nGET / HTTP/1.1']), invalid)
  })
})
