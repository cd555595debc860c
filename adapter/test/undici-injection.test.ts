/** What could begin another line, or another message, is refused before anything is sent. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentFor, startScripted, transcribe } from './scripted.ts'
import { scene } from './support/scene.ts'

const SCRIPT = { '/': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'] } }

const LINE_ENDS = ['\r', '\n', '\r\n', '\0', '\r\n x: y', '\x0b', '\x7f', '\u0100', '\u560a']

/** Another text each time it is asked. */
function twoFaced(): object {
  let asked = 0
  return { toString: () => (asked++ === 0 ? 'fine' : 'x\r\ninjected: 1') }
}

const CASES: readonly (readonly [name: string, options: object])[] = [
  ...LINE_ENDS.flatMap((text): [string, object][] => {
    const shown = JSON.stringify(text)
    return [
      [`value ${shown}`, { headers: { a: `x${text}y` } }],
      [`value in a list ${shown}`, { headers: { a: ['x', `x${text}y`] } }],
      [`value in an array ${shown}`, { headers: ['a', `x${text}y`] }],
      [`name ${shown}`, { headers: { [`a${text}b`]: 'x' } }],
      [`host ${shown}`, { headers: { host: `a${text}b` } }],
      [`connection ${shown}`, { headers: { connection: `close${text}x` } }],
      [`content-type ${shown}`, { headers: { 'content-type': `a/b${text}c` } }],
      [`content-length ${shown}`, { method: 'POST', headers: { 'content-length': `3${text}` } }],
      [`path ${shown}`, { path: `/${text}` }],
      [`method ${shown}`, { method: `GET${text}` }],
      [`upgrade ${shown}`, { upgrade: `x${text}` }],
      [`type of a blob ${shown}`, { method: 'POST', body: blobOf(`a/b${text}`) }]
    ]
  }),
  ['empty name', { headers: { '': 'x' } }],
  ['name with a space', { headers: { 'a b': 'x' } }],
  ['name with a colon', { headers: { 'a:b': 'x' } }],
  ['object as value', { headers: { a: { b: 1 } } }],
  ['two-faced value', { headers: { a: twoFaced() } }],
  ['two-faced value in a list', { headers: { a: [twoFaced()] } }],
  ['function as value', { headers: { a: () => 'x' } }],
  ['symbol as value', { headers: { a: Symbol('x') } }],
  ['two lengths', { method: 'POST', headers: ['content-length', '1', 'Content-Length', '1'] }],
  ['differing lengths', { method: 'POST', headers: { 'content-length': '1, 2' } }],
  ['signed length', { method: 'POST', headers: { 'content-length': '+1' } }],
  ['hexadecimal length', { method: 'POST', headers: { 'content-length': '0x1' } }],
  ['list of lengths', { method: 'POST', headers: { 'content-length': ['1', '1'] } }],
  ['two hosts', { headers: ['host', 'a', 'HOST', 'a'] }],
  ['list of hosts', { headers: { host: ['a', 'b'] } }],
  ['transfer-encoding', { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } }],
  ['keep-alive', { headers: { 'keep-alive': 'timeout=1' } }],
  ['upgrade as header', { headers: { upgrade: 'x' } }],
  ['expect', { headers: { expect: '100-continue' } }],
  ['connection that names a field', { headers: { connection: 'close, a b' } }],
  ['path with a fragment', { path: '/#a' }],
  ['path with a space', { path: '/a b' }],
  ['path without a slash', { path: 'a' }],
  ['query twice', { path: '/?a', query: { b: 1 } }],
  ['no method', { method: '' }],
  ['odd array', { headers: ['a'] }],
  ['pair of three', { headers: new Set([['a', 'b', 'c']]) }]
]

function blobOf(type: string): Blob {
  // Blob itself would drop such a type; objects that look like one do not.
  return Object.defineProperty(new Blob(['x']), 'type', { value: type })
}

test('requests that carry more than they say are refused', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  for (const [name, options] of CASES) {
    const { events } = await transcribe(agent, {
      origin: 'http://app.test',
      path: '/',
      method: 'GET',
      ...options
    } as never)
    assert.match(events.join(), /^error UND_ERR_(INVALID_ARG|NOT_SUPPORTED)$/, name)
  }
  await server.call('seen').then((seen) => assert.deepEqual(seen, []))
  assert.equal(await server.call('connections'), 0)
})

test('what only looks like it is sent as it is', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const headers = ['__proto__', 'x', 'constructor', 'y', 'a', 'tab\there', 'b', '\xff']
  const { events } = await transcribe(agent, {
    origin: 'http://app.test',
    path: '/',
    method: 'GET',
    headers
  })
  assert.equal(events.at(-1), 'end {}')
  const [seen] = await server.call('seen')
  assert.deepEqual(seen?.headers.slice(4), headers)
  // The built-in fetch repeats a length the user set, too.
  await transcribe(agent, {
    origin: 'http://app.test',
    path: '/',
    method: 'POST',
    headers: { 'content-length': '3, 3' },
    body: 'abc'
  })
  assert.deepEqual((await server.call('seen'))[0]?.bytes, 3)
})
