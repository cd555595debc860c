/** Apps go and come while clients keep asking: nobody must notice. */
import assert from 'node:assert/strict'
import { mkdirSync, rmdirSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ShmAgent } from '../undici/index.ts'
import { type App, agentFor, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { pattern } from './support/pattern.ts'
import { scene } from './support/scene.ts'

// A process has one descriptor for all its watches, from the first of them on.
watch(tmpdir()).close()

/** Asks without pause, in so many lanes, until told to stop, or answered badly. */
class Traffic {
  /** One of each kind. */
  readonly failures = new Set<string>()
  answered = 0
  #stopped = false
  readonly #lanes: Promise<void>[]

  constructor(lanes: number, ask: () => Promise<void>) {
    this.#lanes = Array.from({ length: lanes }, async () => {
      while (!this.#stopped) {
        try {
          await ask()
          this.answered++
        } catch (error) {
          this.failures.add(String(error))
          return
        }
      }
    })
  }

  async more(requests: number): Promise<void> {
    const until = this.answered + requests
    await eventually(
      () => `${requests} more requests are answered; failures: ${[...this.failures]}`,
      () => this.answered >= until || this.failures.size > 0
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#lanes)
  }
}

function poster(agent: ShmAgent): () => Promise<void> {
  const body = pattern(30_000)
  return async () => {
    // Not idempotent: nothing retries it.
    const response = await agent.request({
      origin: 'http://a',
      path: '/echo',
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body
    })
    const answer = Buffer.from(await response.body.arrayBuffer())
    assert.equal(response.statusCode, 200, answer.toString())
    assert.ok(answer.equals(body))
  }
}

test('POSTs over shared memory do not notice that the app is replaced', async (t) => {
  const s = await scene(t)
  let { app }: { app: App } = await startApp(s)
  const agent = agentFor(s)
  const traffic = new Traffic(8, poster(agent))
  s.defer(() => traffic.stop())
  await traffic.more(200)
  for (let round = 0; round < 2; round++) {
    const next = await startApp(s, { plugin: { path: s.path, takeover: true } })
    await app.call('close')
    app = next.app
    await traffic.more(200)
  }
  await traffic.stop()

  assert.deepEqual([...traffic.failures], [])
  assert.equal(agent.statistics().links[0]?.connections.socket, 0)
})

test('POSTs to a directory do not notice that the apps in it are replaced', async (t) => {
  const s = await scene(t)
  const directory = join(s.directory, 'apps')
  mkdirSync(directory, { mode: 0o700 })
  s.defer(() => rmdirSync(directory))
  const start = async () => (await startApp(s, { plugin: { path: `${directory}/` } })).app
  let app = await start()
  const agent = new ShmAgent({ uri: `shm://${directory}/` })
  s.defer(() => agent.destroy())
  const traffic = new Traffic(8, poster(agent))
  s.defer(() => traffic.stop())
  await traffic.more(200)
  for (let round = 0; round < 2; round++) {
    const next = await start()
    await app.call('close')
    app = next
    await traffic.more(200)
  }
  await traffic.stop()

  assert.deepEqual([...traffic.failures], [])
  assert.deepEqual(
    agent.statistics().links.map(({ connections }) => connections.socket),
    [0]
  )
})

test('a pool that had to use sockets returns to shared memory while it is busy', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const link = () => agent.statistics().links[0]
  // A stopped server takes no handshake, but its kernel takes connections.
  await app.stop()
  const traffic = new Traffic(4, poster(agent))
  s.defer(() => traffic.stop())
  await eventually('sockets are used', () => (link()?.connections.socket ?? 0) > 0)
  assert.equal(link()?.transport, 'socket')
  app.signal('SIGCONT')
  await traffic.more(1)
  // All of it on connections that are never idle for long.
  await eventually('shared memory is used again', () => link()?.transport === 'shm')
  const made = link()?.connections.socket
  await traffic.more(100)
  await traffic.stop()

  assert.deepEqual([...traffic.failures], [])
  assert.equal(link()?.connections.socket, made)
})
