/** `request.headers` of one connection's requests, which are much the same again and again. */
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { type TestContext, test } from 'node:test'
import { Random } from './mutations.ts'
import { type Codec, ServerScene, settled } from './server-scene.ts'

const COMMON = ['Host: a', 'Accept: */*', 'Cookie: a', 'X-A: 1', 'Via: 1.1 a']
const OTHERS = ['cookie: c', 'X-a: 2', 'VIA: 1.1 b', 'Age: 1', 'age: 2', 'constructor: d']
const LIST = ['Set-Cookie: e', 'set-cookie: f']

function requests(common: readonly string[], others: readonly string[]): string[] {
  const random = new Random(7)
  return Array.from({ length: 60 }, (_, i) => {
    // Mostly all of them, then a few more.
    const begin = common.slice(0, random.pick([4, 4, 4, 4, common.length]))
    const more = Array.from({ length: random.below(4) }, () => random.pick(others))
    const lines = random.pick([[...begin, ...more, `X-Id: ${i}`], begin])
    const request = `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
    return random.pick([[request], [request, request]])
  }).flat()
}

async function headersOf(
  t: TestContext,
  codec: Codec,
  bytes: readonly string[],
  joinDuplicateHeaders: boolean
): Promise<IncomingHttpHeaders[]> {
  const scene = new ServerScene(t, codec, { joinDuplicateHeaders })
  const seen: IncomingHttpHeaders[] = []
  scene.server.on('request', ({ headers }, response) => {
    seen.push(structuredClone(headers))
    // They are the application's.
    headers.accept = 'changed'
    headers['set-cookie']?.push('changed')
    delete headers.host
    response.end()
  })
  const stream = scene.connect()
  for (const request of bytes) {
    stream.deliver(request)
    await settled()
  }
  return seen
}

for (const join of [false, true]) {
  for (const [title, bytes] of Object.entries({
    'no lists': requests(COMMON, OTHERS),
    'lists at the end': requests(COMMON, [...OTHERS, ...LIST]),
    'lists at the beginning': requests(['Host: a', ...LIST, ...COMMON.slice(1)], OTHERS)
  })) {
    test(`each has its own, as by node:http; joinDuplicateHeaders: ${join}, ${title}`, async (t) => {
      const own = await headersOf(t, 'own', bytes, join)
      assert.deepEqual(own, await headersOf(t, 'node', bytes, join))
      assert.equal(own.length, bytes.length)
    })
  }
}
