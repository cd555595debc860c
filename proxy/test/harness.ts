/** A proxy in this process, byte-level peers on both sides of it, and teardown that finds leaks. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { pino } from 'pino'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { createProxy, type MeshProxy, type ProxyStatistics, resolveConfig } from '../index.ts'
import { Bytes, EndedError } from './bytes.ts'

export interface Harness {
  readonly proxy: MeshProxy
  /** Of the first listener when it is http://. */
  readonly port: number
  /** Log lines at level warn and above. */
  readonly complaints: string[]
  /** Lines of the access log, where the configuration turns it on. */
  readonly accessLog: string[]
}

/** What keeps this process alive; stdin, stdout and stderr are pipes as well, and were there first. */
function activeResources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => !/^(FS|Immediate|TickObject)/.test(name))
}

const atStart = activeResources().filter((name) => name === 'PipeWrap').length

after(async () => {
  const left = () => {
    const active = activeResources()
    const others = active.filter((name) => name !== 'PipeWrap')
    return active.length - others.length > atStart ? [...others, 'PipeWrap'] : others
  }
  await quiet(() => left().length === 0)
  assert.deepEqual(left(), [], 'sockets, servers, timers or processes were left behind')
})

const cleanups = new WeakMap<TestContext, (() => unknown)[]>()

/** Runs `cleanup` at the end of the test: what came last goes first, and a failure stops none. */
export function atEnd(t: TestContext, cleanup: () => unknown): void {
  const registered = cleanups.get(t)
  if (registered !== undefined) {
    registered.push(cleanup)
    return
  }
  const stack = [cleanup]
  cleanups.set(t, stack)
  t.after(async () => {
    const failures: unknown[] = []
    for (const next of stack.reverse()) {
      try {
        await next()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  })
}

/** Starts a proxy on `document`, which lacks only what is the same everywhere. */
export async function startProxy(
  t: TestContext,
  document: Readonly<Record<string, unknown>>
): Promise<Harness> {
  const config = resolveConfig({ version: 1, ...document }, () => 'test')
  const complaints: string[] = []
  const log = pino({ level: 'warn' }, { write: (line) => complaints.push(line) })
  const accessLog: string[] = []
  const sink = { write: (line: string) => accessLog.push(line) }
  const proxy = await createProxy(config, { log, accessLog: sink })
  atEnd(t, async () => {
    await proxy.drain()
    await quiet(() => openConnections(proxy.statistics()) === 0)
    const { requests } = proxy.statistics()
    assert.equal(requests.active, 0, 'a request outlived the proxy')
    assert.equal(openConnections(proxy.statistics()), 0, 'a connection outlived the proxy')
    for (const endpoint of proxy.statistics().clusters.flatMap((cluster) => cluster.endpoints)) {
      assert.equal(endpoint.inFlight, 0, `${endpoint.address} has miscounted`)
    }
  })
  const address = proxy.addresses[0]?.address ?? ''
  return { proxy, port: Number(/:(\d+)$/.exec(address)?.[1] ?? 0), complaints, accessLog }
}

/** One http:// listener in front of `upstreams`. */
export function startSimpleProxy(
  t: TestContext,
  upstreams: readonly string[],
  options: {
    readonly cluster?: Readonly<Record<string, unknown>>
    readonly listener?: Readonly<Record<string, unknown>>
    readonly proxy?: Readonly<Record<string, unknown>>
  } = {}
): Promise<Harness> {
  return startProxy(t, {
    drainTimeout: '2s',
    ...options.proxy,
    listeners: [
      {
        name: 'inbound',
        address: 'http://127.0.0.1:0',
        routes: [{ cluster: 'app' }],
        ...options.listener
      }
    ],
    clusters: [
      {
        name: 'app',
        endpoints: upstreams.map((address) => ({ address })),
        ...options.cluster
      }
    ]
  })
}

/** Everything the statistics know to be open. */
export function openConnections(statistics: ProxyStatistics): number {
  let open = 0
  for (const listener of statistics.listeners) open += listener.connections
  for (const cluster of statistics.clusters) {
    for (const endpoint of cluster.endpoints) open += endpoint.connections + endpoint.inFlight
  }
  return open
}

/** Waits until `done`, however slow a peer is to get a processor; gives up in the end. */
export async function quiet(done: () => boolean | Promise<boolean>): Promise<void> {
  await eventually('it is quiet', done).catch(() => undefined)
}

/** A directory of its own, which must be empty of sockets at the end. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-proxy-'))
  atEnd(t, () => {
    const left = readdirSync(directory)
    rmSync(directory, { recursive: true })
    assert.deepEqual(left, [], 'files were left behind')
  })
  return directory
}

export interface Origin {
  readonly address: string
  /** Connections accepted so far, in order. */
  readonly connections: Bytes[]
  close(): void
}

/** An upstream that does exactly what `serve` does with each connection. */
export async function startOrigin(
  t: TestContext,
  serve: (connection: Bytes, index: number) => Promise<void> | void
): Promise<Origin> {
  const connections: Bytes[] = []
  const failures: unknown[] = []
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new Bytes(socket)
    const index = connections.push(connection) - 1
    Promise.resolve(serve(connection, index)).catch((error: unknown) => {
      socket.destroy()
      // That connections end is nothing special; whatever else went wrong fails the test.
      const code = (error as NodeJS.ErrnoException).code
      if (!(error instanceof EndedError) && code !== 'ECONNRESET') failures.push(error)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.close()
    for (const { stream } of connections) stream.destroy()
  }
  atEnd(t, () => {
    close()
    assert.deepEqual(failures, [])
  })
  const { port } = server.address() as { port: number }
  return { address: `http://127.0.0.1:${port}`, connections, close }
}

/** Answers every request with `answer` of its head, until the connection ends. */
export function answering(answer: (head: string) => string): (connection: Bytes) => Promise<void> {
  return async (connection) => {
    for (;;) {
      const head = await connection.head()
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (length > 0) await connection.take(length)
      connection.write(answer(head))
    }
  }
}

export function ok(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

/** A client connection; gone at the end of the test. */
export async function dial(t: TestContext, port: number): Promise<Bytes> {
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  atEnd(t, () => socket.destroy())
  return new Bytes(socket)
}

/** Until nobody is let in any more. */
export async function refusing(port: number): Promise<void> {
  await eventually('connections are refused', async () => {
    const socket = connect({ port, host: '127.0.0.1' })
    try {
      await once(socket, 'connect')
      return false
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
    } finally {
      socket.destroy()
    }
  })
}

/** Sends `text` on a new connection and returns all that comes back until it is closed. */
export async function roundTrip(t: TestContext, port: number, text: string): Promise<string> {
  const client = await dial(t, port)
  client.write(text)
  return client.rest()
}

/**
 * An address that refuses connections to the end of the test: its port is that of the near end of a
 * connection, which nobody else can be given to listen on.
 */
export async function unusedAddress(t: TestContext): Promise<string> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const socket = connect({ port, host: '127.0.0.1' })
  const [[far]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [
    [Socket],
    unknown
  ]
  server.close()
  atEnd(t, () => {
    socket.destroy()
    far.destroy()
  })
  return `http://127.0.0.1:${socket.localPort}`
}
