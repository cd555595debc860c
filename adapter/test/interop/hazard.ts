/** Tests of what goes wrong between careless ends. */
import { type TestContext, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type Scene, scene } from '../support/scene.ts'
import { type ForeignPeer, startForeign } from './peer.ts'

/** A test with a Go peer, where there is one. */
export function hazard(
  title: string,
  run: (here: Scene, peer: ForeignPeer, t: TestContext) => unknown
): void {
  test(title, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, 'go-peer')
    if (peer !== undefined) await run(here, peer, t)
  })
}

/** The pull of `line` reads on; it may not have begun. */
export async function resumed(peer: ForeignPeer, line: string): Promise<void> {
  await eventually('it waits', () =>
    peer.call('resume', { line }).then(
      () => true,
      () => false
    )
  )
}
