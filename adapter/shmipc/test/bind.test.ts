import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { claimPath } from '../bind.ts'
import { identifySocket } from '../socket-file.ts'
import {
  assertAnswers,
  closeServer,
  filesIn,
  line,
  listenOn,
  serve,
  startChild,
  temporaryDirectory
} from './bind-harness.ts'

const NOBODY = 65534
const isRoot = process.getuid?.() === 0

describe('claimPath', () => {
  it('serves a free path and leaves nothing behind', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    const { claim, server } = await serve(t, path)
    assert.deepEqual(filesIn(directory), ['app.sock'])
    assert.equal(statSync(path).mode & 0o777, 0o600)
    await assertAnswers(path)

    claim.release()
    claim.release()
    assert.deepEqual(filesIn(directory), [])
    await closeServer(server)
    assert.deepEqual(filesIn(directory), [])
  })

  it('shows the path only with its mode, and the temporary socket to nobody else', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    const claim = await claimPath(path, { mode: 0o660 })
    t.after(() => claim.release())
    await listenOn(t, claim.bindPath)
    assert.equal(statSync(join(claim.bindPath, '..')).mode & 0o777, 0o700)
    assert.ok(Buffer.byteLength(claim.bindPath) <= 107)
    assert.equal(identifySocket(path), undefined)
    await claim.publish()
    assert.equal(statSync(path).mode & 0o777, 0o660)
  })

  it('gives the socket a group by gid and by name', async (t) => {
    const directory = temporaryDirectory(t)
    const gid = process.getegid?.() ?? 0
    const entry = readFileSync('/etc/group', 'utf8').match(
      new RegExp(`^([^:]+):[^:]*:${gid}:`, 'm')
    )
    for (const group of entry === null ? [gid] : [gid, entry[1]!]) {
      const path = join(directory, `${group}.sock`)
      await serve(t, path, { group })
      assert.equal(statSync(path).gid, gid)
    }
  })

  it('refuses a mode or group that cannot be, before anything is created', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    const bad = [
      { mode: 600 },
      { mode: -1 },
      { mode: 0.5 },
      { group: 'no-such-group' },
      { group: '' }
    ]
    for (const options of bad) {
      await assert.rejects(claimPath(path, options), { code: 'SHM_ERR_INVALID_ARG' })
    }
    assert.deepEqual(filesIn(directory), [])
  })

  it('release before publish removes what was prepared, and publish then fails', async (t) => {
    const directory = temporaryDirectory(t)
    const claim = await claimPath(join(directory, 'app.sock'))
    await listenOn(t, claim.bindPath)
    claim.release()
    assert.deepEqual(filesIn(directory), [])
    await assert.rejects(claim.publish(), { code: 'SHM_ERR_ADDRESS' })
    assert.deepEqual(filesIn(directory), [])
  })
})

