/** `clusters[]` in the configuration's JSON Schema. */
import {
  ADDRESS,
  duration,
  integer,
  list,
  mapping,
  NAME,
  type Schema,
  size
} from './schema-parts.ts'
import { tuningProperties } from './tuning.ts'

/** What may have gone wrong with an attempt for the request to be sent again. */
export const RETRY_CONDITIONS = [
  'connect-failure',
  'reset',
  'timeout',
  'gateway-error',
  '5xx'
] as const

const retryCondition: Schema = {
  title: 'retryOn',
  anyOf: [{ enum: RETRY_CONDITIONS }, { type: 'integer', minimum: 400, maximum: 599 }]
}

const endpoint = mapping(
  {
    address: {
      ...ADDRESS,
      description: 'http://HOST:PORT, unix:///PATH, shm:///PATH, or shm:///DIRECTORY/.'
    },
    weight: integer(1, 1000, 'Takes so many times the requests of one with weight 1. Default 1.'),
    memory: size('shm://: shared memory of the session. Default 64MiB.'),
    ...tuningProperties
  },
  { required: ['address'] }
)

export const clusterSchema: Schema = mapping(
  {
    name: { ...NAME, description: 'Unique; not passthrough.' },
    endpoints: list(endpoint, 'Who serves it. The least busy is asked first.'),
    timeouts: mapping({
      connect: duration('To make a connection. Default 1s.'),
      queue: duration('To wait for a free connection. Default 5s.'),
      head: duration("From the request's start to the head of the response. Default none."),
      perTry: duration('The same, of each attempt. Default none.'),
      body: duration('Without any byte to or from the upstream. Default 5m; 0s: none.'),
      request: duration("From the request's start to the end of the response. Default none."),
      idle: duration('How long an unused connection is kept. Default 30s.')
    }),
    retries: integer(0, 10, 'Attempts after the first. Default 2.'),
    retryOn: list(
      retryCondition,
      'Default: connect-failure, reset, timeout. Statuses may be given as numbers.',
      0
    ),
    retryBackoff: duration(
      'Longest pause before the first retry; it doubles, and is random. Default 25ms.'
    ),
    retryBudget: mapping(
      {
        percent: integer(0, 100, 'Of the requests in flight. Default 20.'),
        minimum: integer(0, 65535, 'Allowed at any time. Default 3.')
      },
      { description: 'How many requests may be retried at once after a timeout or a status.' }
    ),
    retryBufferLimit: size('How much of a body is kept to send it again. Default 2MiB.'),
    requests: integer(1, 1_000_000, 'In flight at once, over all endpoints. Default: no limit.'),
    connections: integer(1, 65535, 'Per endpoint. Default 1024.'),
    pending: integer(0, 65535, 'Requests that may wait, per endpoint or cluster. Default 1024.'),
    outlier: mapping(
      {
        consecutive5xx: integer(
          1,
          1000,
          'Answers 5xx in a row, then it is passed over. Default 5.'
        ),
        ejection: duration('For how long, the first time. Default 30s.'),
        maxEjection: duration('It doubles each time, up to this. Default 5m.'),
        maxEjectedPercent: integer(
          0,
          100,
          'Of the endpoints at once; one may always be. Default 10.'
        )
      },
      { description: 'Passes over endpoints that answer 5xx. Default: it does not.' }
    ),
    minFreeMemory: integer(
      0,
      90,
      'shm://: with less of its memory free, in percent, an endpoint is sent nothing new. Default 0.'
    )
  },
  { required: ['name', 'endpoints'] }
)
