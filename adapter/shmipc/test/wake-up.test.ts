import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { test } from 'node:test'
import { loadAddon, type NativeSession, type NativeStatistics } from '../../../native/index.ts'
import { eventually } from '../../test/support/eventually.ts'
import { pattern } from '../../test/support/pattern.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { theDoorman } from '../doorman.ts'
import { Status } from '../status.ts'
import { startPeer } from './peer.ts'

type WakeUp = 'event' | 'poll' | 'interval'

const STREAM = 2
const ROUNDS = 30
const INTERVAL_MS = 5

/** The native half of a session alone, its memory served by a peer that is an ordinary session. */
class Client {
  readonly native: NativeSession
  received = Buffer.alloc(0)
  finished = false
  readonly #memory: Buffer
  readonly #words: Uint32Array

  constructor(stage: Scene, native: NativeSession, wakeUp: WakeUp) {
    this.native = native
    this.#memory = Buffer.from(native.memory())
    const description = native.describe()
    this.#words = new Uint32Array(2 * description.maxEventWords)
    const control = new Socket({ fd: native.takeControl() })
    native.start(
      this.#words,
      new Uint32Array(2 * description.slices),
      (words) => this.#onEvents(words),
      (reason) => assert.fail(reason),
      () => assert.fail('the peer is shmesh'),
      wakeUp,
      INTERVAL_MS
    )
    stage.defer(async () => {
      native.close()
      native.unmap()
      control.destroy()
      await once(control, 'close')
    })
  }

  send(text: Buffer | string): void {
    const bytes = Buffer.from(text)
    assert.equal(this.native.write(STREAM, bytes, 0, bytes.length), bytes.length)
  }

  #onEvents(count: number): void {
    const words = this.#words
    for (let at = 0; at < count; ) {
      const [, status, , slices] = words.subarray(at, at + 4)
      at += 4
      if (status === Status.fin) this.finished = true
      for (let i = 0; i < slices!; i++, at += 3) {
        const [slice, payload, bytes] = words.subarray(at, at + 3)
        const view = this.#memory.subarray(payload!, payload! + bytes!)
        this.received = Buffer.concat([this.received, view])
        this.native.release(slice!)
      }
    }
  }
}

/** Echoes through a peer, one message after the other. */
async function exchange(stage: Scene, wakeUp: WakeUp): Promise<NativeStatistics> {
  const peer = await startPeer(stage)
  await peer.call('listen', { path: stage.path })
  stage.defer(() => peer.call('closeListeners'))
  const native = await theDoorman(loadAddon()).connect(stage.path, 2 ** 20, 64, 2 ** 20)
  assert.ok('start' in native)
  const client = new Client(stage, native, wakeUp)

  client.send('echo\n')
  for (let round = 0; round < ROUNDS; round++) {
    const message = pattern(1000 + round)
    client.received = Buffer.alloc(0)
    client.send(message)
    await eventually('the echo is here', () => client.received.length >= message.length)
    assert.deepEqual(client.received, message)
  }
  native.signal(STREAM, Status.fin, 0)
  await eventually('the peer has ended the stream', () => client.finished)
  await eventually('every slice is back', () =>
    native.statistics()!.lists.every(({ held, lent, borrowed }) => held + lent + borrowed === 0)
  )
  return native.statistics()!
}

test('event: the peer wakes us', async (t) => {
  const { wakesReceived, spinHits, spinMisses } = await exchange(await scene(t), 'event')
  assert.ok(wakesReceived > 0)
  assert.equal(spinHits + spinMisses, 0)
})

test('poll: we look for a while before we sleep', async (t) => {
  const { spinHits, spinMisses } = await exchange(await scene(t), 'poll')
  assert.ok(spinHits + spinMisses > 0)
})

test('interval: the peer never wakes us', async (t) => {
  const { wakesReceived, eventsReceived, awake } = await exchange(await scene(t), 'interval')
  assert.equal(wakesReceived, 0)
  assert.ok(eventsReceived > ROUNDS)
  assert.equal(awake, true)
})

test('pins no process to a processor that does not exist', () => {
  const addon = loadAddon()
  assert.equal(addon.pin([1023]), -constants.errno.EINVAL)
  assert.equal(addon.pin([]), -constants.errno.EINVAL)
})
