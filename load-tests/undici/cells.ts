/** What is measured, and what is aimed at. */

export const TRANSPORTS = ['shm', 'socket'] as const
export type Transport = (typeof TRANSPORTS)[number]

/** How a response is asked for. */
export type Api = 'request' | 'dispatch' | 'views' | 'fetch'

export interface Job {
  readonly api: Api
  readonly path: string
  /** Over shared memory, where the app has a parser of its own. Default: `path`. */
  readonly shmPath?: string
  /** Bytes sent; undefined: GET. */
  readonly upload?: number
  /** Over shared memory the body is made, each time anew, by `agent.alloc`. */
  readonly alloc?: boolean
  /** Requests under way at once. */
  readonly lanes: number
  /** How `request` reads the body. @defaultValue 'arrayBuffer' */
  readonly read?: 'arrayBuffer' | 'text'
}

export interface Cell {
  readonly title: string
  readonly job: Job
  /** CPU of client and app over shared memory, as a part of that over a Unix socket: at most. */
  readonly target?: number
  /** The median time of a request, likewise. */
  readonly timeTarget?: number
}

export interface Plan {
  readonly cells: readonly Cell[]
  readonly rounds: number
  /** Least duration of a round, ms. */
  readonly roundMs: number
}

const MIB = 1024 * 1024
const SMALL = '/bytes/64'
const LARGE = `/bytes/${MIB}`

/** Over a socket Fastify's own parser, the best there is. */
function post(shmPath: string): Job {
  return { api: 'request', path: '/stock', shmPath, upload: MIB, lanes: 4 }
}

export function plan(quick: boolean): Plan {
  const cells: Cell[] = [
    { title: 'request 64 B', job: { api: 'request', path: SMALL, lanes: 16 }, target: 0.35 },
    { title: 'dispatch 64 B', job: { api: 'dispatch', path: SMALL, lanes: 16 } },
    { title: 'fetch 64 B', job: { api: 'fetch', path: SMALL, lanes: 16 } },
    {
      title: 'request 64 B, one at a time',
      job: { api: 'request', path: SMALL, lanes: 1 },
      timeTarget: 1
    },
    { title: 'request GET 1 MiB', job: { api: 'request', path: LARGE, lanes: 4 }, target: 0.2 },
    {
      title: 'request GET 1 MiB, text()',
      job: { api: 'request', path: LARGE, lanes: 4, read: 'text' }
    },
    { title: 'dispatch GET 1 MiB', job: { api: 'dispatch', path: LARGE, lanes: 4 } },
    { title: '... by onResponseView', job: { api: 'views', path: LARGE, lanes: 4 }, target: 0.2 },
    { title: "request POST 1 MiB, Fastify's parser", job: post('/stock'), target: 0.2 },
    { title: '... bufferParser()', job: post('/held'), target: 0.2 },
    { title: "... lifetime: 'request'", job: post('/lent'), target: 0.2 },
    {
      title: '... made by agent.alloc',
      job: { ...post('/lent'), alloc: true }
    }
  ]
  return quick ? { cells, rounds: 3, roundMs: 50 } : { cells, rounds: 15, roundMs: 200 }
}
