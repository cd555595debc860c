/** The examples without HTTP that come in several programs: hello-world and telemetry. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { sharedMemory } from '../../adapter/index.ts'
import { ROOT, Run } from './run.ts'

const NEEDS_MEMORY = { skip: sharedMemory().addon === undefined && 'no shared memory here' }

/** Starts a server of the examples on a socket of its own; `use` runs programs against it. */
async function served(
  t: TestContext,
  server: string,
  use: (run: (program: string) => Promise<string>) => Promise<void>
): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const socket = { SOCKET: join(directory, 'example.sock') }
  const start = (program: string) =>
    new Run(t, directory, [join(ROOT, 'examples', program)], socket)
  const running = start(server)
  await running.printed('listening on')
  await use(async (program) => {
    const client = start(program)
    assert.deepEqual(await client.exit, [0, null], client.output)
    return client.output
  })
  running.process.kill('SIGTERM')
  assert.deepEqual(await running.exit, [0, null], running.output)
  assert.deepEqual(readdirSync(directory), [])
  return running.output
}

for (const server of ['server.js', 'async-server.js']) {
  test(`hello-world/${server} answers both clients`, NEEDS_MEMORY, async (t) => {
    await served(t, `hello-world/${server}`, async (run) => {
      assert.equal(await run('hello-world/client.js'), 'hello, memory\nhello, world\n')
      const answers = (await run('hello-world/async-client.js')).trim().split('\n')
      assert.deepEqual(answers.sort(), ['hello, everybody', 'hello, shared memory', 'hello, you'])
    })
  })
}

test('the log agent prints what two apps log, in order', NEEDS_MEMORY, async (t) => {
  const printed = await served(t, 'telemetry/log-agent.js', async (run) => {
    await Promise.all([run('telemetry/log-app.js'), run('telemetry/log-app.js')])
  })
  const lines = printed
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { message?: string; dropped?: number; request?: number })
  const count = (message: string) => lines.filter((line) => line.message === message).length
  const dropped = lines.reduce((sum, line) => sum + (line.dropped ?? 0), 0)
  const logged = lines.filter((line) => line.message !== undefined).length
  assert.equal(logged + dropped, 2 * 1002)
  assert.equal(count('started'), 2)
})

test('the metrics agent adds up what two apps count', NEEDS_MEMORY, async (t) => {
  const printed = await served(t, 'telemetry/metrics-agent.js', async (run) => {
    await Promise.all([run('telemetry/metrics-app.js'), run('telemetry/metrics-app.js')])
  })
  assert.match(printed, /^requests 200000$/m)
  assert.match(printed, /^bytes 12800000$/m)
})
