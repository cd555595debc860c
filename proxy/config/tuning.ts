import {
  pickSessionTuning,
  SESSION_TUNING,
  type SessionTuning
} from '../../adapter/shmipc/index.ts'
import { integer, list, type Schema } from './schema-parts.ts'

/** What a listener or an endpoint of shared memory says of its sessions. */
export const tuningProperties: Readonly<Record<keyof SessionTuning, Schema>> = {
  wakeUp: {
    type: 'string',
    title: 'event, poll or a duration',
    description: 'shm://: how this end waits for messages. Default event.'
  },
  cpus: list(
    integer(0, 1023, 'The number of a processor.'),
    'shm://: processors the whole process runs on.'
  ),
  leakWarning: {
    title: 'duration or false',
    description: 'shm://: how long shared memory may be held unreported. Default 60s.',
    anyOf: [{ type: 'string' }, { const: false }]
  }
}

/**
 * Those of `document` that are given.
 *
 * @param option where it stands in the file, for the message
 * @throws {InvalidArgumentError}, {RangeError} when it is not one of shared memory
 */
export function resolveTuning(
  option: string,
  document: SessionTuning,
  shared: boolean
): { readonly tuning?: SessionTuning } {
  const given = SESSION_TUNING.find((name) => document[name] !== undefined)
  if (given === undefined) return {}
  if (!shared) throw new RangeError(`${option}.${given}: is for shm:// addresses`)
  try {
    return { tuning: pickSessionTuning(document) }
  } catch (error) {
    throw new RangeError(`${option}.${(error as Error).message}`, { cause: error })
  }
}
