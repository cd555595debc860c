/** The agent under each major version of undici that users may have. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startScripted } from './scripted.ts'
import { scene } from './support/scene.ts'

const OK = 'HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 2\r\n\r\nok'
const SCRIPT = {
  '/ok': { parts: [OK] },
  '/large': { parts: [`HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}`] },
  '/never': {},
  '/chunked': {
    parts: [
      'HTTP/1.1 200 OK\r\nX-A: b\r\nx-a: caf\xe9\r\ntransfer-encoding: chunked\r\n\r\n' +
        '2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n'
    ]
  },
  '/switch': {
    parts: [
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\ngreeting'
    ]
  },
  '/cut': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nshort'], finally: 'end' },
  '/moved': { parts: ['HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n'] },
  '/away': {
    parts: ['HTTP/1.1 301 Away\r\nlocation: http://other.test/moved\r\ncontent-length: 0\r\n\r\n']
  },
  '/flaky': { parts: [OK], once: true, finally: 'destroy' }
} as const

const EXPECTED = {
  request: [200, ['b', 'caf\xe9'], 'ok', { 'x-sum': '1' }],
  'read in shared memory': 100_000,
  'raw headers': ['X-A', 'b', 'content-length', '2'],
  stream: 'ok',
  pipeline: 'ok',
  upgrade: 'greeting',
  fetch: [200, 'b, caf\xe9', 'ok'],
  'fetch aborted': '23',
  'global fetch': [200, 'b, caf\xe9', 'ok'],
  'global fetch aborted': '23',
  'fetch with the agent given': 'ok',
  'headers timeout': 'UND_ERR_HEADERS_TIMEOUT',
  injection: 'UND_ERR_INVALID_ARG',
  'no handler': 'invalid onConnect method',
  'limits of messages': true,
  cut: 'UND_ERR_SOCKET',
  'its own error': true,
  composed: [200, 'ok'],
  maxRedirections: 'UND_ERR_INVALID_ARG',
  'maxRedirections that is none': 'UND_ERR_INVALID_ARG',
  retried: 'ok',
  'its fallback': ['ok', 'ok'],
  transport: 0,
  close: 'UND_ERR_DESTROYED'
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

/** The `fetch` of Node.js 26 does not look at the global dispatcher of undici 6, whatever it is. */
const UNSEEN = 'TypeError: fetch failed'

const OF_UNDICI_6 = {
  ...(major < 26 ? {} : { 'global fetch': UNSEEN, 'global fetch aborted': UNSEEN }),
  'no handler': 'invalid onError method',
  maxRedirections: [
    [302, ''],
    [200, 'ok'],
    [200, 'ok']
  ]
}

const VERSIONS = [
  { name: 'undici-6' },
  { name: 'undici' },
  {
    name: 'undici-8',
    skip: major > 22 || (major === 22 && minor >= 19) ? false : 'it needs Node.js 22.19'
  }
]

for (const { name, skip = false } of VERSIONS) {
  test(`all of it with ${name}`, { skip }, async (t) => {
    const s = await scene(t)
    const { tcp } = await startScripted(s, SCRIPT)
    const script = fileURLToPath(new URL('./fixtures/undici-version.js', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [script, s.path, tcp], {
      env: { ...process.env, SHMESH_TEST_UNDICI: name }
    })
    const expected = name === 'undici-6' ? { ...EXPECTED, ...OF_UNDICI_6 } : EXPECTED
    assert.deepEqual(JSON.parse(stdout), expected)
  })
}
