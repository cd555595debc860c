/** A server among clients that do anything a process can do to it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startChild } from '../../test/support/child.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import { connect, type ShmSession } from '../index.ts'
import type { EchoMethods } from './fixtures/echo.ts'
import { readAll } from './peer.ts'

/** Plays the clients: they need descriptors and memory as no JavaScript has them. */
const CLIENTS = fileURLToPath(new URL('../../../../native/build/Release/shm_test', import.meta.url))
const RUNS = 800

/** How what a server says about a client begins. */
const REASONS = [
  'the peer corrupted the session: ',
  'the peer of the session on ',
  'the peer closed the socket in the handshake',
  'the socket failed in the handshake',
  "the peer's memory ",
  "the peer's descriptor ",
  'control message ',
  'FallbackData of ',
  'message type ',
  'message of ',
  'bad magic ',
  'protocol version ',
  'list ',
  'buffer region ',
  'the queue region ',
  "the buffer region's trailer ",
  'the lengths of the region names ',
  'more than '
]
const isReason = (error: string) =>
  /^\d+ descriptors /.test(error) || REASONS.some((reason) => error.startsWith(reason))

/** Some of the clients do this: they were not all refused for something simpler. */
const MET = [
  'truncated its memory',
  'slice chain',
  'counter of the ring',
  'unknown status',
  'filled the counter'
]

async function echo(session: ShmSession, bytes: number): Promise<void> {
  const body = pattern(bytes)
  const stream = session.openStream()
  const answer = readAll(stream)
  stream.end(body)
  assert.equal(sha256(await answer), sha256(body))
}

test(`${RUNS} hostile clients: each loses its session, and nobody else notices`, async (t) => {
  const stage = await scene(t)
  const server = await startChild<EchoMethods>(
    stage,
    new URL('./fixtures/echo.js', import.meta.url)
  )
  await server.call('listen', stage.path)
  const session = await connect(stage.path)
  stage.defer(() => session.destroy())

  const args = ['--hostile-clients', stage.path, '0', `${RUNS}`]
  const clients = spawn(CLIENTS, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  stage.defer(() => clients.kill())
  const complaints = text(clients.stderr)
  const ended = once(clients, 'close')
  let rounds = 0
  while (clients.exitCode === null && clients.signalCode === null) {
    rounds++
    await echo(session, rounds * 997)
  }
  assert.equal((await ended)[0], 0, await complaints)
  assert.ok(rounds > 1)

  session.destroy()
  await server.call('clean')
  const { errors } = await server.call('endings')
  assert.deepEqual(
    errors.filter((error) => !isReason(error)),
    []
  )
  assert.deepEqual(
    MET.filter((reason) => !errors.some((error) => error.includes(reason))),
    []
  )
  await server.call('close')
})
