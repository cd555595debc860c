import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sharedMemory } from '../../adapter/index.ts'
import { ROOT, Run } from './run.ts'

const SERVER = join(ROOT, 'examples/fastify-app/server.js')
const CLIENT = join(ROOT, 'examples/undici-client/client.js')
const HTTP_CLIENT = join(ROOT, 'examples/http-agent/client.js')
const CONFIG = join(ROOT, 'examples/proxy/shmesh.yaml')
const CLI = join(ROOT, 'dist/proxy/cli.cjs')

test('the clients of the examples reach the app through the proxy', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const config = join(directory, 'shmesh.yaml')
  const text = readFileSync(CONFIG, 'utf8')
  writeFileSync(
    config,
    text.replaceAll('/tmp/shmesh-example', directory).replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:0')
  )

  const server = new Run(t, directory, [SERVER])
  await server.printed('listening at http')
  const proxy = new Run(t, directory, [CLI, 'proxy', '--config', config])
  await proxy.printed('"admin"')
  const client = new Run(t, directory, [CLIENT])

  assert.deepEqual(await client.exit, [0, null], client.output)
  const transport = sharedMemory().addon === undefined ? 'socket' : 'shm'
  assert.ok(client.output.includes(`200 ${transport} { hello: 'memory' }`), client.output)

  const clients = new Run(t, directory, [HTTP_CLIENT])
  assert.deepEqual(await clients.exit, [0, null], clients.output)
  for (const name of ['axios', 'got']) {
    const line = `${name} 200 ${transport} { hello: '${name}' }`
    assert.ok(clients.output.includes(line), clients.output)
  }
  for (const run of [proxy, server]) {
    run.process.kill('SIGTERM')
    assert.deepEqual(await run.exit, [0, null], run.output)
  }
  assert.deepEqual(readdirSync(directory), ['shmesh.yaml'])
})

test('one trace goes through two services and two proxies', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const example = (file: string) => join(ROOT, 'examples/two-services', file)
  const proxy = (name: string, port: string) => {
    const text = readFileSync(example(`${name}.yaml`), 'utf8')
      .replaceAll('/tmp/shmesh-example', directory)
      .replace(/127\.0\.0\.1:99\d+/, '127.0.0.1:0')
      .replace('127.0.0.1:8081', `127.0.0.1:${port}`)
    writeFileSync(join(directory, `${name}.yaml`), text)
    return new Run(t, directory, [CLI, 'proxy', '--config', join(directory, `${name}.yaml`)])
  }
  const serviceB = new Run(t, directory, [example('service-b.js')])
  await serviceB.printed('"ready"')
  const proxyB = proxy('proxy-b', '0')
  await proxyB.printed('"admin"')
  const proxyA = proxy('proxy-a', /"b-inbound","address":"[^"]*:(\d+)"/.exec(proxyB.output)![1]!)
  await proxyA.printed('"a-outbound"')
  const serviceA = new Run(t, directory, [example('service-a.js')])

  assert.deepEqual(await serviceA.exit, [0, null], serviceA.output)
  for (const run of [proxyA, proxyB, serviceB]) {
    run.process.kill('SIGTERM')
    assert.deepEqual(await run.exit, [0, null], run.output)
  }
  const line = (run: Run) => logLines(run.output).find((entry) => 'traceId' in entry)!
  const [a, b, app] = [line(proxyA), line(proxyB), line(serviceB)]
  const { traceId, status, body } = line(serviceA)
  assert.equal(status, 200)
  assert.equal(body, '{"hello":"a"}')
  assert.deepEqual([a['traceId'], b['traceId'], app['traceId']], [traceId, traceId, traceId])
  assert.equal(b['parentId'], a['spanId'])
  assert.equal(b['requestId'], a['requestId'])
  const transport = sharedMemory().addon === undefined ? 'socket' : 'shm'
  assert.deepEqual([a['transport'], b['transport']], [transport, transport])
  assert.deepEqual(readdirSync(directory).sort(), ['proxy-a.yaml', 'proxy-b.yaml'])
})

test('a message of the streams example goes and comes back', async (t) => {
  if (sharedMemory().addon === undefined) return t.skip('no shared memory here')
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const socket = { SOCKET: join(directory, 'streams.sock') }
  const server = new Run(t, directory, [join(ROOT, 'examples/streams/server.js')], socket)
  await server.printed('listening on')
  const client = new Run(t, directory, [join(ROOT, 'examples/streams/client.js')], socket)

  assert.deepEqual(await client.exit, [0, null], client.output)
  assert.match(client.output, /written, and 0 bytes of it are left here\n1048576 bytes came back; /)
  server.process.kill('SIGTERM')
  assert.deepEqual(await server.exit, [0, null], server.output)
})

test('what an encoder writes into the memory of the client arrives exact', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const server = new Run(t, directory, [join(ROOT, 'examples/encoders/server.js')])
  await server.printed('serving shm://')
  const client = new Run(t, directory, [join(ROOT, 'examples/encoders/client.js')])

  assert.deepEqual(await client.exit, [0, null], client.output)
  for (const line of [
    'roof: 10 readings in 87 bytes, last 20.009',
    'roof: 30000 readings in 240009 bytes',
    'roof: 200000 readings in 1600009 bytes, last 219.999'
  ]) {
    assert.ok(client.output.includes(line), client.output)
  }
  server.process.kill('SIGTERM')
  assert.deepEqual(await server.exit, [0, null], server.output)
  assert.deepEqual(readdirSync(directory), [])
})

test('the README shows the examples as they are', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')

  for (const path of [SERVER, CLIENT]) {
    assert.ok(readme.includes(readFileSync(path, 'utf8')), `${path} differs from README.md`)
  }
})

function logLines(output: string): Record<string, unknown>[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
