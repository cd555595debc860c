import { connect, type ShmSession } from '../../adapter/index.ts'
import { parseMemory } from '../../adapter/options.ts'
import { sharedMemory } from '../../adapter/shmipc/availability.ts'
import { theDoorman } from '../../adapter/shmipc/doorman.ts'
import { QUEUE_CAPACITY } from '../../adapter/shmipc/limits.ts'
import { ShmSession as Session } from '../../adapter/shmipc/session.ts'
import type { EndOptions } from './messages.ts'

/** The session of the soak's client. */
export async function dial({ path, memory, rules }: EndOptions): Promise<ShmSession> {
  if (rules === 'shmesh') return connect(path, { memory })
  // A client without a window does not know credit: the server takes it for plain shmipc.
  const bytes = parseMemory('memory', memory)
  const result = await theDoorman(sharedMemory().addon!).connect(path, bytes, QUEUE_CAPACITY, 0)
  if ('reason' in result) throw new Error(result.reason)
  return new Session(path, result)
}
