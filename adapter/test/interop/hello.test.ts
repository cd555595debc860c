/** examples/hello-world with one end in Go. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { scene } from '../support/scene.ts'
import { program } from './peer.ts'
import { run } from './run.ts'

const HELLO = fileURLToPath(new URL('../../../../examples/hello-world/', import.meta.url))
const GREETINGS = 'hello, memory\nhello, world\n'

const start = promisify(execFile)

for (const server of ['server.js', 'async-server.js']) {
  test(`a Go client of hello-world/${server}`, async (t) => {
    const here = await scene(t)
    const client = program(t, 'go-hello-client')
    if (client === undefined) return
    const env = { ...process.env, SOCKET: here.path }
    await run(here, [process.execPath, HELLO + server], /listening on/, env)
    const { stdout } = await start(client, ['-path', here.path])
    assert.equal(stdout, GREETINGS)
  })
}

test('hello-world/client.js of a Go server', async (t) => {
  const here = await scene(t)
  const server = program(t, 'go-hello-server')
  if (server === undefined) return
  await run(here, [server, '-path', here.path], /listening on/)
  const env = { ...process.env, SOCKET: here.path }
  const { stdout } = await start(process.execPath, [`${HELLO}client.js`], { env })
  assert.equal(stdout, GREETINGS)
})
