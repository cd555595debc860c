/** The attacks of test/support/attacks.ts against the reader alone, cut at every byte. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ATTACKS } from '../../test/support/attacks.ts'
import { transcribe } from './transcript.ts'

describe('where attacks are cut makes no difference', () => {
  for (const { name, bytes } of ATTACKS) {
    it(name, () => {
      const whole = transcribe([Buffer.from(bytes, 'latin1')], { kind: 'request' })
      for (let at = 1; at < bytes.length; at++) {
        const pieces = [bytes.slice(0, at), bytes.slice(at)].map((p) => Buffer.from(p, 'latin1'))
        const cut = transcribe(pieces, { kind: 'request' })
        assert.deepEqual(withoutRest(cut), withoutRest(whole), `cut at byte ${at}`)
      }
    })
  }
})

/** Bytes behind a refusal are not read: how many were there depends on the cut. */
function withoutRest(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.startsWith('left '))
}
