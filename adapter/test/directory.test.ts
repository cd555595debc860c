/** Paths that end in `/`: processes and threads side by side, each with a socket of its own. */
import assert from 'node:assert/strict'
import { readdirSync, rmdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { attach } from '../http/index.ts'
import { startApp } from './app.ts'
import type { WorkersMethods } from './fixtures/workers.ts'
import { startChild } from './support/child.ts'
import { eventually } from './support/eventually.ts'
import { type Scene, scene } from './support/scene.ts'

function shared(s: Scene): { path: string; names: () => string[] } {
  const directory = join(s.directory, 'app')
  // It stays: clients watch it.
  s.defer(() => rmdirSync(directory))
  return { path: `shm://${directory}/`, names: () => readdirSync(directory).sort() }
}

test('each process has its socket, and what a killed one left is removed', async (t) => {
  const s = await scene(t)
  const { path, names } = shared(s)
  const { app: one } = await startApp(s, { plugin: { path } })
  const { app: two } = await startApp(s, { plugin: { path } })
  const owners = () => names().map((name) => Number(/^(\d+)-0-[\w-]{6}\.sock$/.exec(name)?.[1]))
  assert.deepEqual(owners().sort(), [one.pid, two.pid].sort())
  assert.equal(statSync(join(s.directory, 'app')).mode & 0o777, 0o700)

  await one.kill()
  assert.equal(names().length, 2)
  const { app: three } = await startApp(s, { plugin: { path } })
  assert.deepEqual(owners().sort(), [two.pid, three.pid].sort())
  await two.call('close')
  assert.deepEqual(owners(), [three.pid])
})

test('each worker thread has its socket', async (t) => {
  const s = await scene(t)
  const { path, names } = shared(s)
  const workers = await startChild<WorkersMethods>(
    s,
    new URL('./fixtures/workers.js', import.meta.url)
  )
  await Promise.all(['one', 'two'].map((name) => workers.call('start', name, path)))
  const threads = () => names().map((name) => name.split('-').slice(0, 2).join('-'))
  const { pid } = workers
  assert.deepEqual(threads(), [`${pid}-1`, `${pid}-2`])
  await workers.call('close', 'one')
  assert.equal(names().length, 1)
  await workers.call('close', 'two')
  await eventually('no socket is left', () => names().length === 0)
})

test('files of others are left alone, and a directory that is a file is refused', async (t) => {
  const s = await scene(t)
  const { path, names } = shared(s)
  const server = createServer()
  const first = await attach(server, { path })
  const other = join(s.directory, 'app', '1-0-abcdef.sock')
  writeFileSync(other, '')
  const second = await attach(createServer(), { path })
  assert.equal(names().length, 3)
  assert.equal(first.address, path)
  await second.close()
  await first.close()
  assert.deepEqual(names(), ['1-0-abcdef.sock'])
  await assert.rejects(attach(createServer(), { path: `${other}/` }), { code: 'SHM_ERR_ADDRESS' })
  await assert.rejects(attach(createServer(), { path: `${s.directory}/no/app/` }), {
    code: 'SHM_ERR_ADDRESS',
    message: /does not exist/
  })
  unlinkSync(other)
})
