/**
 * Each test is named after a vulnerability other programs had. The input is what went wrong there,
 * or the shortest thing like it.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { chunkHeader, connectionOptions, writeRequestHead, writeResponseHead } from '../index.ts'
import { transcribe } from './transcript.ts'

/** What a request reader says, without the fields: '… | body … | end'. */
function request(text: string): string {
  return transcript(transcribe([Buffer.from(text, 'latin1')], { kind: 'request' }))
}

function response(text: string, to = ['GET'], upgrade?: string): string {
  const input = { kind: 'response' as const, to, ...(upgrade === undefined ? {} : { upgrade }) }
  return transcript(transcribe([Buffer.from(text, 'latin1')], input))
}

function transcript(lines: string[]): string {
  return lines.filter((line) => !line.startsWith('  ')).join(' | ')
}

const invalid = { code: 'SHM_ERR_INVALID_ARG' }
const H = 'Host: a\r\n'

it('CVE-2026-2833: the offer of an upgrade does not end HTTP, only 101 does', () => {
  const offer = `GET /ws HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nhi`
  assert.equal(
    request(`${offer}GET /next HTTP/1.1\r\n${H}\r\n`),
    'GET /ws 1.1 host=a length=2 keep-alive upgrade=x | body hi | end | ' +
      'GET /next 1.1 host=a none keep-alive | end'
  )
})

it('CVE-2024-23326: 200 is no success of an upgrade', () => {
  const answer = 'HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n'
  assert.equal(
    response(`${answer}hi`, ['GET'], 'x'),
    '200 (OK) 1.1 length=2 keep-alive upgrade=x | body hi | end'
  )
})

it('CVE-2024-23326: 101 nobody asked for is an error', () => {
  const answer = 'HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'
  assert.equal(response(answer), 'refused 400 HTTP_UNEXPECTED_UPGRADE')
})

it('CVE-2026-2835: no request ends with the connection, whatever its version', () => {
  assert.equal(
    request('POST / HTTP/1.0\r\n\r\nGET /evil HTTP/1.1\r\n'),
    'POST / 1.0 host= none close | end | refused 400 HTTP_TRUNCATED'
  )
})

it('CVE-2026-2835: HTTP/1.0 with Transfer-Encoding is refused', () => {
  for (const fields of ['', 'Content-Length: 5\r\n', 'Connection: keep-alive\r\n']) {
    const head = `POST / HTTP/1.0\r\n${H}${fields}Transfer-Encoding: chunked\r\n\r\n`
    assert.equal(request(`${head}0\r\n\r\n`), 'refused 400 HTTP_AMBIGUOUS_FRAMING')
  }
})

it('CVE-2023-25725: an empty name does not end the fields', () => {
  const head = `GET / HTTP/1.1\r\n${H}: x\r\nContent-Length: 5\r\n\r\n`
  assert.equal(request(head), 'refused 400 HTTP_INVALID_HEADER_NAME')
  assert.throws(() => writeRequestHead('GET', '/', ['Host', 'a', '', 'x']), invalid)
})

it('CVE-2021-40346: the length of a name does not wrap around in anything', () => {
  for (const length of [255, 256, 257, 270, 4096, 16000]) {
    const name = `Content-Length0${'a'.repeat(length)}`
    const head = `POST / HTTP/1.1\r\n${H}${name}: x\r\nContent-Length: 2\r\n\r\nhi`
    assert.equal(request(head), 'POST / 1.1 host=a length=2 keep-alive | body hi | end')
  }
  const name = 'a'.repeat(65536)
  assert.match(request(`GET / HTTP/1.1\r\n${H}${name}: x\r\n\r\n`), /^refused 431/)
})

it('CVE-2023-40225: an empty Content-Length is refused, alone or beside another', () => {
  for (const fields of ['Content-Length:\r\n', 'Content-Length: \r\nContent-Length: 5\r\n']) {
    const head = `POST / HTTP/1.1\r\n${H}${fields}\r\nhello`
    assert.equal(request(head), 'refused 400 HTTP_INVALID_CONTENT_LENGTH')
  }
  assert.throws(() => writeResponseHead(200, '', ['Content-Length', '']), invalid)
})

