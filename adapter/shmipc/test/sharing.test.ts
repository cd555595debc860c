import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryFiles, namedMemoryFiles } from '../../test/support/memory-files.ts'
import { pattern } from '../../test/support/pattern.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect, listen } from '../index.ts'
import { command, openSession, readAll } from './peer.ts'

for (const sharing of ['file', 'file-v2'] as const) {
  test(`memory by ${sharing}: bytes come back, and no file stays`, async (t) => {
    const { session } = await openSession(await scene(t), '4MiB', {}, { sharing })
    assert.equal(session.peer, 'shmipc')
    const body = pattern(1_000_000)
    const stream = command(session, 'echo')
    stream.write(body)
    const got: Buffer[] = []
    for await (const chunk of stream) {
      got.push(chunk)
      if (Buffer.concat(got).length === body.length) break
    }
    assert.ok(body.equals(Buffer.concat(got)))
    assert.notEqual(memoryFiles().size, 0)
    assert.deepEqual(namedMemoryFiles(), [])
  })
}

test('over TCP on this machine, on any free port', async (t) => {
  const here: Scene = await scene(t)
  const listener = await listen({ path: 'shm://127.0.0.1:0' })
  here.defer(async () => {
    await listener.close()
    for (const session of listener.sessions) session.destroy()
  })
  listener.on('stream', (stream) => stream.end('hello', () => stream.destroy()))
  assert.match(listener.path, /^127\.0\.0\.1:[1-9]\d*$/)
  const session = await connect(`shm://${listener.path}`, { memory: '4MiB' })
  here.defer(() => session.destroy())
  const stream = session.openStream()
  stream.write('?')
  assert.equal(String(await readAll(stream)), 'hello')
  assert.notEqual(memoryFiles().size, 0)
  assert.deepEqual(namedMemoryFiles(), [])
})

test('other machines, and descriptors over TCP, are refused by name', async () => {
  await assert.rejects(connect('shm://10.0.0.1:80'), /address of this machine/)
  await assert.rejects(
    connect('shm://127.0.0.1:80', { sharing: 'memfd' }),
    /sharing must be 'file'/
  )
  const sharing = 'paper' as 'file'
  await assert.rejects(connect('/tmp/x.sock', { sharing }), /'memfd', 'file' or 'file-v2'/)
})
