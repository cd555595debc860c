/** What is measured, and what is aimed at. */

export const TRANSPORTS = ['shm', 'socket'] as const
export type Transport = (typeof TRANSPORTS)[number]

export interface Cell {
  readonly title: string
  /** Sent in turn on each connection, each when the one before is answered. */
  readonly requests: Readonly<Record<Transport, readonly Buffer[]>>
  readonly connections: number
  /** CPU of the app over shared memory, as a part of what it costs over a Unix socket: at most. */
  readonly target: number
}

export interface Plan {
  readonly cells: readonly Cell[]
  readonly rounds: number
  /** Least duration of a round, ms. */
  readonly roundMs: number
}

const MIB = 1024 * 1024

export function plan(quick: boolean): Plan {
  const stock = [post('/stock')]
  const cells: Cell[] = [
    cell('GET 64 B', [get('/bytes/64')], 16, 0.35),
    cell('JSON API', jsonApi(), 16, 0.5),
    cell('GET 1 MiB', [get(`/bytes/${MIB}`)], 4, 0.5),
    cell('GET 1 MiB, share', [get('/shared')], 4, 0.1),
    cell('GET 1 MiB, filled, alloc', [get('/made')], 4, 0.7),
    cell('POST 1 MiB', stock, 4, 0.5),
    cell('POST 1 MiB, bufferParser', [post('/held')], 4, 0.5, stock),
    cell("... lifetime: 'request'", [post('/lent')], 4, 0.15, stock)
  ]
  return quick ? { cells, rounds: 3, roundMs: 50 } : { cells, rounds: 21, roundMs: 200 }
}

/** @param baseline what is asked of the app over the Unix socket, which has Fastify's parsers only */
function cell(
  title: string,
  requests: readonly Buffer[],
  connections: number,
  target: number,
  baseline: readonly Buffer[] = requests
): Cell {
  return { title, requests: { shm: requests, socket: baseline }, connections, target }
}

function get(path: string): Buffer {
  return message(`GET ${path} HTTP/1.1`)
}

function post(path: string): Buffer {
  const head = ['Content-Type: application/octet-stream', `Content-Length: ${MIB}`]
  return Buffer.concat([message(`POST ${path} HTTP/1.1`, head), Buffer.alloc(MIB, 'x')])
}

/** What a service does all day: a list, one of it, and a new one. */
function jsonApi(): Buffer[] {
  const body = JSON.stringify({
    customer: 'c-81734',
    note: 'leave it at the door, please',
    lines: Array.from({ length: 12 }, (_, i) => ({ sku: `sku-${1000 + i}`, count: i + 1 }))
  })
  const head = ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]
  return [
    get('/orders?limit=20&after=o-100'),
    get('/orders/o-117'),
    Buffer.concat([message('POST /orders HTTP/1.1', head), Buffer.from(body)])
  ]
}

/** As a proxy sends them on. */
function message(line: string, fields: readonly string[] = []): Buffer {
  const lines = [
    line,
    'Host: orders.internal',
    'User-Agent: bench',
    'Accept: */*',
    'X-Request-Id: 4e5c8e2a-0c39-4f0e-9a60-1f6a2f0c7f11',
    'X-Forwarded-For: 10.1.2.3',
    ...fields
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
}
