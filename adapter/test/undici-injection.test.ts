/** What could begin another line, or another message, is refused before anything is sent. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
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

/** The same fields in every form undici takes them. */
function inEveryForm(name: string, fields: readonly (readonly [string, string])[]) {
  return [
    [`${name}, flat`, { headers: fields.flat() }],
    [`${name}, pairs`, { headers: new Set(fields) }],
    [`${name}, map`, { headers: new Map(fields) }],
    // As parsed: also `__proto__` would be a field of its own.
    [`${name}, object`, { headers: Object.fromEntries(fields) }]
  ] as const
}

/** What frames or routes a message, in spellings that are one field to a server. */
const FRAMING = ['Transfer-Encoding', 'Keep-Alive', 'Upgrade', 'Expect'].flatMap((name) =>
  [name, name.toLowerCase(), name.toUpperCase()].flatMap((spelt) =>
    inEveryForm(spelt, [[spelt, 'chunked']])
  )
)
const TWICE = [
  ['content-length', '1'],
  ['host', 'app.test']
].flatMap(([name, value]) => [
  ...inEveryForm(`${name} in two spellings`, [
    [name!, value!],
    [name!.toUpperCase(), value!]
  ]),
  ...inEveryForm(`${name} in two spellings that disagree`, [
    [name!, value!],
    [name!.toUpperCase(), `${value}2`]
  ])
])

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
  ...[...FRAMING, ...TWICE].map(([name, options]): [string, object] => [
    name,
    { method: 'POST', ...options }
  ]),
  ['__proto__ with a line end', { headers: JSON.parse('{"__proto__": "x\\r\\ninjected: 1"}') }],
  ['a name that ends __proto__', { headers: { '__proto__\r\nx': 'y' } }],
  ['scheme', { origin: 'ftp://app.test' }],
  ['origin with a space', { origin: 'http://app.test /' }],
  ['origin with a line end and a field', { origin: 'http://app.test\r\nx: y' }],
  ['origin with NUL', { origin: 'http://app\0.test' }],
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

test('what a subscriber adds is checked likewise', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const additions: readonly (readonly [string, unknown])[] = [
    ...LINE_ENDS.flatMap((text) => [
      ['a', `x${text}y`] as const,
      [`a${text}b`, 'x'] as const,
      ['Host', `a${text}b`] as const
    ]),
    ['transfer-encoding', 'chunked'],
    ['TRANSFER-ENCODING', 'chunked'],
    ['a', twoFaced()]
  ]
  for (const [name, value] of additions) {
    let thrown: unknown
    const add = (message: unknown) => {
      const { request } = message as { request: { addHeader(name: string, value: unknown): void } }
      try {
        request.addHeader(name, value)
      } catch (error) {
        thrown = error
      }
    }
    subscribe('undici:request:create', add)
    const { events } = await transcribe(agent, {
      origin: 'http://app.test',
      path: '/',
      method: 'POST',
      body: 'x'
    }).finally(() => unsubscribe('undici:request:create', add))
    const shown = JSON.stringify([name, value])
    if (thrown === undefined) assert.match(events.join(), /^error UND_ERR_INVALID_ARG$/, shown)
    else assert.equal((thrown as { code?: string }).code, 'UND_ERR_INVALID_ARG', shown)
  }
  // Those whose subscriber was told at once went as they were.
  for (const { headers, bytes } of await server.call('seen')) {
    assert.deepEqual(headers, [
      'host',
      'app.test',
      'connection',
      'keep-alive',
      'content-length',
      '1'
    ])
    assert.equal(bytes, 1)
  }
})

test('fields that are only inherited are not sent', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const options = { origin: 'http://app.test', path: '/', method: 'GET' } as const
  const headers = Object.create({ 'transfer-encoding': 'chunked', injected: '1' })
  headers.own = '1'
  await transcribe(agent, { ...options, headers })
  assert.deepEqual((await server.call('seen'))[0]?.headers.slice(4), ['own', '1'])
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
