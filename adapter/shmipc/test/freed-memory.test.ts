import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { scene as openScene } from '../../test/support/scene.ts'
import { startPeer } from './peer.ts'

const FIXTURE = fileURLToPath(new URL('./fixtures/large-buffers.js', import.meta.url))
const PAGES = (24 * 1024 * 1024) / 4096

const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
const skip = report.header?.glibcVersionRuntime === undefined && 'the C library is not glibc'

test('memory that large Buffers leave behind is used for the next ones', { skip }, async (t) => {
  const scene = await openScene(t)
  const peer = await startPeer(scene)
  await peer.call('listen', { path: scene.path })
  scene.defer(() => peer.call('closeListeners'))
  const faults = async (env: NodeJS.ProcessEnv): Promise<number> => {
    const ran = promisify(execFile)(process.execPath, ['--expose-gc', FIXTURE, scene.path], {
      env: { ...process.env, ...env }
    })
    return Number((await ran).stdout)
  }
  const kept = await faults({})
  const returned = await faults({ SHMESH_KEEP_FREED_MEMORY: '0' })
  assert.ok(kept < PAGES / 4, `${kept} of ${PAGES} pages were filled by the kernel again`)
  assert.ok(returned > PAGES / 2, `only ${returned} pages were: this test shows nothing`)
})
