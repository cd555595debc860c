import assert from 'node:assert/strict'
import { unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { test } from 'node:test'
import {
  answering,
  atEnd,
  dial,
  ok,
  roundTrip,
  startOrigin,
  temporaryDirectory
} from './harness.ts'
import { addressOf, startApp, startCli, startCliWithin, startShell } from './processes.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

test('--listen and --upstream are a proxy; SIGTERM ends it', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  await startApp(t, address)
  const proxy = startCli(t, [
    'proxy',
    '--listen=http://127.0.0.1:0',
    `--upstream=${address}`,
    '--transport-header',
    '--access-log'
  ])
  const port = Number(new URL(await addressOf(proxy, 'inbound')).port)
  assert.match(await roundTrip(t, port, GET), /^HTTP\/1\.1 200 .*X-Shmesh-Transport: shm/s)
  proxy.process.kill('SIGTERM')

  assert.equal(await proxy.exit(), 0)
  assert.match(
    proxy.stdout,
    /"cause":"SIGTERM","msg":"draining".*\n.*"msg":"drained"|"msg":"drained"/
  )
  const line = proxy.stdout.split('\n').find((text) => text.includes('"msg":"request"'))
  const entry = JSON.parse(line as string)
  assert.equal(entry.status, 200)
  assert.equal(entry.transport, 'shm')
  assert.equal(entry.upstream, `app at ${address}`)
  assert.equal(proxy.stderr, '')
})

test('with SHMESH_DISABLE=1 the same app is reached by sockets, after one warning', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  await startApp(t, address)
  const args = [
    'proxy',
    '--listen=http://127.0.0.1:0',
    `--upstream=${address}`,
    '--transport-header'
  ]
  const proxy = startCli(t, args, { SHMESH_DISABLE: '1' })
  const port = Number(new URL(await addressOf(proxy, 'inbound')).port)
  for (let i = 0; i < 3; i++) {
    assert.match(await roundTrip(t, port, GET), /^HTTP\/1\.1 200 .*X-Shmesh-Transport: socket/s)
  }
  proxy.process.kill('SIGTERM')
  assert.equal(await proxy.exit(), 0)
  assert.equal(proxy.stderr.match(/ShmeshWarning/g)?.length, 1)
})

test('--config runs a file; --check only reads it', async (t) => {
  const directory = temporaryDirectory(t)
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const file = `${directory}/shmesh.yaml`
  const text = `version: 1
admin: http://127.0.0.1:0
listeners:
  - name: front
    address: unix://${directory}/front.sock
    direction: inbound
    routes: [{ cluster: app }]
  - name: tcp
    address: http://127.0.0.1:0
    routes: [{ cluster: app }]
clusters: [{ name: app, endpoints: [{ address: "${origin.address}" }] }]
`
  writeFileSync(file, text)
  const check = startCli(t, ['proxy', '--config', file, '--check'])
  assert.equal(await check.exit(), 0)
  assert.equal(check.stdout, 'the configuration is valid\n')

  const proxy = startCli(t, ['proxy', '--config', file])
  assert.equal(await addressOf(proxy, 'front'), `unix://${directory}/front.sock`)
  const port = Number(new URL(await addressOf(proxy, 'tcp')).port)
  assert.match(await roundTrip(t, port, GET), /^HTTP\/1\.1 200 /)
  const admin = Number(new URL(await addressOf(proxy, 'admin')).port)
  const drain = 'POST /drain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  assert.match(await roundTrip(t, admin, drain), /^HTTP\/1\.1 202 /)
  assert.equal(await proxy.exit(), 0)
  unlinkSync(file)
})

test('a second signal does not wait', async (t) => {
  const directory = temporaryDirectory(t)
  const origin = await startOrigin(t, async (connection) => {
    await connection.gone()
  })
  const listen = [`--listen=http://127.0.0.1:0`, `--listen=unix://${directory}/x.sock`]
  const proxy = startCli(t, ['proxy', ...listen, `--upstream=${origin.address}`])
  const port = Number(new URL(await addressOf(proxy, 'inbound')).port)
  await addressOf(proxy, 'inbound-2')
  const client = await dial(t, port)
  client.write(GET)
  while (origin.connections.length === 0) await new Promise((resolve) => setImmediate(resolve))
  proxy.process.kill('SIGINT')
  await proxy.said(/"msg":"draining"/)
  proxy.process.kill('SIGINT')
  assert.equal(await proxy.exit(), 130)
})

test('out of file descriptors, clients are lost and the proxy is not', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const args = ['proxy', '--listen=http://127.0.0.1:0', `--upstream=${origin.address}`]
  // As many as its modules take, which are all loaded at once.
  const proxy = startCliWithin(t, 96, args)
  const port = Number(new URL(await addressOf(proxy, 'inbound')).port)
  const clients = await Promise.all(Array.from({ length: 160 }, () => dial(t, port)))
  let answered = 0
  for (const client of clients) {
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    try {
      await client.head()
      answered++
    } catch {
      // Accepted and dropped, for want of a descriptor.
    }
    client.stream.destroy()
  }
  assert.ok(answered > 0 && answered < 160, `${answered} of 160 answered`)
  assert.match(await roundTrip(t, port, GET), /^HTTP\/1\.1 200 /)
  proxy.process.kill('SIGTERM')
  assert.equal(await proxy.exit(), 0)
})

