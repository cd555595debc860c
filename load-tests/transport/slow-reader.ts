/** A stream whose writer is always ahead of its reader. */
import type { ShmStream } from '../../adapter/index.ts'

/** What the reader takes at a time, and how often, ms. */
const SIP_BYTES = 4 * 1024
const SIP_MS = 5
const BLOCK = Buffer.alloc(64 * 1024)

/** Reads on and on, little at a time. */
export function readSlowly(stream: ShmStream): void {
  stream.on('error', () => undefined)
  const timer = setInterval(() => stream.read(SIP_BYTES), SIP_MS)
  stream.once('close', () => clearInterval(timer))
}

/** Writes all that it may, until the stream is destroyed. */
export function writeAhead(stream: ShmStream): void {
  stream.on('error', () => undefined)
  const write = () => {
    while (stream.writable && stream.write(BLOCK)) {}
  }
  stream.on('drain', write)
  write()
}
