import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bytes } from './bytes.ts'
import { answering, dial, startOrigin, startSimpleProxy } from './harness.ts'

const FIELDS = 'Host: app.test\r\nAccept: text/plain\r\nConnection: keep-alive\r\n\r\n'

/** Requests with the same fields that must not be passed on, or answered, as the same. */
const LINES = [
  'GET /a HTTP/1.1',
  'GET /a HTTP/1.1',
  'GET http://other.test/b HTTP/1.1',
  'HEAD /c HTTP/1.1',
  'GET /not-found HTTP/1.1',
  'GET /close HTTP/1.1',
  'GET /d HTTP/1.0',
  'GET /e HTTP/1.1'
]

/** The same fields with every status and reason, and a body unless the request says HEAD. */
function answer(head: string): string {
  const status = head.includes('/not-found') ? '404 Not Found' : '200 OK'
  const body = head.startsWith('HEAD') ? '' : 'hi'
  return `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n${body}`
}

async function ask(client: Bytes, line: string): Promise<string> {
  client.write(`${line}\r\n${FIELDS}`)
  const head = await client.head()
  return line.startsWith('HEAD') ? head : head + (await client.take(2))
}

/** Without what differs from request to request, or from proxy to proxy. */
function constant(head: string): string {
  return head.replace(/^(X-Request-Id|traceparent|X-Forwarded-Port): .*\r\n/gm, '')
}

test('each request and response of a connection is written as if it were the first', async (t) => {
  const seen: string[] = []
  const origin = await startOrigin(
    t,
    answering((head) => {
      seen.push(head)
      return answer(head)
    })
  )
  const proxy = () => startSimpleProxy(t, [origin.address])
  const alone: string[] = []
  for (const line of LINES) alone.push(await ask(await dial(t, (await proxy()).port), line))
  const seenAlone = seen.splice(0)
  const client = await dial(t, (await proxy()).port)
  const together: string[] = []
  for (const line of LINES) together.push(await ask(client, line))

  assert.deepEqual(together, alone)
  assert.deepEqual(seen.map(constant), seenAlone.map(constant))
  const ids = seen.map((head) => /^X-Request-Id: (.*)\r$/m.exec(head)?.[1])
  assert.equal(new Set(ids).size, LINES.length, 'every request has an id of its own')
})
