/** Each attack of adapter/test/support/attacks.ts against the proxy, in front of a node:http origin. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect as connectSession } from '../../adapter/shmipc/index.ts'
import { answerRequest } from '../../adapter/test/support/answer-request.ts'
import { play } from '../../adapter/test/support/attack.ts'
import { ATTACKS } from '../../adapter/test/support/attacks.ts'
import { atEnd, temporaryDirectory } from './harness.ts'
import { addressOf, startCli } from './processes.ts'

/** A proxy process with a listener on `address`; what it lets through is answered here. */
async function startChain(t: TestContext, address: string, directory: string): Promise<string> {
  const origin = createServer(answerRequest).listen(0, '127.0.0.1')
  await once(origin, 'listening')
  atEnd(t, () => {
    origin.close()
    origin.closeAllConnections()
  })
  const { port } = origin.address() as AddressInfo
  const file = join(directory, 'shmesh.json')
  const config = {
    version: 1,
    listeners: [{ name: 'in', address, routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', endpoints: [{ address: `http://127.0.0.1:${port}` }] }]
  }
  writeFileSync(file, JSON.stringify(config))
  atEnd(t, () => rmSync(file))
  const cli = startCli(t, ['proxy', '--config', file])
  const bound = await addressOf(cli, 'in')
  atEnd(t, async () => {
    cli.process.kill('SIGTERM')
    assert.equal(await cli.exit(), 0)
    assert.doesNotMatch(cli.stdout, /"level":50/, 'the proxy logged an error')
  })
  return bound
}

test('the proxy reads no request from a socket as two', async (t) => {
  const bound = await startChain(t, 'http://127.0.0.1:0', temporaryDirectory(t))
  const { hostname: host, port } = new URL(bound)
  for (const attack of ATTACKS) {
    await t.test(attack.name, () =>
      play(attack, () => connect({ host, port: Number(port), noDelay: true }))
    )
  }
})

test('the proxy reads no request from shared memory as two', async (t) => {
  const directory = temporaryDirectory(t)
  const path = join(directory, 'out.sock')
  await startChain(t, `shm://${path}`, directory)
  const session = await connectSession(path)
  atEnd(t, () => session.destroy())
  for (const attack of ATTACKS) {
    await t.test(attack.name, () => play(attack, () => session.openStream()))
  }
})
