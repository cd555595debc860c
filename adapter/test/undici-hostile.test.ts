/** Servers that attack the next request of a connection (support/hostile-responses.ts). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentFor, idle, startScripted, transcribe } from './scripted.ts'
import { BROKEN_BODIES, POISONED, REFUSED_HEADS } from './support/hostile-responses.ts'
import { scene } from './support/scene.ts'

const HONEST = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest'
const ALL = Object.entries({ ...REFUSED_HEADS, ...BROKEN_BODIES, ...POISONED })

test('no answer is taken from bytes behind another', async (t) => {
  const s = await scene(t)
  const script = Object.fromEntries(
    ALL.map(([_name, response], index) => [`/${index}`, { parts: [response], finally: 'end' }])
  )
  const { server } = await startScripted(s, { ...script, '/honest': { parts: [HONEST] } } as never)
  const agent = agentFor(s)
  for (const [index, [name]] of ALL.entries()) {
    await t.test(name, async () => {
      const options = { origin: 'http://a', method: 'GET' as const }
      const { events } = await transcribe(agent, { ...options, path: `/${index}` })
      const expected = name in POISONED ? /^end/ : /^error (UND_ERR_SOCKET|HPE_|UND_ERR)/
      assert.match(events.at(-1) ?? '', expected, events.join(' | '))
      const next = await transcribe(agent, { ...options, path: '/honest' })
      assert.equal(next.body, 'honest')
    })
  }
  await idle(agent)
  assert.ok((await server.call('seen')).length >= ALL.length)
})
