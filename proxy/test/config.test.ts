import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig, parseConfig } from '../index.ts'
import { VALID } from './documented-config.ts'

test('reads the documented example, with every default filled in', () => {
  const config = parseConfig(VALID, 'shmesh.yaml')

  assert.deepEqual(config.admin, {
    kind: 'http',
    text: 'http://127.0.0.1:9901',
    host: '127.0.0.1',
    port: 9901
  })
  assert.deepEqual(config.listeners[1], {
    name: 'outbound',
    address: {
      kind: 'shm',
      text: 'shm:///run/shmesh/outbound.sock',
      path: '/run/shmesh/outbound.sock'
    },
    routes: [
      {
        match: {
          host: 'orders.internal',
          path: undefined,
          prefix: '/',
          methods: undefined,
          headers: []
        },
        action: {
          kind: 'forward',
          clusters: [{ name: 'orders', weight: 1 }],
          rewrite: undefined,
          limits: {}
        }
      },
      {
        match: { host: '*', path: undefined, prefix: '/', methods: undefined, headers: [] },
        action: {
          kind: 'forward',
          clusters: [{ name: 'passthrough', weight: 1 }],
          rewrite: undefined,
          limits: {}
        }
      }
    ],
    direction: 'outbound',
    trustForwarded: true,
    forwarded: false,
    via: true,
    normalizePath: false,
    mode: undefined,
    group: undefined,
    takeover: false,
    headTimeoutMs: 60_000,
    bodyTimeoutMs: 60_000,
    requestTimeoutMs: 0,
    idleTimeoutMs: 75_000,
    tunnelTimeoutMs: 3_600_000
  })
  assert.deepEqual(config.clusters[1], {
    name: 'orders',
    endpoints: [
      {
        address: { kind: 'http', text: 'http://10.0.0.5:8080', host: '10.0.0.5', port: 8080 },
        weight: 1,
        memory: undefined
      }
    ],
    connectTimeoutMs: 250,
    queueTimeoutMs: 5000,
    headTimeoutMs: 0,
    perTryTimeoutMs: 0,
    bodyTimeoutMs: 300_000,
    requestTimeoutMs: 5000,
    idleTimeoutMs: 30_000,
    retries: 2,
    retryOn: { connectFailure: true, reset: true, timeout: true, statuses: [] },
    retryBackoffMs: 25,
    retryBudget: { percent: 20, minimum: 3 },
    retryBufferBytes: 2 * 1024 * 1024,
    requests: 0,
    connections: 1024,
    pending: 1024,
    outlier: undefined,
    minFreeMemoryPercent: 0
  })
})

const sharedMemory = (address: string, tuning: object) =>
  JSON.stringify({
    version: 1,
    listeners: [
      {
        name: 'in',
        address: 'shm:///run/in.sock',
        wakeUp: '5ms',
        routes: [{ cluster: 'app' }]
      }
    ],
    clusters: [{ name: 'app', endpoints: [{ address, ...tuning }] }]
  })

test('sessions are tuned by listener and endpoint', () => {
  const tuning = { wakeUp: '1ms', cpus: [0], leakWarning: false }
  const config = parseConfig(sharedMemory('shm:///run/app.sock', tuning), 'a.json')
  assert.deepEqual(config.listeners[0]?.tuning, { wakeUp: '5ms' })
  assert.deepEqual(config.clusters[0]?.endpoints[0]?.tuning, tuning)
})

test('what tunes sessions is refused elsewhere, and by name', () => {
  const refused = [
    ['http://127.0.0.1:1', { wakeUp: '1ms' }, /endpoints\[0\]\.wakeUp: is for shm:/],
    ['shm:///run/app.sock', { wakeUp: 'never' }, /endpoints\[0\]\.wakeUp must be/],
    ['shm:///run/app.sock', { leakWarning: '0s' }, /endpoints\[0\]\.leakWarning must be/]
  ] as const
  for (const [address, tuning, message] of refused) {
    assert.throws(() => parseConfig(sharedMemory(address, tuning), 'a.json'), { message })
  }
})

test('JSON is read as well', () => {
  const json = JSON.stringify({
    version: 1,
    listeners: [{ name: 'in', address: 'http://[::1]:0', routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', endpoints: [{ address: 'unix:///run/app.sock' }] }]
  })
  const config = parseConfig(json.replaceAll(',', ',\n\t'), 'shmesh.json')
  assert.equal(config.listeners[0]?.routes[0]?.match.host, '*')
  assert.deepEqual(config.clusters[0]?.endpoints[0]?.address, {
    kind: 'unix',
    text: 'unix:///run/app.sock',
    path: '/run/app.sock'
  })
})

test('a file that cannot be read is named', () => {
  assert.throws(() => loadConfig('/nonexistent/shmesh.yaml'), {
    code: 'SHM_ERR_CONFIG',
    message: /^\/nonexistent\/shmesh\.yaml: cannot be read: ENOENT; give a YAML or JSON file/
  })
})
