/** `listeners[]` in the configuration's JSON Schema. */
import { ADDRESS, duration, flag, list, mapping, NAME, type Schema } from './schema-parts.ts'
import { routeSchema } from './schema-route.ts'
import { tuningProperties } from './tuning.ts'

export const listenerSchema: Schema = mapping(
  {
    name: { ...NAME, description: 'In logs and statistics. Unique.' },
    address: { ...ADDRESS, description: 'http://HOST:PORT, unix:///PATH or shm:///PATH.' },
    routes: list(routeSchema, 'Tried in order; the first that matches wins.'),
    direction: {
      enum: ['inbound', 'outbound'],
      description: 'Default: inbound for http://, else outbound.'
    },
    trustForwarded: {
      title: 'trust',
      anyOf: [{ type: 'boolean' }, { type: 'array', items: { type: 'string' } }],
      description: 'Whom to believe about whom it speaks for: everybody, nobody, or networks.'
    },
    forwarded: flag('Adds Forwarded (RFC 7239). Default false.'),
    via: flag('Adds Via. Default true.'),
    normalizePath: flag('Routes, logs and sends on the path in its normal form. Default false.'),
    mode: {
      title: 'mode',
      anyOf: [
        { type: 'integer', minimum: 0, maximum: 0o777 },
        { type: 'string', pattern: '^0?[0-7]{3}$' }
      ],
      description: 'Permission bits of the socket. Default 0o600.'
    },
    group: {
      title: 'group',
      anyOf: [
        { type: 'string', minLength: 1 },
        { type: 'integer', minimum: 0 }
      ],
      description: 'Group of the socket, by name or number.'
    },
    takeover: flag('Replace a living server on the same path. Default false.'),
    ...tuningProperties,
    timeouts: mapping({
      head: duration("From a request's first byte to the end of its head. Default 60s."),
      body: duration('Without any byte to or from the client. Default 60s.'),
      request: duration(
        "From the end of a request's head to the end of its body; 0s is no limit. Default 0s."
      ),
      idle: duration('Between two requests of a connection. Default 75s.'),
      tunnel: duration(
        'Without a byte in either direction after an upgrade; 0s is no limit. Default 1h.'
      )
    })
  },
  { required: ['name', 'address', 'routes'] }
)
