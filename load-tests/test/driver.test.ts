import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { bodyOf } from '../demo/bodies.ts'
import type { LoadResult } from '../demo/driver.ts'
import { drive, failuresOf } from '../demo/measure.ts'
import { Workspace } from '../demo/workspace.ts'

const CONNECTIONS = 4
const BYTES = 64
/** The driver reports every 250 ms: at the second report the time is up. */
const DURATION_MS = 100

test('a load whose first answer comes late goes on until then', async (t) => {
  const workspace = new Workspace()
  t.after(() => workspace.close())
  const held: [variant: number, response: ServerResponse][] = []
  let late = false
  const answer = (variant: number, response: ServerResponse) => {
    response.end(bodyOf(BYTES, variant))
  }
  const server = createServer((request, response) => {
    const variant = Number(request.url?.split('/').at(-1))
    if (late) answer(variant, response)
    else held.push([variant, response])
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const load = {
    origin: `http://127.0.0.1:${port}`,
    method: 'GET',
    bytes: BYTES,
    connections: CONNECTIONS,
    durationMs: DURATION_MS
  } as const

  let reports = 0
  const driver = workspace.start('autocannon', './driver.js', [])
  const result: LoadResult = await drive(driver, load, () => {
    late = ++reports >= 2 && held.length >= CONNECTIONS
    if (late) for (const one of held.splice(0)) answer(...one)
  })
  assert.ok(result.completed >= CONNECTIONS, `${result.completed} answers`)
  assert.equal(failuresOf(result), 0)
  assert.deepEqual(await workspace.stop(), [])
})
