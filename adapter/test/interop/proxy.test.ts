/** The proxy with Go on either side of it, and the programs of examples/go-service. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pattern } from '../support/pattern.ts'
import { scene } from '../support/scene.ts'
import { app } from './ends.ts'
import { type Answered, program, startForeign } from './peer.ts'
import { run } from './run.ts'

const CLI = fileURLToPath(new URL('../../../proxy/cli.cjs', import.meta.url))

test('a Go client, the proxy, a Go service: shared memory all the way', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  const service = program(t, 'go-service')
  if (peer === undefined || service === undefined) return
  await run(here, [service, '-path', here.path], /listening on shm:/)
  const listen = `${here.directory}/in.sock`
  const proxy = ['proxy', '--listen', `shm://${listen}`, '--upstream', `shm://${here.path}`]
  await run(here, [process.execPath, CLI, ...proxy], /listening|"admin"|ready/i)
  for (const wrapped of [false, true]) {
    const answered: Answered = await peer.call('request', {
      address: listen,
      url: 'http://app/echo',
      method: 'POST',
      wrapped,
      sizes: [1, 4096, 8173, 131_053, 1 << 20],
      rounds: 2,
      concurrent: 16
    })
    assert.equal(answered.answered, 5 * 2 * 16)
  }
})

test('a Go proxy in front of a Fastify app', async (t) => {
  const here = await scene(t)
  const path = program(t, 'go-proxy')
  if (path === undefined) return
  await app(here)
  const args = ['-listen', '127.0.0.1:0', '-upstream', here.path]
  const line = await run(here, [path, ...args], /listening on http/)
  const origin = /http:\/\/\S+/.exec(line)![0]
  assert.equal(await (await fetch(`${origin}/hello`)).text(), 'hello from Fastify')
  for (const size of [1, 8173, 1 << 20]) {
    const body = pattern(size)
    const answer = await fetch(`${origin}/echo`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/octet-stream', connection: 'close' }
    })
    assert.ok(body.equals(Buffer.from(await answer.arrayBuffer())), `${size} bytes`)
  }
})
