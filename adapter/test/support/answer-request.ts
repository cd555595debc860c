import type { IncomingMessage, ServerResponse } from 'node:http'

/** Reads the whole request and answers what was seen of it: `seen METHOD TARGET BYTES`. */
export function answerRequest(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  request.on('error', () => {})
  request.on('end', () => response.end(`seen ${request.method} ${request.url} ${bytes}\n`))
}
