import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { parseShmAddress } from '../address.ts'
import { socketDirectory } from '../socket-directory.ts'
import { temporaryDirectory } from './bind-harness.ts'

const LIMIT = process.platform === 'linux' ? 107 : 103

describe('parseShmAddress', () => {
  it('takes shm:// URLs and absolute paths', () => {
    assert.equal(parseShmAddress('path', 'shm:///run/app.sock'), '/run/app.sock')
    assert.equal(parseShmAddress('path', '/run/app.sock'), '/run/app.sock')
  })

  it('decodes a URL and takes a path as it is', () => {
    assert.equal(parseShmAddress('path', 'shm:///run/a%20b%3F.sock'), '/run/a b?.sock')
    assert.equal(parseShmAddress('path', '/run/a%20b?.sock'), '/run/a%20b?.sock')
  })

  it('names the option and what it got', () => {
    assert.throws(() => parseShmAddress('uri', 'app.sock'), {
      code: 'SHM_ERR_INVALID_ARG',
      message: `uri must be 'shm:///absolute/path.sock' or an absolute path, got "app.sock"`
    })
  })

  it('refuses everything that is not an address', () => {
    const bad = [
      '',
      'http://127.0.0.1:80',
      'unix:///x',
      './a',
      'shm:/x',
      'shm:///a%zz',
      undefined,
      7
    ]
    for (const address of bad) {
      assert.throws(() => parseShmAddress('path', address as string), {
        code: 'SHM_ERR_INVALID_ARG'
      })
    }
  })

  it('explains the third slash', () => {
    assert.throws(() => parseShmAddress('path', 'shm://run/app.sock'), {
      code: 'SHM_ERR_INVALID_ARG',
      message: /'shm:\/\/\/run\/app\.sock' has three slashes/
    })
  })

  it('refuses query and fragment instead of dropping them', () => {
    for (const address of ['shm:///run/app.sock?memory=1MiB', 'shm:///run/app.sock#a']) {
      assert.throws(() => parseShmAddress('path', address), { code: 'SHM_ERR_INVALID_ARG' })
    }
  })

  it('refuses NUL, written or encoded, and directories', () => {
    for (const address of ['/run/a\0b', 'shm:///run/a%00b', '/run/shmesh/']) {
      assert.throws(() => parseShmAddress('path', address), { code: 'SHM_ERR_ADDRESS' })
    }
  })

  it('counts bytes, not characters, and says both numbers', () => {
    const longest = `/run/${'a'.repeat(LIMIT - 5)}`
    assert.equal(parseShmAddress('path', longest), longest)
    assert.throws(() => parseShmAddress('path', `${longest}a`), {
      code: 'SHM_ERR_ADDRESS',
      message: new RegExp(`${LIMIT + 1} bytes.*${LIMIT}`)
    })
    const characters = `/run/${'é'.repeat(LIMIT - 10)}`
    assert.throws(() => parseShmAddress('path', characters), { code: 'SHM_ERR_ADDRESS' })
  })

  it('leaves room for the temporary name a server binds', () => {
    assert.throws(() => parseShmAddress('path', `/${'d'.repeat(LIMIT - 5)}/a`), {
      code: 'SHM_ERR_ADDRESS',
      message: /directory of the socket is/
    })
  })
})

const VARIABLES = ['SHMESH_DIR', 'XDG_RUNTIME_DIR', 'TMPDIR'] as const

function set(values: { readonly [name in (typeof VARIABLES)[number]]?: string | undefined }): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

describe('socketDirectory', () => {
  const { SHMESH_DIR, XDG_RUNTIME_DIR, TMPDIR } = process.env
  afterEach(() => set({ SHMESH_DIR, XDG_RUNTIME_DIR, TMPDIR }))

  it('is SHMESH_DIR, created for this user alone', (t) => {
    const directory = join(temporaryDirectory(t), 'sockets')
    set({ SHMESH_DIR: directory })
    assert.equal(socketDirectory(), directory)
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.equal(socketDirectory(), directory)
  })

  it('takes SHMESH_DIR shared with a group, but not with everybody', (t) => {
    const directory = temporaryDirectory(t)
    set({ SHMESH_DIR: directory })
    chmodSync(directory, 0o770)
    assert.equal(socketDirectory(), directory)
    chmodSync(directory, 0o777)
    assert.throws(socketDirectory, { code: 'SHM_ERR_PERMISSION', message: /chmod o-w/ })
    chmodSync(directory, 0o700)
  })

  it('refuses a SHMESH_DIR that is relative, a file, or has no parent', (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(join(directory, 'file'), '')
    set({ SHMESH_DIR: 'sockets' })
    assert.throws(socketDirectory, { code: 'SHM_ERR_INVALID_ARG' })
    for (const name of ['file', 'missing/deeper', 'file/deeper']) {
      set({ SHMESH_DIR: join(directory, name) })
      assert.throws(socketDirectory, { code: 'SHM_ERR_ADDRESS' })
    }
  })

  it('is shmesh in XDG_RUNTIME_DIR', (t) => {
    const runtime = temporaryDirectory(t)
    set({ SHMESH_DIR: undefined, XDG_RUNTIME_DIR: runtime })
    assert.equal(socketDirectory(), join(runtime, 'shmesh'))
  })

  it('is shmesh-<uid> in the temporary directory without one that is usable', (t) => {
    const directory = temporaryDirectory(t)
    const expected = join(directory, `shmesh-${process.getuid?.()}`)
    for (const runtime of [undefined, '', 'relative', join(directory, 'missing')]) {
      set({ SHMESH_DIR: '', XDG_RUNTIME_DIR: runtime, TMPDIR: directory })
      assert.equal(tmpdir(), directory)
      assert.equal(socketDirectory(), expected)
    }
  })

  it('refuses a default directory that others can enter or that is a link', (t) => {
    const directory = temporaryDirectory(t)
    set({ SHMESH_DIR: undefined, XDG_RUNTIME_DIR: directory })
    const sockets = join(directory, 'shmesh')
    mkdirSync(sockets)
    chmodSync(sockets, 0o755)
    assert.throws(socketDirectory, { code: 'SHM_ERR_PERMISSION', message: /chmod 700/ })

    const linked = temporaryDirectory(t)
    set({ XDG_RUNTIME_DIR: linked })
    symlinkSync(sockets, join(linked, 'shmesh'))
    chmodSync(sockets, 0o700)
    assert.throws(socketDirectory, { code: 'SHM_ERR_PERMISSION', message: /remove it/ })
  })
})
