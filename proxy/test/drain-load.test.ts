import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { unlinkSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { Bytes } from './bytes.ts'
import { atEnd, dial, roundTrip, temporaryDirectory } from './harness.ts'
import { addressOf, type Child, startApp, startCli } from './processes.ts'

const CLIENTS = 16
const BODY = 'shmesh'.repeat(1500)
const DIGEST = `${BODY.length} ${createHash('sha256').update(BODY).digest('hex')}`
const POST = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`

interface Replica {
  readonly child: Child
  readonly port: number
  readonly health: number
  answered: number
}

async function startReplica(t: TestContext, file: string): Promise<Replica> {
  const child = startCli(t, ['proxy', '--config', file])
  const port = Number(new URL(await addressOf(child, 'inbound')).port)
  const health = Number(new URL(await addressOf(child, 'health')).port)
  return { child, port, health, answered: 0 }
}

async function isReady(t: TestContext, { health }: Replica): Promise<boolean> {
  const get = 'GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  return /^HTTP\/1\.1 200 /.test(await roundTrip(t, health, get))
}

/** Sends one request; returns whether the connection may be used again. */
async function post(client: Bytes): Promise<boolean> {
  client.write(POST)
  const head = await client.head()
  assert.match(head, /^HTTP\/1\.1 200 /)
  assert.equal(await client.take(DIGEST.length), DIGEST)
  return !/^connection: close\r$/im.test(head)
}

test('a proxy drained under load loses no request', async (t) => {
  const directory = temporaryDirectory(t)
  const app = `shm://${directory}/app.sock`
  await startApp(t, app)
  const file = `${directory}/shmesh.json`
  atEnd(t, () => unlinkSync(file))
  const config = {
    version: 1,
    health: 'http://127.0.0.1:0',
    drainDelay: '4s',
    listeners: [{ name: 'inbound', address: 'http://127.0.0.1:0', routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', endpoints: [{ address: app }] }]
  }
  writeFileSync(file, JSON.stringify(config))
  const going = await startReplica(t, file)
  const staying = await startReplica(t, file)
  let target = going
  let gone = false

  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!gone) {
      const replica = target
      const connection = await dial(t, replica.port)
      let open = true
      while (open && !gone) {
        open = await post(connection)
        replica.answered++
      }
      connection.stream.destroy()
    }
  })
  while (going.answered < 500) await nextTurn()
  going.child.process.kill('SIGTERM')
  await going.child.said(/"msg":"draining"/)
  // As a balancer does: new connections go elsewhere once the probe has failed.
  while (await isReady(t, going)) await nextTurn()
  target = staying
  const exitCode = await going.child.exit()
  const { answered } = staying
  while (staying.answered < answered + 500) await nextTurn()
  gone = true

  // Every request of every client was answered whole, or this rejects.
  await Promise.all(clients)
  assert.equal(exitCode, 0)
  assert.ok(going.answered >= 500 && staying.answered >= 500)
  staying.child.process.kill('SIGTERM')
  assert.equal(await staying.child.exit(), 0)
})

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
