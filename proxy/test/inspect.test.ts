import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect, type Inspection } from '../../adapter/shmipc/index.ts'
import type { WorkersMethods } from '../../adapter/shmipc/test/fixtures/workers.ts'
import { command, openSession, startPeer } from '../../adapter/shmipc/test/peer.ts'
import { startChild } from '../../adapter/test/support/child.ts'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { type Scene, scene } from '../../adapter/test/support/scene.ts'
import { Child, startCli } from './processes.ts'

const AS_USER = fileURLToPath(new URL('./cli-as-user.js', import.meta.url))

/** In no other process, and not in what zeros or headers could be. */
const SECRET = 'xyzzy-payload-of-a-user'

interface Said {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

async function inspect(t: TestContext, ...args: string[]): Promise<Said> {
  const cli = startCli(t, ['inspect', ...args])
  const code = await cli.exit()
  return { code, stdout: cli.stdout, stderr: cli.stderr }
}

async function inspectJson(t: TestContext, ...args: string[]): Promise<Inspection> {
  const { code, stdout, stderr } = await inspect(t, '--json', ...args)
  assert.equal(stderr, '')
  assert.equal(code, 0)
  return JSON.parse(stdout) as Inspection
}

/** A server that is stopped, with a message it has not read from a client that is killed. */
async function bereaved(s: Scene): Promise<{ pid: number }> {
  const server = await startPeer(s)
  await server.call('listen', { path: s.path })
  s.defer(() => rmSync(s.path, { force: true }))
  const client = await startPeer(s)
  await client.call('connect', s.path, { memory: '4MiB' })
  await eventually('the session is up', async () => (await server.call('seen')).sessions === 1)
  server.signal('SIGSTOP')
  await client.call('say', SECRET.repeat(1000))
  await client.kill()
  return { pid: server.pid }
}

test('a living process is asked, by path and by pid', async (t) => {
  const s = await scene(t)
  const { peer, session } = await openSession(s)
  const stream = command(session, 'ignore')
  const byPath = await inspectJson(t, s.path)
  const byUrl = await inspectJson(t, `shm://${s.path}`)
  const byPid = await inspectJson(t, String(peer.pid))
  for (const { pid, uid, unanswered, memory, threads } of [byPath, byUrl, byPid]) {
    assert.equal(pid, peer.pid)
    assert.equal(uid, process.getuid!())
    assert.equal(unanswered, null)
    assert.deepEqual(memory, [])
    assert.equal(threads.length, 1)
    assert.equal(threads[0]!.sessions[0]!.path, s.path)
    assert.equal(threads[0]!.sessions[0]!.peerPid, process.pid)
  }
  const { code, stdout } = await inspect(t, s.path)
  assert.equal(code, 0)
  assert.match(stdout, new RegExp(`^process ${peer.pid} \\(`))
  assert.match(stdout, /session 1 {2}server of .* with shmesh, process \d+ {2}for/)
  assert.match(stdout, new RegExp(`^  ${stream.id} +open +shm`, 'm'))
  stream.destroy()
})

test('by pid each thread that listens is asked, by path only its own', async (t) => {
  const s = await scene(t)
  const workers = await startChild<WorkersMethods>(
    s,
    new URL('../../adapter/shmipc/test/fixtures/workers.js', import.meta.url)
  )
  const paths = [s.path, `${s.path}.other`]
  for (const path of paths) {
    const id = await workers.call('start', 'serve', path)
    s.defer(() => workers.call('close', id))
    const session = await connect(path)
    s.defer(() => session.destroy())
  }
  const byPid = await inspectJson(t, String(workers.pid))
  assert.deepEqual(
    byPid.threads.map(({ sessions }) => sessions.map(({ path }) => path)),
    paths.map((path) => [path])
  )
  assert.equal(new Set(byPid.threads.map(({ thread }) => thread)).size, 2)
  const byPath = await inspectJson(t, paths[1]!)
  assert.deepEqual(byPath.threads[0]!.thread, byPid.threads[1]!.thread)
  assert.equal(byPath.threads.length, 1)
  assert.match((await inspect(t, String(workers.pid))).stdout, /^worker thread \d+: v/m)
})

test('--memory shows the same session from outside', async (t) => {
  const s = await scene(t)
  const { session } = await openSession(s)
  const stream = command(session, 'ignore')
  // The stream itself buffers the first messages, and what is more stays in shared memory.
  for (let message = 0; message < 4; message++) {
    stream.write(Buffer.alloc(200_000))
    await eventually('all has come', () => session.report().perStream[0]!.waitingToWrite === 0)
  }
  const { threads, memory } = await inspectJson(t, s.path, '--memory')
  assert.equal(memory.length, 1)
  const lists = threads[0]!.sessions[0]!.lists!
  assert.deepEqual(
    memory[0]!.lists.map(({ payload, capacity }) => ({ payload, capacity })),
    lists.map(({ payload, capacity }) => ({ payload, capacity }))
  )
  assert.deepEqual(memory[0]!.problems, [])
  const borrowed = lists.reduce((sum, list) => sum + list.borrowed, 0)
  assert.ok(borrowed > 0)
  assert.equal(
    memory[0]!.lists.reduce((sum, list) => sum + list.sent, 0),
    borrowed
  )
  stream.destroy()
})

test('what is held for too long is pointed at, with its stream and age', async (t) => {
  const s = await scene(t)
  const { peer, session } = await openSession(s, undefined, { leakWarning: '5ms' })
  const stream = command(session, 'keep').on('error', () => undefined)
  await once(stream, 'data')
  stream.write(Buffer.alloc(100_000))
  await eventually('it is reported', async () => (await peer.call('leaks')).length > 0)
  const { stdout } = await inspect(t, s.path)
  const leak = new RegExp(`^  LEAK\\? +97\\.7 KiB for .*, stream ${stream.id}: a consumer`, 'm')
  assert.match(stdout, leak)
  assert.match(stdout, new RegExp(`borrowed for .* by stream ${stream.id}$`, 'm'))
  session.destroy()
})

test('a process that listens nowhere is looked at from outside', async (t) => {
  const s = await scene(t)
  const { session } = await openSession(s)
  const { unanswered, memory } = await inspectJson(t, String(process.pid))
  assert.match(unanswered!, /listens on no shmesh socket/)
  assert.equal(memory.length, 1)
  assert.equal(memory[0]!.client, 'shmesh')
  assert.equal(session.closed, false)
})

test('a stopped process is looked at from outside, and so is what its dead peer had sent', async (t) => {
  const s = await scene(t)
  const { pid } = await bereaved(s)
  for (const target of [s.path, String(pid)]) {
    const inspection = await inspectJson(t, target)
    assert.equal(inspection.pid, pid)
    assert.match(inspection.unanswered!, /did not answer within 1 s/)
    const [view] = inspection.memory
    assert.equal(view!.rings[0]!.backlog, 1)
    assert.deepEqual(view!.rings[0]!.events, { data: 1 })
    assert.equal(view!.holders.length, 1)
    assert.equal(view!.holders[0]!.state, 'queued')
    assert.equal(view!.holders[0]!.stream, 2)
    assert.equal(view!.holders[0]!.bytes, SECRET.length * 1000)
  }
  const { stdout } = await inspect(t, s.path)
  assert.match(stdout, /client to server: 1 of 8192 wait \(data 1\)/)
})

test('a dump shows the same later, without payloads unless they are asked for', async (t) => {
  const s = await scene(t)
  const { pid } = await bereaved(s)
  const [headers, all] = [join(s.directory, 'headers'), join(s.directory, 'all')]
  for (const file of [headers, all]) s.defer(() => rmSync(file, { force: true }))
  const before = await inspectJson(t, String(pid))
  const made = await inspect(t, String(pid), '--dump', headers)
  assert.equal(made.code, 0)
  assert.match(made.stderr, /^wrote .*headers, with the memory of 1 session$/m)
  assert.equal((await inspect(t, '--dump', all, '--payload', s.path)).code, 0)
  for (const file of [headers, all]) {
    const { mode, size, blocks } = statSync(file)
    assert.equal(mode & 0o777, 0o600)
    assert.ok(blocks * 512 < size / 4, `${file} is sparse`)
    assert.equal(readFileSync(file).includes(SECRET), file === all)
    const after = await inspectJson(t, file)
    assert.deepEqual({ ...after, takenAt: '' }, { ...before, takenAt: '' })
  }
  // The tables, too: written when it was made, and read from the file.
  assert.equal((await inspect(t, headers)).stdout, made.stdout)
})

test('a dump of a process that answers holds its answer', async (t) => {
  const s = await scene(t)
  const { peer } = await openSession(s)
  const file = join(s.directory, 'dump')
  s.defer(() => rmSync(file, { force: true }))
  const made = await inspect(t, s.path, '--dump', file)
  await peer.kill()
  rmSync(s.path)
  assert.equal((await inspect(t, file)).stdout, made.stdout)
  assert.equal((await inspectJson(t, file)).memory.length, 0)
  assert.equal((await inspectJson(t, file, '--memory')).memory.length, 1)
})

test('what cannot be inspected is said, with what to do', async (t) => {
  const s = await scene(t)
  const { peer } = await openSession(s)
  const file = join(s.directory, 'file')
  s.defer(() => rmSync(file, { force: true }))
  writeFileSync(file, 'not a dump')
  const cases: (readonly [args: string[], message: RegExp])[] = [
    [[], /give a socket path, a pid or a dump/],
    [['999999999'], /there is no process 999999999/],
    [['1', '--payload'], /--payload goes with --dump FILE/],
    [[join(s.directory, 'none')], /none does not exist: start the server, or give its pid/],
    [[s.directory], /neither a socket nor a dump/],
    [[file], /file, byte 0: this is not a dump/],
    [[String(peer.pid), '--dump', file], /file exists; a dump never replaces a file/],
    [['shm:relative'], /shm:/]
  ]
  const said = await Promise.all(cases.map(([args]) => inspect(t, ...args)))
  for (const [i, [args, message]] of cases.entries()) {
    assert.equal(said[i]!.code, 2, `${args}: ${said[i]!.stdout}`)
    assert.match(said[i]!.stderr, message)
    assert.equal(said[i]!.stdout, '')
  }
  assert.equal(readFileSync(file, 'utf8'), 'not a dump')
})

test('another user is told whose process it is', { skip: process.getuid?.() !== 0 }, async (t) => {
  const s = await scene(t)
  const { peer } = await openSession(s, undefined, { mode: 0o666 })
  chmodSync(s.directory, 0o755)
  for (const target of [s.path, String(peer.pid)]) {
    const cli = new Child(t, process.execPath, [AS_USER, '65534', 'inspect', target])
    assert.equal(await cli.exit(), 2, cli.stdout)
    assert.match(cli.stderr, /which is uid 0's: become that user, or root \(you are uid 65534\)/)
    assert.doesNotMatch(cli.stdout, /session/)
  }
  chmodSync(s.directory, 0o700)
  const cli = new Child(t, process.execPath, [AS_USER, '65534', 'inspect', s.path])
  assert.equal(await cli.exit(), 2, cli.stdout)
  assert.match(cli.stderr, /^shmesh: may not look at \S+ \(EACCES\): become .*, or root\n$/)
})
