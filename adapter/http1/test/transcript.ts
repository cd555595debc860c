import { HttpParseError } from '../errors.ts'
import type { KnownFields } from '../known-fields.ts'
import type { Limits } from '../limits.ts'
import type { Framing, MessageHandler, RequestHead, ResponseHead } from '../message.ts'
import { RequestReader } from '../request-reader.ts'
import { ResponseReader } from '../response-reader.ts'

/** What a reader said of some input, one line for each thing; adjacent body chunks are joined. */
export type Transcript = string[]

export interface RequestInput {
  readonly kind: 'request'
  readonly limits?: Limits
  readonly known?: KnownFields
}

export interface ResponseInput {
  readonly kind: 'response'
  readonly limits?: Limits
  readonly known?: KnownFields
  /** The methods of the requests answered, in turn. */
  readonly to: readonly string[]
  readonly upgrade?: string
}

/**
 * Feeds `pieces`, then the end of the connection. Each piece is overwritten as soon as `feed`
 * returns, so nothing a reader keeps can refer to it.
 */
export function transcribe(
  pieces: readonly Buffer[],
  input: RequestInput | ResponseInput
): Transcript {
  const lines: Transcript = []
  const run = input.kind === 'request' ? requestRun(lines, input) : responseRun(lines, input)
  try {
    let left = ''
    for (const piece of pieces) {
      const chunk = Buffer.from(piece)
      let at = 0
      while (at < chunk.length && !run.stopped()) {
        const next = run.reader.feed(chunk, at)
        if (next === at) throw new Error('feed did not get on')
        at = next
        run.next()
      }
      left += chunk.toString('latin1', at)
      chunk.fill(0xff)
    }
    if (left !== '') lines.push(`left ${show(left)}`)
    run.reader.finish()
  } catch (error) {
    if (!(error instanceof HttpParseError)) throw error
    lines.push(`refused ${error.status} ${error.code}`)
  }
  return lines
}

interface Run {
  readonly reader: RequestReader | ResponseReader
  /** Between two messages: makes ready for the next one. */
  next(): void
  /** What follows is not HTTP. */
  stopped(): boolean
}

function requestRun(lines: Transcript, input: RequestInput): Run {
  let tunnel = false
  let ended = false
  const reader = new RequestReader(
    recorder<RequestHead>(
      lines,
      (head) => {
        tunnel = head.method === 'CONNECT'
        return requestLines(head)
      },
      () => {
        ended = true
      }
    ),
    input.limits,
    input.known
  )
  return {
    reader,
    next: () => {
      if (!ended || tunnel) return
      ended = false
      reader.reset()
    },
    stopped: () => tunnel
  }
}

function responseRun(lines: Transcript, input: ResponseInput): Run {
  let tunnel = false
  let ended = false
  let answered = 0
  const reader = new ResponseReader(
    recorder<ResponseHead>(
      lines,
      (head) => {
        tunnel = head.framing.kind === 'tunnel'
        return responseLines(head)
      },
      () => {
        ended = true
      }
    ),
    input.limits,
    input.known
  )
  const expect = (): void => {
    const method = input.to[answered++]
    if (method === undefined) reader.reset()
    else reader.expect(method, { upgrade: input.upgrade })
  }
  expect()
  return {
    reader,
    next: () => {
      if (ended) expect()
      ended = false
    },
    stopped: () => tunnel
  }
}

function recorder<H>(
  lines: Transcript,
  describe: (head: H) => string[],
  ended: () => void
): MessageHandler<H> {
  let body = ''
  return {
    onHead: (head) => {
      body = ''
      lines.push(...describe(head))
    },
    onBody: (chunk) => {
      if (body !== '') lines.pop()
      body += chunk.toString('latin1')
      lines.push(`body ${show(body)}`)
    },
    onEnd: (trailers) => {
      lines.push('end', ...fieldLines(trailers))
      ended()
    }
  }
}

function requestLines(head: RequestHead): string[] {
  const { method, target, version, host, framing, keepAlive, upgrade, expectContinue } = head
  let line = `${method} ${show(target)} 1.${version} host=${host} ${frame(framing)}`
  line += keepAlive ? ' keep-alive' : ' close'
  if (upgrade !== undefined) line += ` upgrade=${upgrade}`
  if (expectContinue) line += ' expect-continue'
  return [line, ...fieldLines(head.headers)]
}

function responseLines(head: ResponseHead): string[] {
  const { status, reason, version, framing, keepAlive, upgrade } = head
  let line = `${status} (${show(reason)}) 1.${version} ${frame(framing)}`
  line += keepAlive ? ' keep-alive' : ' close'
  if (upgrade !== undefined) line += ` upgrade=${upgrade}`
  return [line, ...fieldLines(head.headers)]
}

function fieldLines(headers: readonly string[]): string[] {
  const lines: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    lines.push(`  ${headers[i]}: ${show(headers[i + 1] as string)}`)
  }
  return lines
}

function frame(framing: Framing): string {
  return framing.kind === 'length' ? `length=${framing.length}` : framing.kind
}

/** Bytes that a document cannot show, as the escapes of the case documents. */
function show(text: string): string {
  return text.replace(/[^\x20-\x5b\x5d-\x7e]/g, (character) => {
    if (character === '\r') return '\\r'
    if (character === '\n') return '\\n'
    if (character === '\t') return '\\t'
    if (character === '\\') return '\\\\'
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