const MISTAKES: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [['prox'], /^shmesh: unknown command "prox"; did you mean "proxy"\?\nTry: shmesh --help\n$/],
  [['--versoin'], /unknown option "--versoin"; did you mean "--version"\?/],
  [['proxy'], /give --config, or both --listen and --upstream\nTry: shmesh proxy --help\n$/],
  [['proxy', '--confg', 'x'], /unknown option --confg; did you mean --config\?/],
  [['proxy', '--upsteam=x'], /unknown option --upsteam; did you mean --upstream\?/],
  [['proxy', 'x'], /Unexpected argument 'x'/],
  [['proxy', '--config'], /--config <value>' argument missing/],
  [
    ['proxy', '--config', '/nonexistent'],
    /^shmesh: \/nonexistent: cannot be read: ENOENT; give a YAML or JSON file that uid \d+ may read$/m
  ],
  [['proxy', '--config='], /^shmesh: --config must be a file, got ""\nTry: shmesh proxy --help\n$/],
  [
    ['proxy', '--listen', `shm:///${'x'.repeat(120)}`, '--upstream', 'unix:///x'],
    /^shmesh: --listen: the socket path is 121 bytes long/
  ],
  [['proxy', '--config', 'x', '--listen', 'y'], /--config excludes --listen and --upstream/],
  [
    ['proxy', '--listen', 'http://127.0.0.1:0', '--upstream', 'https://a'],
    /^shmesh: --upstream must be .*TLS is not built yet/
  ],
  [
    ['proxy', '--listen', 'shm://relative', '--upstream', 'unix:///x'],
    /^shmesh: --listen must be .*three slashes/
  ]
]

for (const [args, message] of MISTAKES) {
  test(`shmesh ${args.join(' ')} is a mistake`, async (t) => {
    const cli = startCli(t, args)
    assert.equal(await cli.exit(), 2)
    assert.match(cli.stderr, message)
    assert.doesNotMatch(cli.stderr, /\n {4}at /)
    assert.equal(cli.stdout, '')
  })
}

test('what cannot be bound is named, and nothing else is left bound', async (t) => {
  const directory = temporaryDirectory(t)
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  atEnd(t, () => server.close())
  const { port } = server.address() as { port: number }
  const cases = [
    [
      `http://127.0.0.1:${port}`,
      /^shmesh: inbound-2: listen EADDRINUSE.*; stop what listens there/
    ],
    // For documentation (RFC 5737): no machine has it.
    ['http://192.0.2.1:0', /listen EADDRNOTAVAIL.*; choose an address of this machine/],
    [`shm://${directory}/missing/x.sock`, /^shmesh: inbound-2: .*missing does not exist/],
    [`unix:///${'x'.repeat(120)}`, /the socket path is 121 bytes long/]
  ] as const
  for (const [address, message] of cases) {
    const cli = startCli(t, [
      'proxy',
      `--listen=unix://${directory}/first.sock`,
      `--listen=${address}`,
      '--upstream=http://127.0.0.1:1'
    ])
    assert.equal(await cli.exit(), 2)
    assert.match(cli.stderr, message)
  }
})

test('an access log that cannot be written is no access log', async (t) => {
  const directory = temporaryDirectory(t)
  const file = `${directory}/shmesh.yaml`
  for (const [log, code] of [
    [`${directory}/missing/a.log`, 'ENOENT'],
    [directory, 'EISDIR']
  ] as const) {
    writeFileSync(
      file,
      `version: 1
accessLog: { file: "${log}" }
listeners: [{ name: a, address: "unix://${directory}/a.sock", routes: [{ cluster: app }] }]
clusters: [{ name: app, endpoints: [{ address: "http://127.0.0.1:1" }] }]
`
    )
    const cli = startCli(t, ['proxy', '--config', file])
    assert.equal(await cli.exit(), 2)
    assert.equal(
      cli.stderr,
      `shmesh: accessLog.file: cannot append to ${log}: ${code}; create its directory, or choose a file this user may write\n`
    )
    assert.equal(cli.stdout, '')
  }
  unlinkSync(file)
})

test('a full disk behind stdout is said in one line', async (t) => {
  const command = 'exec "$0" "$@" > /dev/full'
  const cli = startShell(t, command, ['proxy', '--schema'])
  assert.equal(await cli.exit(), 1)
  assert.match(cli.stderr, /^shmesh: stdout cannot be written any more: ENOSPC[^\n]*\n$/)
})

test('--help, --version and --schema answer on stdout', async (t) => {
  for (const [args, text] of [
    [['--help'], /shmesh proxy --config/],
    [['--version'], /^\d+\.\d+\.\d+\n$/],
    [['proxy', '--help'], /--transport-header/],
    [['proxy', '--schema'], /"\$schema": "http:\/\/json-schema\.org/]
  ] as const) {
    const cli = startCli(t, args)
    assert.equal(await cli.exit(), 0)
    assert.match(cli.stdout, text)
    assert.equal(cli.stderr, '')
  }
})
