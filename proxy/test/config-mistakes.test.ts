import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../index.ts'
import { VALID } from './documented-config.ts'

const listener = (rest: string) => `version: 1
listeners:
  - name: inbound
    address: http://127.0.0.1:8080
    routes: [{ cluster: app }]
${rest}
clusters:
  - name: app
    endpoints: [{ address: "unix:///run/app.sock" }]
`
const cluster = (rest: string) => `${listener('')}${rest}`

const more = (key: string, of: string) => `${key}: &${key} [${Array(9).fill(`*${of}`).join(', ')}]`

const MISTAKES: readonly (readonly [name: string, text: string, message: RegExp])[] = [
  [
    'an unknown key, with the nearest valid one',
    listener('    adress: x'),
    /^f\.yaml:6:5: unknown key "adress" in listeners\[0\]; did you mean "address"\?$/
  ],
  [
    'an unknown key near nothing, with those that are valid',
    cluster('    timeouts: { zzzzzzzzzz: 1s }'),
    /^f\.yaml:10:17: unknown key "zzzzzzzzzz" in clusters\[0\]\.timeouts; valid: connect, queue, /
  ],
  [
    'a duration without its unit',
    cluster('    timeouts: { connect: 250 }'),
    /^f\.yaml:10:26: clusters\[0\]\.timeouts\.connect must be a duration with its unit, .* got 250$/
  ],
  [
    'a duration that is none',
    cluster('    timeouts: { connect: soon }'),
    /^f\.yaml:10:26: clusters\[0\]\.timeouts\.connect must be a duration .* got "soon"$/
  ],
  [
    'no time to connect',
    cluster('    timeouts: { connect: 0s }'),
    /timeouts\.connect must be longer than 0, got "0s"$/
  ],
  [
    'a size with a decimal unit',
    cluster('    retryBufferLimit: 64KB'),
    /^f\.yaml:10:23: clusters\[0\]\.retryBufferLimit must be a size .*64KiB.* got "64KB"$/
  ],
  [
    'absurd memory',
    cluster('  - { name: b, endpoints: [{ address: "shm:///b", memory: 4GiB }] }'),
    /clusters\[1\]\.endpoints\[0\]\.memory must be between '1MiB' and '3GiB', got "4GiB"$/
  ],
  [
    'a cluster that does not exist',
    listener('').replace('cluster: app', 'cluster: appp'),
    /^f\.yaml:5:25: listeners\[0\]\.routes\[0\]\.cluster: there is no cluster "appp"; did you mean "app"\?$/
  ],
  [
    'two clusters of one name',
    cluster('  - { name: app, endpoints: [{ address: "http://b:1" }] }'),
    /^f\.yaml:10:13: clusters\[1\]\.name: "app" is already clusters\[0\]'s name$/
  ],
  [
    'a name that is built in',
    cluster('  - { name: passthrough, endpoints: [{ address: "http://b:1" }] }'),
    /"passthrough" is built in/
  ],
  [
    'https://',
    listener('').replace('http://', 'https://'),
    /^f\.yaml:4:14: listeners\[0\]\.address must be .*TLS is not built yet.* got "https:/
  ],
  [
    'tcp://',
    listener('').replace('http://', 'tcp://'),
    /address must be http:\/\/ for HTTP over TCP .*opaque tunnels/
  ],
  [
    'a scheme with a slip',
    listener('').replace('unix:///', 'unx:///'),
    /did you mean 'unix:\/\/'\?/
  ],
  ['a relative socket path', listener('').replace('unix:///', 'unix://'), /three slashes/],
  [
    'a socket path that is too long',
    listener('').replace('/run/app.sock', `/${'x'.repeat(200)}`),
    /the socket path is 201 bytes long/
  ],
  ['an address with a path', listener('').replace(':8080', ':8080/x'), /only a host and a port/],
  [
    'an endpoint on port 0',
    listener('').replace('unix:///run/app.sock', 'http://a:0'),
    /port other than 0/
  ],
  [
    'decimal permission bits',
    listener('    mode: 0600'),
    /listeners\[0\]\.mode must be permission bits such as 0o600 or "0600", got 600$/
  ],
  [
    'permission bits of a port',
    listener('    mode: "0600"'),
    /^f\.yaml:6:11: listeners\[0\]\.mode: is for unix:\/\/ and shm:\/\/ listeners$/
  ],
  [
    'memory for what needs none',
    listener('').replace('app.sock"', 'app.sock", memory: 64MiB'),
    /clusters\[0\]\.endpoints\[0\]\.memory: is for shm:\/\/ endpoints$/
  ],
  [
    'a host with a port',
    listener('').replace('{ cluster: app }', '{ match: { host: "a:80" }, cluster: app }'),
    /without scheme, port or path/
  ],
  [
    'a star in the middle of a host',
    listener('').replace('{ cluster: app }', '{ match: { host: "a.*.b" }, cluster: app }'),
    /"a\.\*\.b" must be a host, "\*\.suffix" or "\*"/
  ],
  [
    'a route that leads nowhere',
    listener('').replace('{ cluster: app }', '{ match: { prefix: / } }'),
    /^f\.yaml:5:14: listeners\[0\]\.routes\[0\]: needs one of cluster, .* has none$/
  ],
  [
    'a route that leads to two places',
    listener('').replace('{ cluster: app }', '{ cluster: app, respond: { status: 200 } }'),
    /routes\[0\]: needs one of .* has cluster and respond$/
  ],
  [
    'a rewrite of what is not sent on',
    listener('').replace('cluster: app', 'respond: { status: 200 }, rewrite: { path: /x }'),
    /^f\.yaml:5:51: listeners\[0\]\.routes\[0\]\.rewrite: is for routes to a cluster$/
  ],
  [
    'a path and a prefix',
    listener('').replace('{ cluster: app }', '{ match: { path: /a, prefix: / }, cluster: app }'),
    /match\.prefix: a path and a prefix exclude each other$/
  ],
  [
    'weights that are all 0',
    listener('').replace('cluster: app', 'clusters: [{ name: app, weight: 0 }]'),
    /routes\[0\]\.clusters: all weights are 0/
  ],
  [
    'a weighted cluster that does not exist',
    listener('').replace('cluster: app', 'clusters: [{ name: ap, weight: 1 }]'),
    /routes\[0\]\.clusters\[0\]\.name: there is no cluster "ap"; did you mean "app"\?$/
  ],
  [
    'a redirect to itself',
    listener('').replace('cluster: app', 'redirect: { status: 301 }'),
    /routes\[0\]\.redirect: leads back to the same place/
  ],
  [
    'a redirect with another status',
    listener('').replace('cluster: app', 'redirect: { status: 200, path: /x }'),
    /redirect\.status must be 301, 302, 303, 307, 308, got 200$/
  ],
  [
    'a body where none may be',
    listener('').replace('cluster: app', 'respond: { status: 204, body: x }'),
    /respond\.body: a 204 has no body$/
  ],
  [
    'a rewrite with bytes that a target cannot have',
    listener('').replace('cluster: app', 'cluster: app, rewrite: { path: /a b }'),
    /rewrite\.path: must be percent-encoded/
  ],
  [
    'a header test that contradicts itself',
    listener('').replace(
      '{ cluster: app }',
      '{ match: { headers: [{ name: a, exact: b, present: false }] }, cluster: app }'
    ),
    /headers\[0\]: exact and present exclude each other$/
  ],
  [
    'a header name with a space',
    listener('').replace(
      '{ cluster: app }',
      '{ match: { headers: [{ name: a b }] }, cluster: app }'
    ),
    /headers\[0\]\.name must be a name without spaces/
  ],
  [
    'passthrough from outside',
    listener('').replace('cluster: app', 'cluster: passthrough'),
    /routes\[0\]: an inbound listener cannot pass requests through to anywhere/
  ],
  [
    'passthrough where others can connect',
    listener('    direction: outbound')
      .replace('cluster: app', 'cluster: passthrough')
      .replace('127.0.0.1', '0.0.0.0'),
    /routes\[0\]: others can reach http:\/\/0\.0\.0\.0:8080 and would reach everything/
  ],
  [
    'a network that is none',
    listener('passthrough: { deny: [10.0.0.0/33] }'),
    /^f\.yaml:6:23: passthrough\.deny\[0\]: "10\.0\.0\.0\/33" must be an IP address or a network/
  ],
  [
    'a retry condition with a slip',
    cluster('    retryOn: [rest]'),
    /clusters\[0\]\.retryOn\[0\] must be connect-failure, reset, .* got "rest"$/
  ],
  [
    'a directory to listen in',
    listener('').replace('http://127.0.0.1:8080', 'shm:///run/apps/'),
    /names a directory; add the name of the socket file/
  ],
  ['a missing key', 'version: 1\nlisteners: []\n', /the configuration lacks the key "clusters"/],
  [
    'no listener',
    'version: 1\nlisteners: []\nclusters: []',
    /listeners must have at least one entry/
  ],
  ['another version', VALID.replace('version: 1', 'version: 2'), /version must be 1, got 2/],
  [
    'a host with a star and without quotes',
    listener('').replace('cluster: app', 'match: { host: *.mesh }, cluster: app'),
    /^f\.yaml:5:31: no anchor &\.mesh comes before; .* in quotes: "\*" or "\*\.mesh"$/
  ],
  [
    'a star alone without quotes',
    listener('').replace('cluster: app', 'match: { host: * }, cluster: app'),
    /^f\.yaml:5:31: .* in quotes: "\*" or "\*\.mesh"$/
  ],
  [
    'an alias of what it is a part of',
    listener('').replace('[{ cluster: app }]', '&a [*a]'),
    /^f\.yaml:5:17: \*a stands for what it is a part of$/
  ],
  [
    'aliases that multiply',
    ['a: &a [0, 0]', ...'bcdefgh'.split('').map((key, i) => more(key, 'abcdefg'[i]!))].join('\n'),
    /^f\.yaml: Excessive alias count/
  ],
  [
    'a host that no Host field can be',
    listener('').replace('cluster: app', 'rewrite: { host: "a\\0" }, cluster: app'),
    /rewrite\.host: "a\\u0000" must be a host without scheme, port or path$/
  ],
  [
    'a group that is none',
    listener('    group: []'),
    /listeners\[0\]\.group must be the name of a group or its number, got \[\]$/
  ],
  [
    'a number to wait for leaks',
    listener('    leakWarning: 60'),
    /listeners\[0\]\.leakWarning must be a duration with its unit, such as 60s, or false, got 60$/
  ],
  [
    'a number to wake up by',
    listener('    wakeUp: 5'),
    /listeners\[0\]\.wakeUp must be event, poll or a duration with its unit, such as 5ms, got 5$/
  ],
  ['a key given twice', listener('    name: b'), /^f\.yaml:6:5: Map keys must be unique/],
  ['broken YAML', 'version: [1', /^f\.yaml:1:/],
  ['a text', 'hello', /the configuration must be a mapping, got "hello"/],
  ['nothing at all', '', /the configuration must be a mapping, got null/]
]

for (const [name, text, message] of MISTAKES) {
  test(`refuses ${name}`, () => {
    assert.throws(() => parseConfig(text, 'f.yaml'), { name: 'ConfigError', message })
  })
}

test('tells all mistakes at once, one to a line', () => {
  const text = listener('    adress: x').replace('name: app', 'nam: app')
  assert.throws(
    () => parseConfig(text, 'f.yaml'),
    (error: Error) => error.message.split('\n').length === 3
  )
})
