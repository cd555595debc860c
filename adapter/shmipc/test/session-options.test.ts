import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism, constants, cpus } from 'node:os'
import { test } from 'node:test'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import { sharedMemory } from '../availability.ts'
import { theDoorman } from '../doorman.ts'
import { connect, listen } from '../index.ts'
import { QUEUE_CAPACITY } from '../limits.ts'
import { ShmSession } from '../session.ts'
import { resolveSessionOptions } from '../session-options.ts'
import { command, openSession, quiet, readAll, startPeer } from './peer.ts'

async function exchange(session: ShmSession, bytes: number): Promise<void> {
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  const body = pattern(bytes)
  stream.end(body)
  assert.equal(sha256(await answer), sha256(body))
}

const modes = [{ wakeUp: 'poll', pollAnyway: true }, { wakeUp: '5ms' }] as const

for (const options of modes) {
  test(`a session works with ${JSON.stringify(options)} on both ends`, async (t) => {
    const stage = await scene(t)
    const peer = await startPeer(stage)
    await peer.call('listen', { path: stage.path, ...options })
    stage.defer(() => peer.call('closeListeners'))
    const session = await connect(stage.path, options)
    stage.defer(async () => {
      await quiet(session)
      session.destroy()
    })
    for (const bytes of [1, 70_000, 3_000_000]) await exchange(session, bytes)
    const { spinHits = 0, spinMisses = 0, wakesSent = 0 } = session.statistics()
    if (options.wakeUp === 'poll') assert.ok(spinHits + spinMisses > 0)
    // Who looks by itself is not woken, once it has begun to.
    else assert.ok(wakesSent <= 1, `woken ${wakesSent} times`)
  })
}

test('answers that come at once are waited for without sleeping', async (t) => {
  if (cpus().length < 2) return t.skip('needs two processors')
  const { session } = await openSession(await scene(t), undefined)
  const stream = command(session, 'echo')
  // Trials come after short sleeps: of many exchanges some are short on the busiest machine.
  let waits = 0
  for (let i = 0; i < 20_000 && waits === 0; i++) {
    stream.write('x')
    await once(stream, 'data')
    const { spinHits = 0, spinMisses = 0 } = session.statistics()
    waits = spinHits + spinMisses
  }
  stream.end()
  await once(stream, 'close')
  assert.ok(waits > 0, 'it slept each time')
})

test('a session that cannot be woken is none', async (t) => {
  const stage = await scene(t)
  const peer = await startPeer(stage)
  await peer.call('listen', { path: stage.path })
  stage.defer(() => peer.call('closeListeners'))
  const { addon } = sharedMemory()
  const native = await theDoorman(addon!).connect(stage.path, 64 << 20, QUEUE_CAPACITY, 1 << 20, 0)
  assert.ok('start' in native)
  const start = native.start.bind(native)
  Object.defineProperty(native, 'start', {
    value: (...given: Parameters<typeof start>) => {
      start(...given)
      return -constants.errno.ENOSPC
    }
  })
  const session = new ShmSession(stage.path, native, resolveSessionOptions({}))
  assert.equal(session.closed, true)
  assert.equal(session.failure?.code, 'SHM_ERR_UNAVAILABLE')
  assert.match(session.failure?.message ?? '', /^cannot wait for the peer on .*: ENOSPC$/)
  assert.throws(() => session.openStream(), { code: 'SHM_ERR_SESSION_CLOSED' })
})

test('interval works with plain shmipc rules', async (t) => {
  const stage = await scene(t)
  const peer = await startPeer(stage)
  await peer.call('listen', { path: stage.path, wakeUp: '1ms' })
  stage.defer(() => peer.call('closeListeners'))
  const session = await connect(stage.path, { wakeUp: '1ms', plain: true })
  stage.defer(async () => {
    await quiet(session)
    session.destroy()
  })
  assert.equal(session.peer, 'shmipc')
  for (const bytes of [1, 70_000, 3_000_000]) {
    const stream = command(session, `source ${bytes}`)
    const chunks: Buffer[] = []
    let left = bytes
    for await (const chunk of stream) {
      chunks.push(chunk)
      left -= chunk.length
      // Nobody can say that it was all: plain shmipc has no half-close.
      if (left === 0) break
    }
    assert.equal(sha256(Buffer.concat(chunks)), sha256(pattern(bytes)))
  }
})

test('a process may be pinned to a processor', async (t) => {
  const stage = await scene(t)
  const peer = await startPeer(stage)
  await peer.call('listen', { path: stage.path, cpus: [0] })
  stage.defer(() => peer.call('closeListeners'))
  const status = readFileSync(`/proc/${peer.pid}/status`, 'utf8')

  assert.match(status, /^Cpus_allowed_list:\t0$/m)
  await assert.rejects(peer.call('connect', stage.path, { cpus: [1023] }), {
    code: 'SHM_ERR_UNAVAILABLE',
    message: /cannot run on processors 1023/
  })
})

test('options that cannot be meant are refused by name', async (t) => {
  const { path } = await scene(t)
  const wrong: [options: object, message: RegExp][] = [
    [{ wakeUp: 'fast' }, /^wakeUp must be/],
    [{ wakeUp: '0ms' }, /^wakeUp must be at least '1ms'/],
    [{ pollAnyway: 1 }, /^pollAnyway must be/],
    [{ cpus: [] }, /^cpus must be/],
    [{ cpus: [-1] }, /^cpus must be/],
    [{ cpus: 0 }, /^cpus must be/]
  ]
  if (availableParallelism() < 3) wrong.push([{ wakeUp: 'poll' }, /'poll' only with 3 processors/])
  for (const [options, message] of wrong) {
    const error = { code: 'SHM_ERR_INVALID_ARG', message }
    await assert.rejects(listen({ path, ...options }), error)
    await assert.rejects(connect(path, options), error)
  }
  const code = 'SHM_ERR_INVALID_ARG'
  const listening: [options: object | null, message: RegExp][] = [
    [{ path, memroy: '8MiB' }, /^listen must be given path, .*, got "memroy"/],
    [{ path, takeover: 'false' }, /^takeover must be true or false/],
    [null, /^listen must be given an options object/]
  ]
  for (const [options, message] of listening) {
    await assert.rejects(listen(options as never), { code, message })
  }
  const connecting: [options: object | null, message: RegExp][] = [
    [{ memroy: '8MiB' }, /^connect must be given memory, .*, got "memroy"/],
    [null, /^connect must be given an options object/]
  ]
  for (const [options, message] of connecting) {
    await assert.rejects(connect(path, options as never), { code, message })
  }
})

test('interval on one end only: the other is woken as ever', async (t) => {
  const { session } = await openSession(await scene(t), undefined, { wakeUp: '2ms' })
  for (const bytes of [1, 200_000]) await exchange(session, bytes)
  const { wakesSent = 0, wakesReceived = 0 } = session.statistics()
  assert.ok(wakesSent <= 1, `woken ${wakesSent} times`)
  assert.ok(wakesReceived > 0)
})
