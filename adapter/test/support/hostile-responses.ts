/**
 * Responses to one GET that a client must not believe, by the name of the attack. What follows them
 * on the connection would be taken for the answer to somebody else's request.
 */

const STOLEN = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen'

function head(fields: string): string {
  return `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${STOLEN}`
}

function chunked(body: string): string {
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}${STOLEN}`
}

/** Refused before any of it can be passed on. */
export const REFUSED_HEADS: Readonly<Record<string, string>> = {
  'CL.TE': head('Content-Length: 4\r\nTransfer-Encoding: chunked'),
  'TE.CL': head('Transfer-Encoding: chunked\r\nContent-Length: 4'),
  'two Content-Lengths': head('Content-Length: 0\r\ncontent-length: 4'),
  'a Content-Length with a sign': head('Content-Length: +4'),
  'an empty Content-Length': head('Content-Length: '),
  'two Transfer-Encodings': head('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'),
  'chunked that is not last': head('Transfer-Encoding: chunked, identity'),
  'an unknown coding': head('Transfer-Encoding: xchunked'),
  'HTTP/1.0 with Transfer-Encoding': chunked('0\r\n\r\n').replace('1.1', '1.0'),
  'obs-fold': head('X: a\r\n Content-Length: 4\r\nContent-Length: 0'),
  'a space before the colon': head('Content-Length : 4'),
  'an empty name': head(': a\r\nContent-Length: 0'),
  'response splitting by a bare CR': head('X: a\rContent-Length: 0\r\nContent-Length: 4'),
  'response splitting by a bare LF': head('X: a\nContent-Length: 0\r\nContent-Length: 4'),
  'NUL in a value': head('X: a\0\r\nContent-Length: 0'),
  'a status of two digits': 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n',
  'a status below 100': 'HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/0.9': '<html>hello</html>',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n',
  'two empty lines first': '\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  '101 nobody asked for':
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
}

/** The head is fine; the body breaks before its end. */
export const BROKEN_BODIES: Readonly<Record<string, string>> = {
  'a chunk size with a sign': chunked('+4\r\nbody\r\n0\r\n\r\n'),
  'a chunk size in hex notation': chunked('0x4\r\nbody\r\n0\r\n\r\n'),
  'a chunk size that wraps at 2^64': chunked('10000000000000004\r\nbody\r\n0\r\n\r\n'),
  'a bare LF behind a chunk size': chunked('4\nbody\r\n0\r\n\r\n'),
  'a chunk longer than its size': chunked('2\r\nbody\r\n0\r\n\r\n'),
  'Content-Length as trailer': chunked('4\r\nbody\r\n0\r\nContent-Length: 9\r\n\r\n')
}

/** Answers that end where they say, and a response nobody asked for behind them. */
export const POISONED: Readonly<Record<string, string>> = {
  'a response behind the response': `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n${STOLEN}`,
  'a body behind 204': `HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n${STOLEN}`,
  'a body behind 304': `HTTP/1.1 304 Not Modified\r\n\r\n${STOLEN}`,
  'chunks behind a whole body': `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n6\r\nstolen\r\n0\r\n\r\n`
}
