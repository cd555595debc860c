/** `shm:///DIRECTORY/`: every app that binds a socket there is an endpoint, for as long as it does. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Bytes } from './bytes.ts'
import { dial, quiet, startSimpleProxy, temporaryDirectory } from './harness.ts'
import { startApp } from './processes.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** The status and the body: the process id of the app that answered. */
async function ask(client: Bytes): Promise<[status: string, body: string]> {
  client.write(GET)
  const head = await client.head()
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return [head.slice(9, 12), await client.take(length)]
}

test('workers that come are asked, those that go are not, and no request is lost', async (t) => {
  const directory = temporaryDirectory(t)
  const { port, proxy } = await startSimpleProxy(t, [`shm://${directory}/`])
  const endpoints = () => proxy.statistics().clusters[0]?.endpoints ?? []
  const seen = async (count: number) => {
    await quiet(() => endpoints().length === count)
    assert.equal(endpoints().length, count)
  }
  const client = await dial(t, port)
  const [status, message] = await ask(client)
  assert.equal(status, '503')
  assert.match(message, /there is no socket in/)

  const first = await startApp(t, `shm://${join(directory, 'a')}`)
  await seen(1)
  assert.deepEqual(await ask(client), ['200', String(first.process.pid)])
  const second = await startApp(t, `shm://${join(directory, 'b')}`)
  await seen(2)
  const answers = new Set<string>()
  for (let i = 0; i < 8; i++) answers.add((await ask(client))[1])
  assert.deepEqual(answers, new Set([String(first.process.pid), String(second.process.pid)]))

  // Killed, it leaves its socket behind: requests go to the other all the same.
  await first.kill()
  for (let i = 0; i < 8; i++) {
    assert.deepEqual(await ask(client), ['200', String(second.process.pid)])
  }
  rmSync(join(directory, 'a'), { force: true })
  await seen(1)
  assert.deepEqual(await ask(client), ['200', String(second.process.pid)])
})
