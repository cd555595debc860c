/** What of a running proxy can become what a new configuration says, and what cannot. */
import { isDeepStrictEqual } from 'node:util'
import { ShmError } from '../adapter/errors.ts'
import type { ListenerConfig, ProxyConfig } from './config/types.ts'

/** Other processes know where these are, and they outlive every reload. */
const FIXED = ['admin', 'health', 'accessLog'] as const

/** @throws {ShmError} `SHM_ERR_CONFIG` when only a new process could run on `next` */
export function checkReloadable(now: ProxyConfig, next: ProxyConfig): void {
  const changed: string[] = FIXED.filter((key) => !isDeepStrictEqual(now[key], next[key]))
  for (const listener of next.listeners) {
    const old = now.listeners.find((other) => sameAddress(other, listener))
    if (old === undefined || sameSocket(old, listener)) continue
    changed.push(`mode, group or takeover of listener ${listener.name}`)
  }
  if (changed.length === 0) return
  throw new ShmError('SHM_ERR_CONFIG', `${changed.join(', ')} can only change with a restart`)
}

/** What is bound for one serves the other. */
export function sameAddress(one: ListenerConfig, other: ListenerConfig): boolean {
  if (!isDeepStrictEqual(one.address, other.address)) return false
  // Port 0 is another port each time.
  const free = one.address.kind === 'http' && one.address.port === 0
  return !free || one.name === other.name
}

function sameSocket(one: ListenerConfig, other: ListenerConfig): boolean {
  return one.mode === other.mode && one.group === other.group && one.takeover === other.takeover
}
