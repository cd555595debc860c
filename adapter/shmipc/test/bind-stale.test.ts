import assert from 'node:assert/strict'
import { mkdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { claimPath } from '../bind.ts'
import { identifySocket, inspectSocket } from '../socket-file.ts'
import {
  assertAnswers,
  filesIn,
  killChild,
  leaveStaleSocket,
  line,
  listenOn,
  serve,
  startChild,
  temporaryDirectory
} from './bind-harness.ts'

describe('a path with the file of a killed server', () => {
  it('is replaced silently', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    await leaveStaleSocket(t, path)
    assert.equal((await inspectSocket(path)).state, 'stale')
    await serve(t, path)
    assert.deepEqual(filesIn(directory), ['app.sock'])
    await assertAnswers(path)
  })

  it('goes to exactly one of many servers of one process', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    await leaveStaleSocket(t, path)
    const starts = await Promise.allSettled(Array.from({ length: 8 }, () => serve(t, path)))
    const codes = starts.map((start) => (start.status === 'rejected' ? start.reason.code : 'ok'))
    assert.deepEqual(codes.sort(), [...Array(7).fill('SHM_ERR_ADDRESS_IN_USE'), 'ok'])
    assert.deepEqual(filesIn(directory), ['app.sock'])
    await assertAnswers(path)
  })

  it('goes to exactly one of two processes that start together', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    for (let round = 0; round < 5; round++) {
      await leaveStaleSocket(t, path)
      const children = [startChild(t, path, '--wait'), startChild(t, path, '--wait')]
      await Promise.all(children.map(line))
      const results = children.map(line)
      for (const child of children) child.stdin!.write('\n')
      const codes = await Promise.all(results)
      assert.deepEqual(codes.sort(), ['SHM_ERR_ADDRESS_IN_USE', 'published'])
      assert.deepEqual(filesIn(directory), ['app.sock'])
      await assertAnswers(path)
      await Promise.all(children.map(killChild))
    }
  })

  it('is not replaced once another server has taken its place', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    await leaveStaleSocket(t, path)
    const late = await claimPath(path)
    await listenOn(t, late.bindPath)
    const winner = await claimPath(path)
    await listenOn(t, winner.bindPath)
    t.after(() => winner.release())

    const outcomes = await Promise.allSettled([winner.publish(), late.publish()])
    assert.deepEqual(outcomes.map((outcome) => outcome.status).sort(), ['fulfilled', 'rejected'])
    await assertAnswers(path)
  })

  it('is replaced although an earlier replacement was killed half way', async (t) => {
    const directory = temporaryDirectory(t)
    const path = join(directory, 'app.sock')
    await leaveStaleSocket(t, path)
    const { ino, mtimeNs } = identifySocket(path)!
    const abandoned = join(directory, `.stale-${ino.toString(36)}-${mtimeNs.toString(36)}`)
    mkdirSync(abandoned)
    utimesSync(abandoned, 0, 0)
    await serve(t, path)
    assert.deepEqual(filesIn(directory), ['app.sock'])
  })
})
