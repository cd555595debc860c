/**
 * Requests that two parsers could read as different ones, by the name of the attack. Every face that
 * reads requests has to answer each of them the same way, however its bytes are cut.
 */

export interface Attack {
  readonly name: string
  readonly bytes: string
  /** The status of what is refused or interim, `METHOD TARGET BYTES` of what {@link answerRequest} saw. */
  readonly answers: readonly (string | number)[]
}

/** Answered only where the boundary before it was misplaced. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
/** Ends a conversation whose every boundary was found. */
const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** A head that must be refused, and nothing behind it read. */
function refused(name: string, head: string, status = 400): Attack {
  return { name, bytes: `${head}\r\n\r\n${SMUGGLED}`, answers: [status] }
}

function refusedField(name: string, field: string, status = 400): Attack {
  return refused(name, `POST / HTTP/1.1\r\nHost: a\r\n${field}`, status)
}

/** A chunked body that must be refused. */
function refusedBody(name: string, body: string, status = 400): Attack {
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
  return { name, bytes: `${head}${body}${SMUGGLED}`, answers: [status] }
}

/** Requests that are fine, each answered once. */
function answered(name: string, bytes: string, ...answers: (string | number)[]): Attack {
  return { name, bytes: bytes + LAST, answers: [...answers, 'GET /last 0'] }
}

const TRANSFER_ENCODINGS: readonly (readonly [field: string, status?: number])[] = [
  ['Transfer-Encoding: xchunked'],
  ['Transfer-Encoding: chunkedx'],
  ['Transfer-Encoding: chunked, identity'],
  ['Transfer-Encoding: identity, chunked', 501],
  ['Transfer-Encoding: identity'],
  ['Transfer-Encoding: chunked, chunked'],
  ['Transfer-Encoding: chunked;q=1'],
  ['Transfer-Encoding: "chunked"'],
  ['Transfer-Encoding: chunked\t'],
  ['Transfer-Encoding:'],
  ['Transfer-Encoding: ,chunked', 501],
  ['Transfer-Encoding: \x0bchunked'],
  ['Transfer-Encoding: chun\rked'],
  ['Transfer-Encoding:\n chunked'],
  ['Transfer-Encoding:\r\n chunked'],
  [' Transfer-Encoding: chunked'],
  ['Transfer-Encoding : chunked'],
  ['Transfer-Encoding\t: chunked'],
  ['Transfer-Encoding\x00: chunked'],
  ['X: x\nTransfer-Encoding: chunked'],
  ['X: x\rTransfer-Encoding: chunked'],
  ['Transfer-Encoding: identity\r\nTransfer-Encoding: chunked'],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: cow'],
  ['Transfer-Encoding: chunked\r\ntransfer-encoding: chunked']
]

const CONTENT_LENGTHS: readonly (readonly [name: string, value: string])[] = [
  ['nothing', ''],
  ['a plus', '+4'],
  ['a minus', '-4'],
  ['hexadecimal', '0x4'],
  ['an exponent', '4e0'],
  ['a fraction', '4.0'],
  ['a list of one length', '4, 4'],
  ['a list of two lengths', '4,40'],
  ['a comma', '4,'],
  ['a space within', '4 0'],
  ['a word behind', '4 bytes'],
  ['a digit that is not ASCII', '\xb2'],
  ['more than 2^53', '9007199254740993'],
  ['more than 2^64', '18446744073709551620']
]

