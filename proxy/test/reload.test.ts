/** A running proxy goes on with another configuration. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { type Agent, Agent as HttpAgent, request } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { type MeshProxy, resolveConfig } from '../index.ts'
import {
  answering,
  atEnd,
  dial,
  ok,
  quiet,
  refusing,
  roundTrip,
  startOrigin,
  startProxy,
  temporaryDirectory
} from './harness.ts'
import { addressOf, startApp, startCli } from './processes.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const LAST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

interface Parts {
  readonly address?: string
  readonly upstreams: readonly string[]
  readonly more?: Readonly<Record<string, unknown>>
}

function documentOf({ address = 'http://127.0.0.1:0', upstreams, more }: Parts) {
  return {
    drainTimeout: '2s',
    listeners: [{ name: 'in', address, routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', endpoints: upstreams.map((upstream) => ({ address: upstream })) }],
    ...more
  }
}

const reload = (proxy: MeshProxy, parts: Parts) =>
  proxy.reload(() => resolveConfig({ version: 1, ...documentOf(parts) }, () => 'test'))

const fixed = (t: TestContext, text: string) =>
  startOrigin(
    t,
    answering(() => ok(text))
  )

test('routes change under an open connection; what is the same keeps its connections', async (t) => {
  const a = await fixed(t, 'a')
  const b = await fixed(t, 'b')
  const { port, proxy } = await startProxy(t, documentOf({ upstreams: [a.address] }))
  const client = await dial(t, port)
  const ask = async () => {
    client.write(GET)
    await client.head()
    return client.take(1)
  }
  assert.equal(await ask(), 'a')
  await reload(proxy, { upstreams: [a.address], more: { transportHeader: true } })
  client.write(GET)
  assert.match(await client.head(), /X-Shmesh-Transport: socket/i)
  assert.equal(await client.take(1), 'a')
  assert.equal(a.connections.length, 1)

  await reload(proxy, { upstreams: [b.address] })
  assert.equal(await ask(), 'b')
  assert.equal(proxy.addresses[0]?.address, `http://127.0.0.1:${port}`)
  await a.connections[0]?.gone()
})

test('a request under way ends as it began', async (t) => {
  let finish: (() => void) | undefined
  const old = await startOrigin(t, async (connection) => {
    await connection.head()
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    connection.write(ok('old'))
  })
  const next = await fixed(t, 'new')
  const { port, proxy } = await startProxy(t, documentOf({ upstreams: [old.address] }))
  const client = await dial(t, port)
  // Nothing may send it again.
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
  await quiet(() => finish !== undefined)
  await reload(proxy, { upstreams: [next.address] })
  assert.match(await roundTrip(t, port, LAST), /new$/)
  finish?.()
  await client.head()
  assert.equal(await client.take(3), 'old')
  await old.connections[0]?.gone()
})

test('a listener that is gone answers what it has, and takes no more', async (t) => {
  let finish: (() => void) | undefined
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    connection.write(ok('x'))
  })
  const { port, proxy } = await startProxy(t, documentOf({ upstreams: [origin.address] }))
  const client = await dial(t, port)
  client.write(GET)
  await quiet(() => finish !== undefined)
  await reload(proxy, { address: 'http://localhost:0', upstreams: [origin.address] })
  await refusing(port)
  finish?.()
  assert.match(await client.head(), /Connection: close/)
  assert.equal(await client.rest(), 'x')
})

test('what cannot be bound, or needs a restart, leaves everything as it was', async (t) => {
  const origin = await fixed(t, 'x')
  const { port, proxy } = await startProxy(t, documentOf({ upstreams: [origin.address] }))
  const before = proxy.config
  await assert.rejects(reload(proxy, { address: origin.address, upstreams: [origin.address] }), {
    code: 'SHM_ERR_ADDRESS_IN_USE',
    message: /^in: /
  })
  await assert.rejects(
    reload(proxy, { upstreams: [origin.address], more: { admin: 'http://127.0.0.1:0' } }),
    { code: 'SHM_ERR_CONFIG', message: /^admin can only change with a restart/ }
  )
  assert.equal(proxy.config, before)
  assert.match(await roundTrip(t, port, LAST), /x$/)
})

/** Posts `body`; resolves with the status and what came back. */
function post(agent: Agent, port: number, body: Buffer): Promise<[number, Buffer]> {
  return new Promise((resolve, reject) => {
    const sent = request({ agent, port, host: '127.0.0.1', method: 'POST', path: '/' })
    sent.on('error', reject)
    sent.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve([response.statusCode ?? 0, Buffer.concat(chunks)]))
    })
    sent.end(body)
  })
}

test('SIGHUP and a changed file, under load with bodies: no request fails', async (t) => {
  const directory = temporaryDirectory(t)
  const file = join(directory, 'shmesh.yaml')
  atEnd(t, () => rmSync(file))
  const addresses = ['a', 'b'].map((name) => `shm://${join(directory, name)}`)
  for (const address of addresses) await startApp(t, address)
  const write = (upstream: string | undefined, extra = '') => {
    const text = JSON.stringify({
      version: 1,
      ...documentOf({
        upstreams: upstream === undefined ? [] : [upstream]
      })
    })
    writeFileSync(`${file}.new`, `${text}\n${extra}`)
    renameSync(`${file}.new`, file)
  }
  write(addresses[0])
  const proxy = startCli(t, ['proxy', '--config', file])
  const { port } = new URL(await addressOf(proxy, 'in'))

  const agent = new HttpAgent({ keepAlive: true, maxSockets: 16 })
  atEnd(t, () => agent.destroy())
  const body = Buffer.alloc(20_000, 'b')
  const expected = `20000 ${createHash('sha256').update(body).digest('hex')}`
  let going = true
  let done = 0
  const client = async () => {
    while (going) {
      const [status, answer] = await post(agent, Number(port), body)
      assert.equal(status, 200)
      assert.equal(answer.toString(), expected)
      done++
    }
  }
  const load = Promise.all(Array.from({ length: 16 }, client))
  const reloaded = (count: number) => proxy.said(new RegExp(`(?:"reloaded"[^]*){${count}}`))
  for (let i = 1; i <= 5; i++) {
    const before = done
    write(addresses[i % 2], `# ${i}`)
    await reloaded(i)
    await Promise.race([load, quiet(() => done > before + 32)])
  }
  proxy.process.kill('SIGHUP')
  await reloaded(6)
  write(undefined)
  await proxy.said(/not reloaded: the configuration before stays/)
  going = false
  await load
  assert.ok(done > 150, `${done} requests`)
  assert.match(proxy.stdout, /must have at least one entry/)
})

test('a file that changes while the proxy starts is read again', async (t) => {
  const directory = temporaryDirectory(t)
  const origins = [await fixed(t, 'old'), await fixed(t, 'new')] as const
  const [CURRENT, NEXT] = origins.map((origin, i) => {
    const file = join(directory, `${i}.yaml`)
    const document = documentOf({ upstreams: [origin.address] })
    writeFileSync(file, JSON.stringify({ version: 1, ...document }))
    return file
  }) as [string, string]
  atEnd(t, () => rmSync(CURRENT))
  const preloaded = new URL('./rename-on-listen.js', import.meta.url)
  const environment = { NODE_OPTIONS: `--import=${preloaded}`, CURRENT, NEXT }
  const proxy = startCli(t, ['proxy', '--config', CURRENT], environment)
  const { port } = new URL(await addressOf(proxy, 'in'))
  await eventually('it is read again', () => proxy.stdout.includes('"reloaded"'))

  assert.match(await roundTrip(t, Number(port), LAST), /new$/)
})
