import assert from 'node:assert/strict'
import { closeSync, openSync, readSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ShmError } from '../../adapter/errors.ts'
import { inspectPath, readDump, writeDump } from '../../adapter/shmipc/index.ts'
import { command, openSession } from '../../adapter/shmipc/test/peer.ts'
import { type Scene, scene } from '../../adapter/test/support/scene.ts'
import { describeInspection } from '../inspect/describe.ts'

/** A dump of a small session at work, and its size. */
async function makeDump(t: TestContext): Promise<{ s: Scene; file: string; bytes: number }> {
  const s = await scene(t)
  const { session } = await openSession(s, '1MiB')
  const stream = command(session, 'ignore')
  stream.write(Buffer.alloc(100_000))
  const file = join(s.directory, 'dump')
  s.defer(() => rmSync(file, { force: true }))
  writeDump(file, await inspectPath(s.path), false)
  stream.destroy()
  return { s, file, bytes: statSync(file).size }
}

/** Reads and prints it; whether it was refused, in words of ours that name the file. */
function isRefused(file: string): boolean {
  try {
    describeInspection(readDump(file, true))
    return false
  } catch (error) {
    assert.ok(error instanceof ShmError, (error as Error).stack)
    assert.equal(error.code, 'SHM_ERR_INSPECT')
    assert.match(error.message, /dump, byte \d+: /)
    return true
  }
}

test('a dump with flipped bytes is read or refused', async (t) => {
  const { s, file, bytes } = await makeDump(t)
  const fd = openSync(file, 'r+')
  s.defer(() => closeSync(fd))
  let seed = 1
  const below = (bound: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * bound)
  }
  assert.equal(isRefused(file), false)
  let refused = 0
  for (let round = 0; round < 3000; round++) {
    // Where facts and tables are, mostly.
    const at = below(round % 4 === 0 ? bytes : 8192)
    const before = Buffer.alloc(1)
    readSync(fd, before, 0, 1, at)
    writeSync(fd, Buffer.of(before[0]! ^ (1 + below(255))), 0, 1, at)
    if (isRefused(file)) refused++
    writeSync(fd, before, 0, 1, at)
  }
  assert.ok(refused > 300, `${refused} were refused`)
  assert.equal(isRefused(file), false)
})

test('a dump that was cut off says at which byte it ends', async (t) => {
  const { file, bytes } = await makeDump(t)
  for (const length of [bytes - 1, Math.floor(bytes / 2), 8192, 4096, 100, 24, 23, 16, 3, 0]) {
    truncateSync(file, length)
    assert.equal(isRefused(file), true, `cut to ${length}`)
    assert.throws(() => readDump(file), { message: new RegExp(`byte ${length}: `) })
  }
})
