/** An agent whose address is a directory: several servers that come, go and die. */
import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { mkdirSync, readdirSync, rmdirSync, unlinkSync, watch } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { ShmHttpAgent } from '../http/index.ts'
import { ShmAgent, type ShmAgentOptions } from '../undici/index.ts'
import { type App, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { type Scene, scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'

// A process has one descriptor for all its watches, from the first of them on.
watch(tmpdir()).close()

async function setUp(t: TestContext, options: ShmAgentOptions = {}) {
  const s = await scene(t)
  const directory = join(s.directory, 'apps')
  mkdirSync(directory, { mode: 0o700 })
  s.defer(() => rmdirSync(directory))
  const start = async () => (await startApp(s, { plugin: { path: `${directory}/` } })).app
  const agent = new ShmAgent({ uri: `shm://${directory}/`, memory: '8MiB', ...options })
  return { s, agent, directory, start }
}

/** Before the servers are closed: they wait for their sessions. */
function endFirst(s: Scene, agent: ShmAgent): void {
  s.defer(() => agent.destroy())
}

async function pidOf(agent: ShmAgent, options: object = {}): Promise<number> {
  const { body } = await agent.request({ origin: ORIGIN, path: '/pid', method: 'GET', ...options })
  return Number(await body.text())
}

/** How many of so many requests each server answered, sorted. */
async function spread(agent: ShmAgent, count: number, together: boolean): Promise<number[]> {
  const pids: number[] = []
  if (together) pids.push(...(await Promise.all(Array.from({ length: count }, () => pidOf(agent)))))
  else for (let i = 0; i < count; i++) pids.push(await pidOf(agent))
  const counts = new Map<number, number>()
  for (const pid of pids) counts.set(pid, (counts.get(pid) ?? 0) + 1)
  return [...counts.values()].sort()
}

/** Until `app` is asked, or not asked any more. */
function eventuallyAsked(agent: ShmAgent, app: App, asked: boolean): Promise<void> {
  return eventually(`${app.pid} is ${asked ? '' : 'not '}asked`, async () => {
    const pids = [await pidOf(agent), await pidOf(agent), await pidOf(agent)]
    return pids.includes(app.pid) === asked
  })
}

test('requests are spread evenly, one after the other and together', async (t) => {
  const { s, agent, start } = await setUp(t)
  await start()
  await start()
  endFirst(s, agent)
  assert.deepEqual(await spread(agent, 8, false), [4, 4])
  assert.deepEqual(await spread(agent, 16, true), [8, 8])
  const { links, origins } = agent.statistics()
  assert.deepEqual(links.map(({ transport }) => transport).sort(), ['shm', 'shm'])
  assert.deepEqual(
    origins.map(({ origin, path }) => ({ origin, path })),
    links.map(({ path }) => ({ origin: ORIGIN, path }))
  )
})

test('a busy server is given less', async (t) => {
  const { s, agent, start } = await setUp(t)
  const [first, second] = [await start(), await start()]
  endFirst(s, agent)
  const held = agent.request({ origin: ORIGIN, path: '/wait', method: 'GET' })
  const busy = await Promise.race([
    first.call('waiting').then(() => first),
    second.call('waiting').then(() => second)
  ])
  const pids = [await pidOf(agent), await pidOf(agent), await pidOf(agent)]
  assert.ok(!pids.includes(busy.pid))
  await busy.call('release')
  await (await held).body.dump()
  // The one that never waited still owes its answer to the call.
  const idle = busy === first ? second : first
  const owed = agent.request({ origin: ORIGIN, path: '/wait', method: 'GET' })
  const other = agent.request({ origin: ORIGIN, path: '/wait', method: 'GET' })
  await idle.call('waiting')
  await busy.call('waiting')
  await Promise.all([idle.call('release'), busy.call('release')])
  for (const { body } of await Promise.all([owed, other])) await body.dump()
})

test('a server that comes is used, one that closes loses nothing', async (t) => {
  const { s, agent, start, directory } = await setUp(t)
  const first = await start()
  endFirst(s, agent)
  assert.equal(await pidOf(agent), first.pid)
  const second = await start()
  await eventuallyAsked(agent, second, true)
  let closed = false
  const closing = first.call('close').then(() => {
    closed = true
  })
  let requests = 0
  while (!closed || requests < 20) {
    await pidOf(agent, { reset: requests++ % 3 === 0 })
  }
  await closing
  await first.call('clean')
  await first.kill()
  assert.deepEqual(await spread(agent, 4, true), [4])
  await eventually('the link that was left is closed', () => agent.statistics().links.length === 1)
  assert.equal(readdirSync(directory).length, 1)
})

test('a server that is killed is passed over, and its successor is found', async (t) => {
  const { s, agent, start, directory } = await setUp(t)
  const [first, second] = [await start(), await start()]
  endFirst(s, agent)
  await spread(agent, 4, true)
  const failures: unknown[] = []
  ;(agent as EventEmitter).on('connectionError', (_origin, _targets, error) => failures.push(error))
  await first.kill()
  // The socket is still there; what is sent again, or was never sent, goes to the other.
  assert.deepEqual(await spread(agent, 30, true), [30])
  assert.ok(failures.length > 0)
  for (let i = 0; i < 10; i++) {
    const options = { origin: ORIGIN, path: '/echo', method: 'POST', body: 'x' } as const
    const headers = { 'content-type': 'application/octet-stream' }
    const { body } = await agent.request({ ...options, headers })
    assert.equal(await body.text(), 'x')
  }
  assert.equal(await pidOf(agent), second.pid)
  const third = await start()
  // It removed what the first had left.
  assert.equal(readdirSync(directory).length, 2)
  await eventuallyAsked(agent, third, true)
})

test('without a server the error says so, and failOpen goes past all of them', async (t) => {
  const { s, agent, directory, start } = await setUp(t)
  endFirst(s, agent)
  const what = `there is no socket in ${directory}`
  const message = `cannot reach the proxy: ${what}; is it running, and is this its path?`
  for (let i = 0; i < 2; i++) {
    await assert.rejects(pidOf(agent), { code: 'UND_ERR_SOCKET', message })
  }
  const server = createServer((_request, response) => response.end('1'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  s.defer(() => new Promise((resolve) => server.close(resolve)))
  const { port } = server.address() as { port: number }
  const open = new ShmAgent({ uri: `${directory}/`, failOpen: true })
  endFirst(s, open)
  const origin = `http://127.0.0.1:${port}`
  assert.equal(await pidOf(open, { origin, reset: true }), 1)
  assert.equal(open.statistics().failedOpen, 1)
  const app = await start()
  endFirst(s, agent)
  endFirst(s, open)
  await eventually('it is found', async () => {
    return (await pidOf(agent).catch(() => 0)) === app.pid
  })
  await eventually('it is found instead', async () => {
    return (await pidOf(open, { origin, reset: true })) === app.pid
  })
  assert.equal(open.statistics().links.at(-1)?.transport, 'shm')
  // A second that is dead changes nothing: the first serves.
  const dead = await start()
  await dead.kill()
  const counted = open.statistics().failedOpen
  for (let i = 0; i < 4; i++) {
    assert.equal(await pidOf(open, { origin, reset: true }), app.pid)
  }
  assert.equal(open.statistics().failedOpen, counted)
  for (const name of readdirSync(directory)) {
    if (name.startsWith(`${dead.pid}-`)) unlinkSync(join(directory, name))
  }
})

test('connect and disconnect are told once for all of them', async (t) => {
  const { s, agent, start } = await setUp(t)
  await start()
  await start()
  endFirst(s, agent)
  const told: string[] = []
  for (const event of ['connect', 'disconnect', 'drain']) {
    ;(agent as EventEmitter).on(event, () => told.push(event))
  }
  await spread(agent, 4, true)
  await agent.close()
  assert.deepEqual(told, ['connect', 'disconnect'])
})

test('ShmHttpAgent spreads its connections likewise, and passes over the dead', async (t) => {
  const { s, directory, start } = await setUp(t)
  const [first, second] = [await start(), await start()]
  const agent = new ShmHttpAgent({ uri: `${directory}/`, keepAlive: false })
  s.defer(() => agent.destroy())
  const pid = async () => {
    const [response] = await once(
      request({ agent, host: 'app.test', path: '/pid' }).end(),
      'response'
    )
    return Number(await text(response))
  }
  assert.deepEqual([await pid(), await pid()].sort(), [first.pid, second.pid].sort())
  await first.kill()
  for (let i = 0; i < 4; i++) assert.equal(await pid(), second.pid)
  for (const name of readdirSync(directory)) {
    if (name.startsWith(`${first.pid}-`)) unlinkSync(join(directory, name))
  }
  await eventually('the link of the dead is gone', () => agent.statistics().links.length === 1)
})