export const ATTACKS: readonly Attack[] = [
  refusedField('CL.TE', 'Content-Length: 4\r\nTransfer-Encoding: chunked'),
  refusedField('TE.CL', 'Transfer-Encoding: chunked\r\nContent-Length: 4'),
  refusedField('CL.TE with a length of 0', 'Content-Length: 0\r\nTransfer-Encoding: chunked'),
  ...TRANSFER_ENCODINGS.map(([field, status]) =>
    refusedField(`TE.TE ${JSON.stringify(field)}`, field, status)
  ),
  answered(
    'TE.TE in another case is chunked',
    'POST / HTTP/1.1\r\nHost: a\r\ntRANSFER-eNCODING:  cHUNKED\r\n\r\n2\r\nab\r\n0\r\n\r\n',
    'POST / 2'
  ),
  answered(
    'CL.0: a body that looks like a request is a body',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    `POST / ${SMUGGLED.length}`
  ),
  answered(
    '0.CL: a GET has the body its length says',
    `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    `GET / ${SMUGGLED.length}`
  ),
  answered(
    'no length, no body: what follows is the next request',
    'POST / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST / 0',
    'GET /next 0'
  ),
  ...CONTENT_LENGTHS.map(([name, value]) =>
    refusedField(`Content-Length of ${name}`, `Content-Length: ${value}`)
  ),
  refusedField('two equal Content-Lengths', 'Content-Length: 4\r\nContent-Length: 4'),
  refusedField('two Content-Lengths', 'Content-Length: 4\r\ncontent-length: 40'),
  refusedField('Content-Length: 0 and another', 'Content-Length: 0\r\nContent-Length: 40'),
  refusedField('space before the colon', 'Content-Length : 40'),
  refusedField('space before the name', ' Content-Length: 40'),
  refused('space before the first name', 'POST / HTTP/1.1\r\n Content-Length: 40\r\nHost: a'),
  refusedField('obs-fold', 'X: a\r\n b'),
  refusedField('obs-fold with a tab', 'X: a\r\n\tContent-Length: 40'),
  refusedField('empty name', ': x\r\nContent-Length: 40'),
  refusedField('line without a colon', 'Content-Length'),
  refusedField('NUL in a value', 'X: a\0b'),
  refusedField('NUL in a name', 'X\0: a'),
  refusedField('DEL in a value', 'X: a\x7f'),
  refusedField('bare LF between fields', 'X: a\nContent-Length: 40'),
  refusedField('bare CR in a value', 'X: a\rb'),
  refusedField('CR CR LF', 'X: a\r'),
  refusedField('CR LF CR and anything', '\rX: a'),
  {
    name: 'bare LF ends the head',
    bytes: `GET / HTTP/1.1\r\nHost: a\n\n${SMUGGLED}`,
    answers: [400]
  },
  refused('bare LF behind the request line', 'GET / HTTP/1.1\nHost: a'),
  refused('NUL in the target', 'GET /\0 HTTP/1.1\r\nHost: a'),
  refused('fragment in the target', 'GET /#a HTTP/1.1\r\nHost: a'),
  refused('target in UTF-8', 'GET /\xc3\xa9 HTTP/1.1\r\nHost: a'),
  refused('space in the target', 'GET /a b HTTP/1.1\r\nHost: a'),
  refused('two spaces', 'GET  / HTTP/1.1\r\nHost: a'),
  refused('tab for a space', 'GET\t/ HTTP/1.1\r\nHost: a'),
  refused('space before the method', ' GET / HTTP/1.1\r\nHost: a'),
  refused('space behind the version', 'GET / HTTP/1.1 \r\nHost: a'),
  refused('target without a slash', 'GET a HTTP/1.1\r\nHost: a'),
  refused('user information in the target', 'GET http://u@a/ HTTP/1.1\r\nHost: a'),
  refused('asterisk for a GET', 'GET * HTTP/1.1\r\nHost: a'),
  refused('two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b'),
  refused('two equal Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nhost: a'),
  refused('Host with a list', 'GET / HTTP/1.1\r\nHost: a, b'),
  refused('Host with a path', 'GET / HTTP/1.1\r\nHost: a/b'),
  refused('Host with user information', 'GET / HTTP/1.1\r\nHost: u@a'),
  refused('Host with a space', 'GET / HTTP/1.1\r\nHost: a b'),
  refused('no Host', 'GET / HTTP/1.1\r\nX: a'),
  { name: 'HTTP/0.9', bytes: `GET /\r\n${SMUGGLED}`, answers: [400] },
  { name: 'HTTP/0.9 with a space', bytes: `GET / \r\n${SMUGGLED}`, answers: [400] },
  refused(
    'HTTP/1.0 with Transfer-Encoding',
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked'
  ),
  refused('lower-case version', 'GET / http/1.1\r\nHost: a'),
  refused('version with two digits', 'GET / HTTP/1.10\r\nHost: a'),
  refused('version with a comma', 'GET / HTTP/1,1\r\nHost: a'),
  refused('HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a', 505),
  refused('preface of HTTP/2', 'PRI * HTTP/2.0', 505),
  refusedBody('chunk size with a sign', '+4\r\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk size below zero', '-1\r\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk size in hex notation', '0x4\r\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk size behind a space', ' 4\r\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk size before a space', '4 \r\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk size with an underscore', '1_0\r\nbody\r\n0\r\n\r\n'),
  refusedBody('no chunk size', '\r\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk size beyond 2^53', '20000000000001\r\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk size that wraps at 2^64', '10000000000000004\r\nbody\r\n0\r\n\r\n'),
  refusedBody(
    'chunk size that wraps at 2^32 and another',
    'fffffffffffffffff\r\nbody\r\n0\r\n\r\n'
  ),
  refusedBody('chunk extension with a bare LF', '4;\nbody\r\n0\r\n\r\n'),
  refusedBody('chunk extension with a bare CR', '4;a\rb\r\nbody\r\n0\r\n\r\n'),
  refusedBody('quoted chunk extension with a line end', '4;a="\r\n"\r\nbody\r\n0\r\n\r\n'),
  refusedBody('bare LF behind a chunk size', '4\nbody\r\n0\r\n\r\n'),
  refusedBody('bare CR behind a chunk size', '4\rbody\r\n0\r\n\r\n'),
  refusedBody('bare LF behind a chunk', '4\r\nbody\n0\r\n\r\n'),
  refusedBody('nothing behind a chunk', '4\r\nbody0\r\n\r\n'),
  refusedBody('chunk longer than its size', '2\r\nbody\r\n0\r\n\r\n'),
  refusedBody('bare LF behind the last chunk', '4\r\nbody\r\n0\n\r\n'),
  refusedBody('bare LF behind the trailers', '4\r\nbody\r\n0\r\nX: a\r\n\n'),
  refusedBody('Content-Length as trailer', '0\r\nContent-Length: 40\r\n\r\n'),
  refusedBody('Transfer-Encoding as trailer', '0\r\nTransfer-Encoding: chunked\r\n\r\n'),
  refusedBody('Host as trailer', '0\r\nHost: b\r\n\r\n'),
  refusedBody('obs-fold in a trailer', '0\r\nX: a\r\n b\r\n\r\n'),
  refusedBody('trailer with a space before the colon', '0\r\nX : a\r\n\r\n'),
  answered(
    'chunk extensions are no data',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0004;a="b;\\"c"\r\nbody\r\n000;z\r\nX: y\r\n\r\n',
    'POST / 4'
  ),
  {
    name: 'pipelined poison',
    bytes: `${LAST.replace('close', 'keep-alive')}GET / HTTP/1.1\r\n\r\n${SMUGGLED}`,
    answers: ['GET /last 0', 400]
  },
  answered(
    'a pipeline keeps its order',
    ['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''),
    'GET /1 0',
    'GET /2 0',
    'GET /3 0'
  ),
  {
    name: 'nothing behind Connection: close is read',
    bytes: LAST + SMUGGLED,
    answers: ['GET /last 0']
  },
  {
    name: 'HTTP/1.0 without keep-alive is one request',
    bytes: `GET / HTTP/1.0\r\nHost: a\r\n\r\n${SMUGGLED}`,
    answers: ['GET / 0']
  },
  answered(
    'CONTINUE desync: the body may come before 100',
    `POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    100,
    `POST / ${SMUGGLED.length}`
  ),
  answered(
    'CONTINUE desync without a body',
    'GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n',
    100,
    'GET / 0'
  ),
  answered(
    'Upgrade smuggling: an offer nobody takes changes nothing',
    `POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    `POST / ${SMUGGLED.length}`
  ),
  answered(
    'Connection that lists the fields that frame and route',
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Host, Content-Length\r\nContent-Length: 4\r\n\r\nbody',
    'POST / 4'
  ),
  answered(
    'fields that only look like framing',
    'POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 40\r\nX-Transfer-Encoding: chunked\r\nTransfer_Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody',
    'POST / 4'
  )
]

/** What {@link answerRequest} and refusals have put on the wire, in the terms of {@link Attack}. */
export function answersIn(received: string): (string | number)[] {
  const answers: (string | number)[] = []
  for (const [, status, seen] of received.matchAll(/HTTP\/1\.1 (\d{3})|seen (.*)\n/g)) {
    if (seen !== undefined) answers.push(seen)
    else if (status !== '200') answers.push(Number(status))
  }
  return answers
}

const MARK = /[\r\n\t :,;]/

/** Ways to cut bytes: not at all, behind each one, in two before and behind each that means something. */
export function* cuts(bytes: string): Generator<readonly string[]> {
  yield [bytes]
  yield [...bytes]
  for (let at = 1; at < bytes.length; at++) {
    if (MARK.test(bytes.slice(at - 1, at + 1))) yield [bytes.slice(0, at), bytes.slice(at)]
  }
}
