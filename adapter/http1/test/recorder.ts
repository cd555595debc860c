import type { MessageHandler } from '../index.ts'

/** Keeps everything a reader says. */
export class Recorder<H> implements MessageHandler<H> {
  readonly heads: H[] = []
  readonly chunks: Buffer[] = []
  ends = 0

  onHead(head: H): void {
    this.heads.push(head)
  }

  onBody(chunk: Buffer): void {
    this.chunks.push(chunk)
  }

  onEnd(): void {
    this.ends++
  }
}

export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

export const GET: Buffer = latin1('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
export const POST: Buffer = latin1('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n')
export const CHUNKED: Buffer = latin1(
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
)
