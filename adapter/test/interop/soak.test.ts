/** A short run of `npm run soak -- --peer`. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { scene } from '../support/scene.ts'
import { PEERS, program } from './peer.ts'

const SOAK = fileURLToPath(new URL('../../../load-tests/soak/index.js', import.meta.url))

for (const { library, program: name } of PEERS) {
  test(`${library}: a hundred thousand messages, and nothing is left`, async (t) => {
    await scene(t)
    if (program(t, name) === undefined) return
    const args = [SOAK, '--peer', name.replace('-peer', ''), '--messages', '100000']
    const { stdout } = await promisify(execFile)(process.execPath, args)
    assert.match(stdout, /every slice is back/)
  })
}
