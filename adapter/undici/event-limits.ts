/** What undici's `WebSocket` and `EventSource` ask their dispatcher before they read a message. */
import { constants } from 'node:buffer'
import { InvalidArgumentError } from '../errors.ts'
import { whole } from './whole.ts'

export interface WebSocketLimits {
  /** Most frames of one message; 0: any number. @defaultValue 131072 */
  readonly maxFragments?: number
  /** Most bytes of one message, also once decompressed; 0: any number. @defaultValue 134217728 */
  readonly maxPayloadSize?: number
}

export interface EventSourceLimits {
  /** Most characters of one event. @defaultValue the longest string of this Node.js */
  readonly maxEventSize?: number
}

/** Without them undici 6 and 7 have no limit at all: the defaults are those of its own dispatchers. */
export interface EventLimits {
  readonly webSocket: Required<WebSocketLimits>
  readonly eventSource: Required<EventSourceLimits>
}

/** @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`) */
export function resolveEventLimits(
  webSocket: WebSocketLimits = {},
  eventSource: EventSourceLimits = {}
): EventLimits {
  for (const [name, value] of Object.entries({ webSocket, eventSource })) {
    if (typeof value === 'object' && value !== null) continue
    throw new InvalidArgumentError(name, 'an object', value)
  }
  const { maxFragments, maxPayloadSize } = webSocket
  const { maxEventSize } = eventSource
  return {
    webSocket: {
      maxFragments: whole('webSocket.maxFragments', maxFragments, 131_072),
      maxPayloadSize: whole('webSocket.maxPayloadSize', maxPayloadSize, 128 * 1024 * 1024)
    },
    eventSource: {
      maxEventSize: whole('eventSource.maxEventSize', maxEventSize, constants.MAX_STRING_LENGTH)
    }
  }
}
