import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { answering, ok, roundTrip, startOrigin, startSimpleProxy } from './harness.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const TRACEPARENT = `traceparent: 00-${TRACE}-${PARENT}-01\r\n`
const NEW = /^traceparent: 00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01\r$/m

/** The head an origin sees, and the line of the access log, of a request with these fields. */
async function traced(t: TestContext, fields: string, trusted = true, tracing: unknown = true) {
  const origin = await startOrigin(
    t,
    answering((head) => ok(head))
  )
  const options = {
    proxy: { tracing, accessLog: true },
    listener: { trustForwarded: trusted }
  }
  const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
  const request = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`
  const answer = await roundTrip(t, port, request)
  const head = answer.slice(answer.indexOf('\r\n\r\n') + 4)
  return { head, entry: JSON.parse(accessLog[0] as string) as Record<string, string> }
}

test("a trusted client's trace goes on with a span of the proxy's own", async (t) => {
  const { head, entry } = await traced(t, `${TRACEPARENT}tracestate: a=1\r\nTracestate: b=2\r\n`)
  const span = /^traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-([0-9a-f]{16})-01\r$/m.exec(head)
  assert.ok(span !== null, head)
  assert.notEqual(span[1], PARENT)
  assert.match(head, /^tracestate: a=1\r\ntracestate: b=2\r$/m)
  assert.equal(entry['traceId'], TRACE)
  assert.equal(entry['spanId'], span[1])
  assert.equal(entry['parentId'], PARENT)
})

test('a client that is not trusted decides nothing about traces', async (t) => {
  const b3 = `b3: ${TRACE}-${PARENT}-1\r\nX-B3-TraceId: ${TRACE}\r\nX-B3-SpanId: ${PARENT}\r\n`
  const { head, entry } = await traced(t, `${TRACEPARENT}tracestate: a=1\r\n${b3}`, false)
  assert.match(head, NEW)
  // Of fields by their names: a random id may well contain "b3".
  assert.doesNotMatch(head, /^(tracestate|b3|x-b3-\w+):/im)
  assert.doesNotMatch(head, new RegExp(`${TRACE}|${PARENT}`, 'i'))
  assert.notEqual(entry['traceId'], TRACE)
  assert.equal(entry['parentId'], undefined)
})

test('without tracing the fields are sent on as they come', async (t) => {
  const fields = `${TRACEPARENT}tracestate: a=1\r\nb3: 0\r\n`
  const { head, entry } = await traced(t, fields, false, false)
  assert.ok(head.includes(fields), head)
  assert.equal(entry['traceId'], undefined)
})

test('what is no trace is replaced by a new one', async (t) => {
  const bad = [
    '',
    `traceparent: ff-${TRACE}-${PARENT}-01\r\n`,
    `traceparent: 00-${'0'.repeat(32)}-${PARENT}-01\r\n`,
    `traceparent: 00-${TRACE}-${'0'.repeat(16)}-01\r\n`,
    `traceparent: 00-${TRACE}-${PARENT}-01-more\r\n`,
    `traceparent: 00-${TRACE.toUpperCase()}-${PARENT}-01\r\n`,
    `${TRACEPARENT}${TRACEPARENT}`,
    `b3: ${TRACE}-${PARENT}-7\r\n`,
    `X-B3-TraceId: ${TRACE}\r\n`
  ]
  for (const fields of bad) {
    const { head } = await traced(t, `${fields}tracestate: a=1\r\n`)
    assert.match(head, NEW, fields)
    assert.doesNotMatch(head, new RegExp(`tracestate|${TRACE}`, 'i'), fields)
  }
})

test('a later version of traceparent is gone on with as the one we know', async (t) => {
  const { head } = await traced(t, `traceparent: cc-${TRACE}-${PARENT}-ff-what\r\n`)
  assert.match(head, /^traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-03\r$/m)
})

test('b3 is answered in kind, in one field and in several', async (t) => {
  const single = await traced(t, `b3: ${TRACE}-${PARENT}-1-05e3ac9a4f6e3b90\r\n`)
  assert.match(single.head, new RegExp(`^b3: ${TRACE}-[0-9a-f]{16}-1-${PARENT}\\r$`, 'm'))
  assert.doesNotMatch(single.head, /traceparent/)
  const several = await traced(
    t,
    `X-B3-TraceId: a3ce929d0e0e4736\r\nX-B3-SpanId: ${PARENT}\r\nX-B3-Sampled: 0\r\n`
  )
  assert.match(several.head, /^X-B3-TraceId: a3ce929d0e0e4736\r\nX-B3-SpanId: [0-9a-f]{16}\r$/m)
  assert.match(
    several.head,
    new RegExp(`^X-B3-ParentSpanId: ${PARENT}\\r\\nX-B3-Sampled: 0\\r$`, 'm')
  )
  assert.equal(several.entry['traceId'], 'a3ce929d0e0e4736')
})

test('a trusted client may only have decided whether to sample', async (t) => {
  assert.match((await traced(t, 'b3: 0\r\n')).head, /^traceparent: 00-.*-00\r$/m)
  const denied = { sample: '0%' }
  assert.match((await traced(t, '', true, denied)).head, /^traceparent: 00-.*-00\r$/m)
  assert.match((await traced(t, 'X-B3-Sampled: 1\r\n', true, denied)).head, NEW)
})