describe('a path that cannot be served', () => {
  it('names the missing directory', async (t) => {
    const directory = temporaryDirectory(t)
    await assert.rejects(claimPath(join(directory, 'missing/app.sock')), {
      code: 'SHM_ERR_ADDRESS',
      message: `directory ${directory}/missing does not exist; create it first`
    })
  })

  it('refuses a file in place of the directory', async (t) => {
    const file = join(temporaryDirectory(t), 'file')
    writeFileSync(file, '')
    await assert.rejects(claimPath(join(file, 'app.sock')), { code: 'SHM_ERR_ADDRESS' })
    await assert.rejects(claimPath(join(file, 'deeper/app.sock')), { code: 'SHM_ERR_ADDRESS' })
  })

  it('refuses a directory every user can write, unless it is sticky', async (t) => {
    const directory = join(temporaryDirectory(t), 'open')
    mkdirSync(directory)
    chmodSync(directory, 0o777)
    const path = join(directory, 'app.sock')
    await assert.rejects(claimPath(path), {
      code: 'SHM_ERR_PERMISSION',
      message: /mode 0777.*chmod o-w/
    })
    assert.deepEqual(filesIn(directory), [])

    chmodSync(directory, 0o1777)
    await serve(t, path)
    await assertAnswers(path)
  })

  it('refuses a directory this user may not write', async (t) => {
    const directory = temporaryDirectory(t)
    chmodSync(directory, isRoot ? 0o755 : 0o555)
    const as = isRoot ? ['--uid', String(NOBODY)] : []
    const child = startChild(t, join(directory, 'app.sock'), ...as)
    assert.equal(await line(child), 'SHM_ERR_PERMISSION')
    chmodSync(directory, 0o700)
    assert.deepEqual(filesIn(directory), [])
  })

  it('refuses a live server of another user', { skip: !isRoot }, async (t) => {
    const directory = temporaryDirectory(t)
    chmodSync(directory, 0o1777)
    const path = join(directory, 'app.sock')
    await serve(t, path)
    const child = startChild(t, path, '--uid', String(NOBODY))
    assert.equal(await line(child), 'SHM_ERR_PERMISSION')
    assert.deepEqual(filesIn(directory), ['app.sock'])
  })

  it('never deletes what is not a socket', async (t) => {
    const directory = temporaryDirectory(t)
    const file = join(directory, 'file')
    writeFileSync(file, 'kept')
    mkdirSync(join(directory, 'directory'))
    symlinkSync(file, join(directory, 'link'))
    for (const name of filesIn(directory)) {
      for (const takeover of [false, true]) {
        await assert.rejects(claimPath(join(directory, name), { takeover }), {
          code: 'SHM_ERR_ADDRESS',
          message: /not a socket/
        })
      }
    }
    assert.deepEqual(filesIn(directory), ['directory', 'file', 'link'])
    assert.equal(readFileSync(file, 'utf8'), 'kept')
  })

  it('does not replace a file that appeared after the claim', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    const claim = await claimPath(path, { takeover: true })
    await listenOn(t, claim.bindPath)
    writeFileSync(path, 'kept')
    await assert.rejects(claim.publish(), { code: 'SHM_ERR_ADDRESS' })
    assert.deepEqual(filesIn(directory), ['app.sock'])
    assert.equal(readFileSync(path, 'utf8'), 'kept')
  })

  it('reports a directory that disappeared after the claim', async (t) => {
    const directory = join(temporaryDirectory(t), 'short-lived')
    mkdirSync(directory)
    const claim = await claimPath(join(directory, 'app.sock'))
    rmSync(directory, { recursive: true })
    await assert.rejects(claim.publish(), { code: 'SHM_ERR_ADDRESS' })
  })
})

describe('a path with a living server', () => {
  it('is refused, and the message offers takeover', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    await listenOn(t, path)
    await assert.rejects(claimPath(path), {
      code: 'SHM_ERR_ADDRESS_IN_USE',
      message: /takeover: true/
    })
    assert.deepEqual(filesIn(directory), ['app.sock'])
    await assertAnswers(path)
  })

  it('is refused when the server appeared after the claim', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    const late = await claimPath(path)
    await listenOn(t, late.bindPath)
    await serve(t, path)
    await assert.rejects(late.publish(), { code: 'SHM_ERR_ADDRESS_IN_USE' })
    assert.deepEqual(filesIn(directory), ['app.sock'])
  })

  it('takeover replaces it, and the old one removes nothing', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    const old = await serve(t, path)
    const before = identifySocket(path)
    await serve(t, path, { takeover: true })
    assert.notDeepEqual(identifySocket(path), before)

    old.claim.release()
    await closeServer(old.server)
    assert.deepEqual(filesIn(directory), ['app.sock'])
    await assertAnswers(path)
  })

  it('is refused when its file was moved there', async (t) => {
    const directory = temporaryDirectory(t)
    const moved = join(directory, 'moved.sock')
    await listenOn(t, moved)
    const path = join(directory, 'app.sock')
    renameSync(moved, path)
    await assert.rejects(claimPath(path), { code: 'SHM_ERR_ADDRESS_IN_USE' })
  })
})
