/** Sessions between a test and a process of its own. */
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { type Child, type ChildOptions, startChild } from '../../test/support/child.ts'
import { eventually } from '../../test/support/eventually.ts'
import type { Scene } from '../../test/support/scene.ts'
import {
  type ConnectOptions,
  connect,
  type ListenOptions,
  type ShmSession,
  type ShmStream
} from '../index.ts'
import type { PeerMethods } from './fixtures/peer.ts'

export type Peer = Child<PeerMethods>

export function startPeer(scene: Scene, options?: ChildOptions): Promise<Peer> {
  return startChild<PeerMethods>(scene, new URL('./fixtures/peer.js', import.meta.url), options)
}

export interface Pair {
  readonly peer: Peer
  readonly session: ShmSession
}

/**
 * A peer that serves `scene.path`, and a session with it. At the end of the test both ends must be
 * quiet: no stream, no slice on its way.
 */
export async function openSession(
  scene: Scene,
  memory?: string,
  options?: Partial<ListenOptions>,
  connectOptions?: ConnectOptions
): Promise<Pair> {
  const peer = await startPeer(scene)
  await peer.call('listen', { path: scene.path, ...options })
  await peer.call('baseline')
  scene.defer(() => (peer.running ? peer.call('closeListeners') : undefined))
  const session = await connect(scene.path, { memory, ...connectOptions })
  scene.defer(async () => {
    if (!session.closed) {
      await quiet(session)
      if (peer.running) await peer.call('quiet')
    }
    session.destroy()
  })
  return { peer, session }
}

/** Waits until `session` has no stream, and no slice between allocation and return. */
export async function quiet(session: ShmSession): Promise<void> {
  await eventually(
    () => `the session is quiet: ${JSON.stringify(session.statistics())}`,
    () => session.streams === 0 && session.statistics().slicesInUse === 0
  )
  for (const list of session.statistics().lists ?? []) {
    assert.equal(list.allocated, list.freed, `slices of ${list.payload} bytes leaked`)
  }
}

/** A stream the peer treats as `command` says. */
export function command(session: ShmSession, line: string): ShmStream {
  const stream = session.openStream()
  stream.write(`${line}\n`)
  return stream
}

/** All that comes until the orderly end. Leaves the writable side alone. */
export function readAll(stream: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => resolve(Buffer.concat(chunks)))
    stream.once('error', reject)
    stream.once('close', () => reject(new Error('closed before its end')))
  })
}

/** The stream's error once it has closed, or undefined after an orderly end. */
export function closing(stream: Duplex): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    let failure: NodeJS.ErrnoException | undefined
    stream.once('error', (error) => {
      failure = error
    })
    stream.once('close', () => resolve(failure))
  })
}