it('CVE-2022-32213: Transfer-Encoding is chunked or an error, never ignored', () => {
  for (const value of ['chunkedchunked', 'chunked-false', 'chunked ,', 'x, chunked', '"chunked"']) {
    const head = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: ${value}\r\n\r\n0\r\n\r\n`
    assert.match(request(head), /^refused (400|501) HTTP_(INVALID|UNSUPPORTED)_TRANSFER_ENCODING$/)
  }
})

it('CVE-2022-32214: LF does not end a line, in any place', () => {
  const head = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`
  const whole = `${head}1;a=b\r\nx\r\n0\r\nX: y\r\n\r\n`
  for (let at = whole.indexOf('\r\n'); at !== -1; at = whole.indexOf('\r\n', at + 1)) {
    assert.match(request(`${whole.slice(0, at)}${whole.slice(at + 1)}`), /refused 400/, `at ${at}`)
  }
})

it('CVE-2022-32215: Transfer-Encoding over several lines is refused', () => {
  const head = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n , identity\r\n\r\n`
  assert.equal(request(head), 'refused 400 HTTP_OBSOLETE_FOLDING')
})

it('CVE-2022-35256: a field that CRLF does not end is refused', () => {
  const head = `GET / HTTP/1.1\r\n${H}X: y\rTransfer-Encoding: chunked\r\n\r\n`
  assert.equal(request(head), 'refused 400 HTTP_INVALID_LINE_END')
})

it('CVE-2021-22959: a space before the colon is refused', () => {
  const head = `POST / HTTP/1.1\r\n${H}Content-Length : 5\r\n\r\nhello`
  assert.equal(request(head), 'refused 400 HTTP_INVALID_HEADER_NAME')
})

it('CVE-2021-22960: chunk extensions are parsed, not skipped', () => {
  const head = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`
  assert.match(request(`${head}2;\nxx\r\n4c\r\n0\r\n\r\n`), /refused 400 HTTP_INVALID_CHUNK$/)
  assert.match(request(`${head}2 erif\r\nxx\r\n0\r\n\r\n`), /refused 400 HTTP_INVALID_CHUNK$/)
})

it('CVE-2024-22019: chunk extensions do not go on for ever', () => {
  const head = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`
  const overflow = /refused 413 HTTP_CHUNK_EXTENSIONS_TOO_LARGE$/
  assert.match(request(`${head}1;${'a'.repeat(16384)}`), overflow)
  assert.match(request(`${head}1;a="${'\\a'.repeat(8192)}`), overflow)
  assert.match(request(`${head}${`1;${'a'.repeat(99)}\r\nx\r\n`.repeat(200)}`), overflow)
  assert.match(request(`${head}${'0'.repeat(20000)}`), overflow)
})

it('CVE-2024-27982: a space does not hide Content-Length', () => {
  const first = `POST / HTTP/1.1\r\n Content-Length: 5\r\n${H}\r\nhello`
  assert.equal(request(first), 'refused 400 HTTP_OBSOLETE_FOLDING')
  const later = `POST / HTTP/1.1\r\n${H} Content-Length: 5\r\n\r\nhello`
  assert.equal(request(later), 'refused 400 HTTP_OBSOLETE_FOLDING')
})

it('CVE-2025-23167: CRLF CR and anything but LF does not end a head', () => {
  const head = `GET / HTTP/1.1\r\n${H}\rXGET /evil HTTP/1.1\r\n${H}\r\n`
  assert.equal(request(head), 'refused 400 HTTP_INVALID_LINE_END')
  const trailers = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\rX`
  assert.match(request(trailers), /refused 400 HTTP_INVALID_LINE_END$/)
})

it('CVE-2020-8287: two fields of Transfer-Encoding are refused', () => {
  for (const [a, b] of [
    ['chunked', 'eee'],
    ['eee', 'chunked'],
    ['chunked', 'chunked']
  ]) {
    const head = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: ${a}\r\nTransfer-Encoding: ${b}\r\n\r\n`
    assert.equal(request(`${head}0\r\n\r\n`), 'refused 400 HTTP_INVALID_TRANSFER_ENCODING')
  }
})

it('CVE-2018-12116: no request is split by its path, not even by what latin1 cuts off', () => {
  for (const path of ['/a b', '/a\r\nX: y', '/\u010d\u010aX:\u0120y', '/a\0', '/\xa0', '/a\tb']) {
    assert.throws(() => writeRequestHead('GET', path, ['Host', 'a']), invalid)
  }
})

it('CVE-2026-1525: Content-Length twice is found in any case', () => {
  const headers = ['Host', 'a', 'Content-Length', '5', 'content-LENGTH', '5']
  assert.throws(() => writeRequestHead('POST', '/', headers), invalid)
})

it('CVE-2023-23936: CRLF in Host is refused when writing', () => {
  for (const host of ['a\r\nX: y', 'a\n', 'a\u010d\u010aX: y', 'a ', 'a@b', 'a,b']) {
    assert.throws(() => writeRequestHead('GET', '/', ['Host', host]), invalid)
  }
})

it('undici 354a151f6: what is checked is the text that is written', () => {
  const values = ['harmless', 'a\r\nX: y']
  const value = { toString: () => values.shift() }
  assert.throws(() => writeRequestHead('GET', '/', ['Host', 'a', 'X', value as never]), invalid)
  assert.throws(() => writeRequestHead('GET', '/', ['Host', 'a', 'X', ['a\r\n'] as never]), invalid)
})

it('CVE-2026-21710: __proto__ is a name like any other', () => {
  const lines = transcribe([Buffer.from(`GET / HTTP/1.1\r\n${H}__proto__: x\r\n\r\n`)], {
    kind: 'request'
  })
  assert.ok(lines.includes('  __proto__: x'))
  assert.ok(connectionOptions(['Connection', '__proto__']).has('__proto__'))
})

it('HAProxy b743b566b: a comma in the authority is refused', () => {
  assert.match(request('GET / HTTP/1.1\r\nHost: a,b\r\n\r\n'), /HTTP_INVALID_HOST$/)
  assert.match(request(`GET http://a,b/ HTTP/1.1\r\n${H}\r\n`), /HTTP_INVALID_TARGET$/)
})

it('HAProxy f9c2d4767: sizes of chunks beyond 32 bits are written whole', () => {
  assert.equal(chunkHeader(0x1_0000_0005), '100000005\r\n')
})

it('undici 13f6af6d2: a chunked response that the connection cuts is no clean end', () => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
  for (const body of ['', '5', '5\r\n', '5\r\nhello', '5\r\nhello\r\n', '0\r\n', '0\r\nX: y\r\n']) {
    assert.match(response(`${head}${body}`), /refused 400 HTTP_TRUNCATED$/, body)
  }
})

it('undici SECURITY.md: a response nobody asked for is not taken for the next one', () => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
  const head = '200 (OK) 1.1 length=0 keep-alive | end'
  assert.equal(response(answer + answer), `${head} | refused 400 HTTP_UNEXPECTED_RESPONSE`)
})

it('llhttp: chunked followed by a tab is refused, because others do not take it for chunked', () => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n'
  assert.equal(response(head), 'refused 400 HTTP_INVALID_TRANSFER_ENCODING')
})
