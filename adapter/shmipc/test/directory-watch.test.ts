import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseShmDirectory } from '../address.ts'
import { DirectoryWatch } from '../directory-watch.ts'

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-watch-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

function watching(t: TestContext, path: string): DirectoryWatch {
  const watch = new DirectoryWatch(path)
  t.after(() => watch.close())
  return watch
}

async function bind(t: TestContext, path: string): Promise<Server> {
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  t.after(() => server.close())
  return server
}

/** Until the sockets have these names. */
async function until(watch: DirectoryWatch, ...names: string[]): Promise<void> {
  const wanted = names.map((name) => join(watch.path, name)).join()
  while (watch.sockets.join() !== wanted) await once(watch, 'change')
}

test('sockets are seen as they come and go, and nothing else is', async (t) => {
  const directory = temporary(t)
  writeFileSync(join(directory, 'notes'), '')
  await bind(t, join(directory, '.new'))
  const watch = watching(t, directory)
  assert.deepEqual(watch.sockets, [])

  const b = await bind(t, join(directory, 'b'))
  await until(watch, 'b')
  await bind(t, join(directory, 'a'))
  await until(watch, 'a', 'b')
  b.close()
  await until(watch, 'a')
  renameSync(join(directory, '.new'), join(directory, 'c'))
  await until(watch, 'a', 'c')
})

test('what is there already is known at once', async (t) => {
  const directory = temporary(t)
  await bind(t, join(directory, 'a'))
  assert.deepEqual(watching(t, directory).sockets, [join(directory, 'a')])
})

test('a directory that comes later, and one that is replaced', async (t) => {
  const directory = join(temporary(t), 'later')
  const watch = watching(t, directory)
  assert.match(watch.problem ?? '', /ENOENT/)
  mkdirSync(directory)
  await bind(t, join(directory, 'a'))
  await until(watch, 'a')
  assert.equal(watch.problem, undefined)

  renameSync(directory, `${directory}.old`)
  mkdirSync(directory)
  await until(watch)
  await bind(t, join(directory, 'b'))
  await until(watch, 'b')
})

test('a directory where everybody may place sockets is not used', async (t) => {
  const directory = temporary(t)
  await bind(t, join(directory, 'a'))
  chmodSync(directory, 0o1777)
  const watch = watching(t, directory)
  assert.deepEqual(watch.sockets, [])
  assert.match(watch.problem ?? '', /every user can place sockets.*chmod o-w/)
  chmodSync(directory, 0o700)
  await until(watch, 'a')
})

test('an address with a slash at its end is a directory', () => {
  assert.equal(parseShmDirectory('uri', 'shm:///run/app/'), '/run/app')
  assert.equal(parseShmDirectory('uri', '/run/app/'), '/run/app')
  assert.equal(parseShmDirectory('uri', 'shm:///run/app.sock'), undefined)
  assert.throws(() => parseShmDirectory('uri', 'shm:///'), /a directory other than the root/)
  assert.throws(() => parseShmDirectory('uri', 'shm://run/app/'), /three slashes/)
  assert.throws(() => parseShmDirectory('uri', `/${'x'.repeat(120)}/`), { code: 'SHM_ERR_ADDRESS' })
})
