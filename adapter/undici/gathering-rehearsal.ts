import type { Readable } from 'node:stream'
import { Dispatcher } from 'undici'
import type { Handler, UserHandler } from './handlers.ts'
import { toListener } from './to-listener.ts'

/** Of the body of undici's `request`: each collects chunks, and makes something new of them at the end. */
const READERS = ['text', 'json', 'bytes', 'arrayBuffer', 'blob'] as const
export type Reader = (typeof READERS)[number]

type Body = Readable & Partial<Record<Reader, () => Promise<unknown>>>

const JSON_TEXT = JSON.stringify('a body in shared memory '.repeat(4096))

/** Bodies whose readers were seen to use no chunk after the body's 'close'. */
export class GatheringKind {
  readonly prototype: object
  readonly #state: symbol
  readonly #readers: readonly Reader[]

  constructor(prototype: object, state: symbol, readers: readonly Reader[]) {
    this.prototype = prototype
    this.#state = state
    this.#readers = readers
  }

  /** Who is at work on `body`, when nobody else gets its chunks. */
  readerOf(body: Readable): Reader | undefined {
    const name = gathererOf(body, this.#state)
    const reader = this.#readers.find((known) => known === name)
    if (reader === undefined || body.listenerCount('data') > 0) return undefined
    return body.listenerCount('readable') > 0 ? undefined : reader
  }
}

/**
 * Tries out what bodies of the user's undici do with a chunk: each reader gets one that is
 * overwritten as soon as the body has closed.
 *
 * @returns undefined when such bodies must be given copies
 */
export async function rehearse(): Promise<GatheringKind | undefined> {
  let prototype: object | undefined
  let state: symbol | undefined
  const readers: Reader[] = []
  for (const reader of READERS) {
    const stage = new Stage()
    const body = await stage.open()
    prototype ??= Object.getPrototypeOf(body) as object
    const symbols = Object.getOwnPropertySymbols(body)
    state ??= symbols.find(({ description }) => description === 'kConsume')
    const read = body[reader]
    // Not every undici has them all.
    if (read === undefined) continue
    if (state === undefined) return undefined
    stage.state = state
    const result = await read.call(body)
    await stage.closed
    if (stage.reader !== reader || (await textOf(result, reader)) !== JSON_TEXT) return undefined
    readers.push(reader)
  }
  return prototype && state && new GatheringKind(prototype, state, readers)
}

/** Who collects the chunks of `body`: undici says so by a symbol of its own, until it is done. */
function gathererOf(body: object, state: symbol): string | undefined {
  const gathering = (body as Record<symbol, { readonly type?: string } | null>)[state]
  return gathering?.type
}

async function textOf(result: unknown, reader: Reader): Promise<string> {
  if (reader === 'json') return JSON.stringify(result)
  if (typeof result === 'string') return result
  if (result instanceof Blob) return result.text()
  return Buffer.from(result as ArrayBuffer).toString()
}

/** Answers its one request by one chunk, when somebody reads. */
class Stage extends Dispatcher {
  state: symbol | undefined
  /** Who was at work when the chunk came. */
  reader: string | undefined
  /** Settled once the chunk has been overwritten. */
  closed: Promise<void> | undefined

  async open(): Promise<Body> {
    const { body } = await this.request({ origin: 'http://app', path: '/', method: 'GET' })
    return body as unknown as Body
  }

  override dispatch(_options: Dispatcher.DispatchOptions, handler: UserHandler): boolean {
    const listener = toListener(handler as unknown as Handler, {
      paused: false,
      abort() {},
      pause() {},
      resume: () => {
        if (this.closed !== undefined || this.state === undefined) return
        const chunk = Buffer.from(JSON_TEXT)
        const { res: body } = handler as unknown as { readonly res: Readable }
        this.reader = gathererOf(body, this.state)
        this.closed = new Promise((resolve) => {
          body.once('close', () => {
            chunk.fill(0)
            resolve()
          })
        })
        listener.data(chunk)
        listener.end([])
      }
    })
    listener.start()
    listener.head(200, [], 'OK')
    return true
  }
}
