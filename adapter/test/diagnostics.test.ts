import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { it } from 'node:test'
import {
  publishSessionClose,
  publishSessionOpen,
  publishStreamFallback,
  publishTransportChange
} from '../diagnostics.ts'

const NAMES = [
  'shmesh:session:open',
  'shmesh:session:close',
  'shmesh:stream:fallback',
  'shmesh:transport:change'
]

function publishAll(): void {
  publishSessionOpen({ path: '/x', role: 'client', memoryBytes: 1 })
  publishSessionClose({ path: '/x', role: 'client' })
  publishStreamFallback('/x', 7, 64)
  publishTransportChange({ path: '/x', from: 'shm', to: 'socket', reason: 'test' })
}

it('publishes each event under its documented name, and nothing to nobody', () => {
  const seen: unknown[] = []
  const record = (message: unknown, name: string | symbol): void => {
    seen.push([name, message])
  }
  publishAll()
  for (const name of NAMES) subscribe(name, record)
  publishAll()
  for (const name of NAMES) unsubscribe(name, record)
  publishAll()
  assert.deepEqual(seen, [
    ['shmesh:session:open', { path: '/x', role: 'client', memoryBytes: 1 }],
    ['shmesh:session:close', { path: '/x', role: 'client' }],
    ['shmesh:stream:fallback', { path: '/x', streamId: 7, bytes: 64 }],
    ['shmesh:transport:change', { path: '/x', from: 'shm', to: 'socket', reason: 'test' }]
  ])
})
