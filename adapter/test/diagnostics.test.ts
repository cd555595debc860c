import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { existsSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import {
  DIAGNOSTICS_CHANNELS,
  publishSessionClose,
  publishSessionOpen,
  publishSliceLeak,
  publishStreamFallback,
  publishTransportChange
} from '../diagnostics.ts'

function publishAll(): void {
  publishSessionOpen({ path: '/x', role: 'client', memoryBytes: 1 })
  publishSessionClose({ path: '/x', role: 'client' })
  publishStreamFallback('/x', 7, 64)
  publishTransportChange({ path: '/x', from: 'shm', to: 'socket', reason: 'test' })
  publishSliceLeak({ path: '/x', kind: 'lease', streamId: 7, bytes: 64, ageMs: 60_000 })
}

it('publishes each event under its documented name, and nothing to nobody', () => {
  const seen: unknown[] = []
  const record = (message: unknown, name: string | symbol): void => {
    seen.push([name, message])
  }
  publishAll()
  for (const name of DIAGNOSTICS_CHANNELS) subscribe(name, record)
  publishAll()
  for (const name of DIAGNOSTICS_CHANNELS) unsubscribe(name, record)
  publishAll()
  assert.deepEqual(seen, [
    ['shmesh:session:open', { path: '/x', role: 'client', memoryBytes: 1 }],
    ['shmesh:session:close', { path: '/x', role: 'client' }],
    ['shmesh:stream:fallback', { path: '/x', streamId: 7, bytes: 64 }],
    ['shmesh:transport:change', { path: '/x', from: 'shm', to: 'socket', reason: 'test' }],
    ['shmesh:slice:leak', { path: '/x', kind: 'lease', streamId: 7, bytes: 64, ageMs: 60_000 }]
  ])
})

it('documents each channel, and the fields of its message', () => {
  const text = repositoryFile('docs/reference/diagnostics.md')
  const sections = [...text.matchAll(/^## `(shmesh:[\w:]+)`$/gm)].map(([, name]) => name)
  assert.deepEqual(sections, [...DIAGNOSTICS_CHANNELS])
  const source = repositoryFile('adapter/diagnostics.ts')
  for (const [i, name] of DIAGNOSTICS_CHANNELS.entries()) {
    const fields = fieldsOf(source, name)
    assert.ok(fields.length > 1, name)
    const section = text.split(/^## /m)[i + 1]!
    const documented = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field)
    assert.deepEqual(documented, fields, name)
  }
})

/** The fields of the interface whose comment begins with the channel's name. */
function fieldsOf(source: string, channel: string): string[] {
  const from = source.indexOf(`/** \`${channel}\`:`)
  assert.ok(from >= 0, channel)
  const body = source.slice(from, source.indexOf('\n}\n', from))
  return [...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, field]) => field!)
}

/** The repository, from the sources as well as from dist/. */
function repositoryFile(path: string): string {
  let directory = new URL('../../', import.meta.url)
  while (!existsSync(new URL('package.json', directory))) directory = new URL('../', directory)
  return readFileSync(new URL(path, directory), 'utf8')
}
