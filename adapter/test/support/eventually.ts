import { setImmediate, setTimeout } from 'node:timers/promises'

/** A test that waits longer hangs, on a machine that does twenty other things as well. */
const DEADLINE_MS = 30_000

/**
 * Waits until `condition` holds, for states that nothing announces: slices the peer returns
 * silently, descriptors the kernel closes, processes that end. What announces itself is awaited.
 *
 * @param what for the message when it never holds
 */
export async function eventually(
  what: string | (() => string),
  condition: () => boolean | Promise<boolean>
): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS
  for (let turn = 0; !(await condition()); turn++) {
    if (Date.now() > deadline) {
      throw new Error(`still not so after 30 s: ${typeof what === 'string' ? what : what()}`)
    }
    // Most of it is a few turns away; a tight loop would keep a peer on two cores from getting there.
    if (turn < 20) await setImmediate()
    else await setTimeout(2)
  }
}
