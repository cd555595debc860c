/** Upstreams that attack the next client of a connection (adapter/test/support/hostile-responses.ts). */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  BROKEN_BODIES,
  POISONED,
  REFUSED_HEADS
} from '../../adapter/test/support/hostile-responses.ts'
import { dial, ok, startOrigin, startSimpleProxy } from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** An upstream that answers the first request with `response`, and honestly on later connections. */
async function startChain(t: TestContext, response: string): Promise<number> {
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    connection.write(index === 0 ? response : ok('honest'))
    await connection.gone()
  })
  return (await startSimpleProxy(t, [origin.address])).port
}

for (const [name, response] of Object.entries(REFUSED_HEADS)) {
  test(`502, and nothing of it passed on: ${name}`, async (t) => {
    const client = await dial(t, await startChain(t, response))
    client.write(GET)
    assert.match(await client.head(), /^HTTP\/1\.1 502 .*upstream_malformed/s)
    await client.until('\n')
    client.write(GET)
    assert.match(await client.head(), /^HTTP\/1\.1 200 /)
    assert.equal(await client.take(6), 'honest')
  })
}

for (const [name, response] of Object.entries(BROKEN_BODIES)) {
  test(`the client's connection breaks with the body: ${name}`, async (t) => {
    const client = await dial(t, await startChain(t, response))
    client.write(GET)
    // What came before the fault may or may not have been passed on; an end of the body never.
    await client.gone()
    assert.doesNotMatch(client.pending, /\r\n0\r\n\r\n|stolen/)
  })
}

for (const [name, response] of Object.entries(POISONED)) {
  test(`nobody gets it: ${name}`, async (t) => {
    const client = await dial(t, await startChain(t, response))
    client.write(GET)
    assert.match(await client.head(), /^HTTP\/1\.1 (200|204|304) /)
    client.write(GET)
    assert.match(await client.head(), /^HTTP\/1\.1 200 /)
    assert.equal(await client.take(6), 'honest')
  })
}

test('a flood of interim responses ends with the time for the head', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    const flood = () => {
      if (connection.stream.destroyed) return
      connection.stream.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(100), () =>
        setImmediate(flood)
      )
    }
    flood()
    await connection.gone()
  })
  const { port } = await startSimpleProxy(t, [origin.address], {
    cluster: { timeouts: { head: '300ms' } }
  })
  const client = await dial(t, port)
  client.write(GET)
  await client.until('HTTP/1.1 504 ')
})
