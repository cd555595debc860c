/** Who may connect is decided by the socket's mode and group, before a byte is read. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import process from 'node:process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../test/support/eventually.ts'
import { scene } from '../../test/support/scene.ts'
import { type ListenOptions, listen } from '../index.ts'
import { startPeer } from './peer.ts'

const NOBODY = 65534
const STRANGERS = 65533
const skip = whyNot()

/** Why no process of another user can be started here; false when it can. */
function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'only root can run processes of other users'
  const fixture = fileURLToPath(new URL('./fixtures/peer.js', import.meta.url))
  const { status } = spawnSync(process.execPath, ['--check', fixture], { uid: NOBODY, gid: NOBODY })
  return status !== 0 && 'other users cannot read this directory, or this Node.js'
}

const CASES: readonly (Partial<ListenOptions> & { gid: number; admitted: boolean })[] = [
  { gid: NOBODY, admitted: false },
  { mode: 0o660, gid: NOBODY, admitted: false },
  { mode: 0o660, group: NOBODY, gid: NOBODY, admitted: true },
  { mode: 0o660, group: NOBODY, gid: STRANGERS, admitted: false },
  // Connecting needs write permission.
  { mode: 0o644, gid: NOBODY, admitted: false },
  { mode: 0o666, gid: STRANGERS, admitted: true }
]

test('other users connect where mode and group let them', { skip }, async (t) => {
  const stage = await scene(t)
  chmodSync(stage.directory, 0o711)
  for (const { gid, admitted, ...options } of CASES) {
    const client = await startPeer(stage, { uid: NOBODY, gid })
    const listener = await listen({ path: stage.path, ...options })
    stage.defer(() => listener.close())
    let refused = 0
    listener.on('refused', () => refused++)
    const connecting = client.call('connect', stage.path)
    if (admitted) await connecting
    else await assert.rejects(connecting, { code: 'EACCES' })
    const wanted = admitted ? 1 : 0
    await eventually('the session is there', () => listener.sessions.size === wanted)
    assert.equal(refused, 0)
    await client.kill()
    await listener.close()
    await eventually('the session is gone', () => listener.sessions.size === 0)
  }
})
