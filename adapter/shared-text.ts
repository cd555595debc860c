/**
 * Text in memory that another process writes. V8 reads UTF-8 twice, first for how long the string
 * will be: a peer that changes the bytes in between makes it write past the string's end. So no byte
 * is decoded but by what reads it once: Latin-1, as which ASCII can be read, or a copy.
 */
import { isAscii } from 'node:buffer'
import type { Readable } from 'node:stream'

/** As much is copied at a time for a decoder that keeps state. */
const PIECE_BYTES = 64 * 1024

/** For the time of one call. */
let scratch = Buffer.alloc(0)

const IS_UTF8 = /^utf-?8$/i

/** `view`, whose `toString`, which `JSON.parse` uses too, is safe. */
export function withSafeText(view: Buffer): Buffer {
  return Object.defineProperty(view, 'toString', { value: textOf })
}

function textOf(this: Buffer, encoding?: BufferEncoding, start = 0, end = this.length): string {
  const part = this.subarray(start, end)
  const isUtf8 = encoding === undefined || IS_UTF8.test(encoding)
  // Of a peer that changes them now, its own bytes become other characters.
  return isUtf8 && isAscii(part) ? part.toString('latin1') : copyOf(part).toString(encoding)
}

/**
 * Pushes `view` to a stream with an encoding set, which decodes at once, until its reader destroys it.
 *
 * @returns what the last push did
 */
export function pushText(stream: Readable, view: Buffer): boolean {
  let room = true
  for (let at = 0; at < view.length && !stream.destroyed; at += PIECE_BYTES) {
    room = stream.push(copyOf(view.subarray(at, at + PIECE_BYTES)))
  }
  return room
}

function copyOf(view: Buffer): Buffer {
  const { length } = view
  if (length > scratch.length) {
    scratch = Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, 2 ** Math.ceil(Math.log2(length))))
  }
  view.copy(scratch)
  return scratch.subarray(0, length)
}
