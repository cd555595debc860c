/** Clients that leave the handshake's path, at each of its steps, against a server process. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect } from '../index.ts'
import { closing, type Peer, startPeer } from './peer.ts'

function message(type: number, payload = '', version = 3): Buffer {
  const bytes = Buffer.alloc(8 + payload.length)
  bytes.writeUInt32BE(bytes.length, 0)
  bytes.writeUInt16BE(0x7758, 4)
  bytes[6] = version
  bytes[7] = type
  bytes.write(payload, 8, 'latin1')
  return bytes
}

function names(queue: string, buffer: string): string {
  const size = (name: string) => String.fromCharCode(name.length >> 8, name.length & 0xff)
  return size(queue) + queue + size(buffer) + buffer
}

const OFFER = message(4)
const METADATA = message(5, names('/dev/shm/a_queue', '/dev/shm/a_buffer'))
const READY = message(7)

async function start(t: TestContext): Promise<[stage: Scene, server: Peer]> {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  await server.call('baseline')
  stage.defer(async () => {
    await server.call('clean')
    await (await connect(stage.path)).close()
    await server.call('closeListeners')
  })
  return [stage, server]
}

function dial(stage: Scene): Socket {
  const socket = createConnection({ path: stage.path })
  socket.on('error', () => undefined)
  stage.defer(() => socket.destroy())
  return socket
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const data = socket.read(bytes) as Buffer | null
    if (data !== null) return data
    await once(socket, 'readable')
  }
}

/** The latest reason, once there are `count`. */
async function refusal(server: Peer, count: number): Promise<string> {
  let reasons: readonly string[] = []
  await eventually(`${count} clients are refused`, async () => {
    reasons = (await server.call('seen')).refused
    return reasons.length >= count
  })
  assert.equal(reasons.length, count)
  return reasons[count - 1]!
}

test('first messages of other versions that cannot be are refused at once, not left unanswered', async (t) => {
  const [stage, server] = await start(t)
  for (const [index, [first, reason]] of (
    [
      [message(4, '', 4), 'protocol version 4, only 3 is spoken here'],
      // A draft that negotiates by JSON.
      [message(10, '{"supports_protocols":[4,3]}', 0), 'protocol version 0, only 3 is spoken here'],
      // Files instead of memfds, and none there.
      [message(0, names('/a', '/b'), 2), '/b: No such file or directory']
    ] as const
  ).entries()) {
    const socket = dial(stage)
    const closed = closing(socket)
    socket.resume()
    socket.write(first)
    await closed
    assert.equal(await refusal(server, index + 1), reason)
  }
})

test('bytes that come one by one are a handshake, up to the descriptors that do not come', async (t) => {
  const [stage, server] = await start(t)
  const socket = dial(stage)
  const drip = async (bytes: Buffer) => {
    for (const byte of bytes) await new Promise((sent) => socket.write(Buffer.of(byte), sent))
  }
  await drip(OFFER)
  assert.deepEqual(await read(socket, 8), OFFER)
  await drip(METADATA)
  assert.deepEqual(await read(socket, 8), READY)
  await drip(Buffer.of(0))
  assert.match(await refusal(server, 1), /^0 descriptors/)
})

test('what does not belong after a valid beginning is refused, and says why', async (t) => {
  const [stage, server] = await start(t)
  const long = 'x'.repeat(300)
  const cases: [steps: Buffer[], reason: RegExp][] = [
    [[OFFER, OFFER], /type 4 where 5/],
    [[OFFER, message(5, names(long, long))], /message of 612 bytes/],
    [[OFFER, message(5, '\xff\xff')], /message of 10 bytes/],
    [[OFFER, message(5, '\0\x09abcd\0\0')], /do not add up/],
    [[OFFER, message(5, '\0\x04abcd\0\x09')], /do not add up/],
    [[OFFER, METADATA, Buffer.from('garbage')], /^0 descriptors/]
  ]
  for (const [index, [steps, reason]] of cases.entries()) {
    const socket = dial(stage)
    const closed = closing(socket)
    socket.resume()
    // All at once: a client need not wait for answers to be wrong.
    socket.write(Buffer.concat(steps))
    assert.match(await refusal(server, index + 1), reason)
    await closed
  }
})

test('a client may go at each step', async (t) => {
  const [stage, server] = await start(t)
  const all = Buffer.concat([OFFER, METADATA])
  const steps = [1, 8, 9, 16, 20, all.length - 1, all.length]
  for (const [index, bytes] of steps.entries()) {
    const socket = dial(stage)
    await new Promise((sent) => socket.write(all.subarray(0, bytes), sent))
    if (bytes >= 8) await read(socket, 8)
    if (bytes === all.length) await read(socket, 8)
    socket.destroy()
    assert.match(await refusal(server, index + 1), /the peer closed the socket/)
  }
  await server.call('clean')
})
