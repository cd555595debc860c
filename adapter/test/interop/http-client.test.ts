/** A foreign program is the HTTP client, the plugin the server. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
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

for (const client of CLIENTS) {
  test(`${client.title}: bodies of 1 B to 8 MiB`, async (t) => {
    const answered = await post(t, client, { sizes: SIZES, rounds: 1, concurrent: 1 })
    if (answered === undefined) return
    assert.equal(answered.answered, SIZES.length)
    assert.equal(answered.streams, 1, 'one stream is kept alive')
  })

  test(`${client.title}: 64 at once`, async (t) => {
    const sizes = [1, 1000, 8173, 100_000]
    const answered = await post(t, client, { sizes, rounds: 10, concurrent: 64 })
    if (answered === undefined) return
    assert.equal(answered.answered, 64 * 10 * 4)
  })
}

/** Undefined where the foreign program is not built. */
async function post(
  t: TestContext,
  { program, wrapped }: (typeof CLIENTS)[number],
  load: { readonly sizes: readonly number[]; readonly rounds: number; readonly concurrent: number }
): Promise<Answered | undefined> {
  const here = await scene(t)
  const peer = await startForeign(t, here, program)
  if (peer === undefined) return undefined
  await app(here)
  const to = { address: here.path, url: 'http://app/echo', method: 'POST', wrapped }
  return peer.call('request', { ...to, ...load })
}
