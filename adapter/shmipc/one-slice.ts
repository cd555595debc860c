import type { ShmSession } from './session.ts'

/** Encodings of which `Buffer.byteLength` counts characters that decode to nothing. */
const GUESSED_LENGTH = /^(hex|base64)/i

const IS_UTF8 = /^utf-?8$/i

/** What the smallest slices between two shmesh ends hold: it never comes in two. */
const ONE_SLICE_BYTES = 4096

/**
 * Sends a message that fits one slice, with its strings encoded in place.
 *
 * @param before latin1 text, '' for none
 * @param after latin1 text behind `body`, '' for none
 * @param most bytes of one message
 * @returns the bytes sent; -1 when nothing was, and it must be done the general way
 */
export function sendInOneSlice(
  session: ShmSession,
  id: number,
  before: string,
  body: Buffer | string | undefined,
  encoding: BufferEncoding,
  after: string,
  most: number
): number {
  const isText = typeof body === 'string'
  // Bytes that turn out missing would be sent as they lie in memory.
  if (isText && GUESSED_LENGTH.test(encoding)) return -1
  // No character takes more, in any encoding but those a string of which is longer than its bytes.
  const room = before.length + (isText ? 3 * body.length : (body?.length ?? 0)) + after.length + 1
  if (room <= ONE_SLICE_BYTES && session.peer === 'shmesh') {
    const sent = writeText(session, id, before, body, encoding, after, room)
    if (sent !== undefined) return sent
  }
  const bodyBytes =
    body === undefined ? 0 : isText ? Buffer.byteLength(body, encoding) : body.length
  const bytes = before.length + bodyBytes + after.length
  if (bytes === 0) return 0
  if (bytes > most) return -1
  const { native, spans, memory } = session
  // Shared by two slices it would be: the general way does that. What is not sent is taken back
  // by the next allocation.
  if (native.allocate(bytes) !== 1 || spans[1] !== bytes) return -1
  let at = spans[0]!
  if (before !== '') at += memory.write(before, at, 'latin1')
  if (isText) at += memory.write(body, at, encoding)
  else if (body !== undefined) at += body.copy(memory, at)
  if (after !== '') memory.write(after, at, 'latin1')
  return native.send(id) ? bytes : -1
}

/**
 * What surely fits one slice, by one call: it is all or nothing.
 *
 * @returns as `sendInOneSlice`; undefined when one call cannot say it
 */
function writeText(
  session: ShmSession,
  id: number,
  before: string,
  body: Buffer | string | undefined,
  encoding: BufferEncoding,
  after: string,
  room: number
): number | undefined {
  let head = before
  let rest = body
  if (after !== '') {
    if (body !== undefined) return undefined
    head += after
  } else if (typeof body === 'string' && !IS_UTF8.test(encoding)) {
    if (encoding !== 'latin1') return undefined
    head += body
    rest = undefined
  }
  if (room === 1) return 0
  const bytes = session.native.writeText(id, head, rest, room)
  return bytes === 0 ? -1 : bytes
}
