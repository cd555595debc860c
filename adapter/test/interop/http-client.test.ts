/** A foreign program is the HTTP client, the plugin the server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scene } from '../support/scene.ts'
import { app } from './ends.ts'
import { type Answered, startForeign } from './peer.ts'
import { aroundSlices, FOREIGN_SLICES } from './sizes.ts'

const SIZES = aroundSlices(FOREIGN_SLICES)

const CLIENTS = [
  { title: 'net/http over bare streams of shmipc-go', program: 'go-peer', wrapped: false },
  { title: 'net/http over shmnet', program: 'go-peer', wrapped: true },
  { title: 'hyper over shmipc-rs', program: 'rust-peer', wrapped: false }
] as const

for (const { title, program, wrapped } of CLIENTS) {
  test(`${title}: bodies of 1 B to 8 MiB`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    await app(here)
    const answered: Answered = await peer.call('request', {
      address: here.path,
      url: 'http://app/echo',
      method: 'POST',
      wrapped,
      sizes: SIZES,
      rounds: 1,
      concurrent: 1
    })
    assert.equal(answered.answered, SIZES.length)
    assert.equal(answered.streams, 1, 'one stream is kept alive')
  })

  test(`${title}: 64 at once`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    await app(here)
    const answered: Answered = await peer.call('request', {
      address: here.path,
      url: 'http://app/echo',
      method: 'POST',
      wrapped,
      sizes: [1, 1000, 8173, 100_000],
      rounds: 10,
      concurrent: 64
    })
    assert.equal(answered.answered, 64 * 10 * 4)
  })
}
