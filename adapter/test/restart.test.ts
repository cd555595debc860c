/** Apps go and come while clients keep asking: nobody must notice. */
import assert from 'node:assert/strict'
import { mkdirSync, rmdirSync, watch } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ShmHttpAgent } from '../http/index.ts'
import { listen } from '../shmipc/index.ts'
import { ShmAgent } from '../undici/index.ts'
import { type App, agentFor, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { pattern } from './support/pattern.ts'
import { type Scene, scene } from './support/scene.ts'

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

interface AnyAgent {
  /** Asks, and does not read the answer. */
  hold(): Promise<unknown>
  ask(): Promise<string>
}

function anyAgent(kind: 'ShmAgent' | 'ShmHttpAgent', s: Scene): AnyAgent {
  if (kind === 'ShmAgent') {
    const agent = new ShmAgent({ uri: s.path })
    s.defer(() => agent.destroy())
    const get = (path: string) => agent.request({ origin: 'http://a', path, method: 'GET' })
    return {
      hold: async () => (await get('/hold')).body.on('error', () => undefined),
      ask: async () => (await get('/')).body.text()
    }
  }
  const agent = new ShmHttpAgent(s.path)
  s.defer(() => agent.destroy())
  const get = (path: string) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      request({ host: 'a', path, agent }, resolve).on('error', reject).end()
    })
  return {
    hold: async () => (await get('/hold')).on('error', () => undefined),
    ask: async () => (await get('/')).setEncoding('utf8').reduce((all, text) => all + text, '')
  }
}

for (const kind of ['ShmAgent', 'ShmHttpAgent'] as const) {
  test(`an answer nobody reads is one listener through all restarts, with ${kind}`, async (t) => {
    const s = await scene(t)
    const warnings: string[] = []
    const warned = ({ name }: Error) => warnings.push(name)
    process.on('warning', warned)
    s.defer(() => process.off('warning', warned))
    const start = async (name: string) => {
      const listener = await listen({ path: s.path, takeover: true })
      listener.on('stream', (stream) => {
        stream.on('error', () => undefined)
        stream.on('data', (head: Buffer) => {
          const part = head.includes('/hold') ? '' : name
          stream.write(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${part}`)
        })
      })
      s.defer(async () => {
        await listener.close()
        for (const session of listener.sessions) session.destroy()
      })
      return listener
    }
    let server = await start('0')
    const agent = anyAgent(kind, s)
    await agent.hold()
    for (let round = 1; round <= 12; round++) {
      const old = server
      server = await start(`${round}`)
      void old.leave()
      await eventually('the new server is asked', async () => (await agent.ask()) === `${round}`)
    }

    assert.deepEqual(warnings, [])
  })
}
