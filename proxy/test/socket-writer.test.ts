import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { SocketWriter } from '../wire/socket-writer.ts'

/** Two ends of a TCP connection, the first with its descriptor. */
async function pair(t: TestContext): Promise<[near: Socket, far: Socket, fd: number]> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [near] = (await once(server, 'connection')) as [Socket]
  t.after(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return [near, far, descriptor(near)]
}

test('every byte is written once and in order, wherever the kernel takes no more', async (t) => {
  const [near, far, fd] = await pair(t)
  const writer = new SocketWriter(near, fd)
  const all = randomBytes(24 * 1024 * 1024)
  const arrived = collected(far)
  far.pause()
  const sizes = [0, 1, 700, 5000, 15_000, 70_000, 300_000]
  let written = 0
  let stopped = 0
  let behind = 0
  const write = (before: number, body: number | undefined, after: number) => {
    const bytes = before + (body ?? 0) + after
    const message = Buffer.from(all.subarray(written, written + bytes))
    const view = body === undefined ? undefined : message.subarray(before, before + body)
    const text = message.toString('latin1')
    writer.write(text.slice(0, before), view, text.slice(bytes - after), undefined)
    // Whoever wrote it may use the memory for something else now.
    message.fill(0)
    written += bytes
  }
  far.on('data', () => {
    if (near.writableLength === 0 || behind > 100) return
    // There is room again, but not for what would overtake what waits.
    behind++
    write(3, undefined, 0)
  })
  for (let round = 0; written < all.length - 400_000; round++) {
    if (round % 4 === 0) write(sizes[round % 5] as number, undefined, 0)
    else {
      const [before, body, after] = [round, round * 3, round * 7 + 1]
      write(sizes[before % 5] as number, sizes[body % 7], sizes[after % 5] as number)
    }
    if (!writer.blocked) continue
    stopped++
    far.resume()
    await once(near, 'drain')
    far.pause()
  }
  far.resume()
  near.end()
  const received = await arrived
  assert.ok(stopped > 0 && behind > 0, 'the kernel took no more, again and again')
  assert.ok(received.equals(all.subarray(0, written)), `${received.length} of ${written} bytes`)
})

for (const ending of ['end', 'destroy'] as const) {
  test(`after ${ending}() a descriptor may be another's: nothing is written to it`, async (t) => {
    const [gone] = await pair(t)
    const [heir, far, fd] = await pair(t)
    const arrived = collected(far)
    const writer = new SocketWriter(gone, fd)
    gone.on('error', () => {})
    gone[ending]()

    writer.write('foreign', undefined, '', undefined)
    heir.end('own')
    assert.equal(String(await arrived), 'own')
  })
}

function descriptor(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd
}

/** All that comes to a socket until it ends. */
async function collected(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end')
  return Buffer.concat(chunks)
}
