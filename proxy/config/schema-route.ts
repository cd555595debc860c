/** `listeners[].routes[]` in the configuration's JSON Schema. */
import { duration, integer, list, mapping, NAME, path, type Schema } from './schema-parts.ts'

const TOKEN = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
const FIELD_NAME: Schema = { type: 'string', pattern: TOKEN, title: 'token' }
const FIELD_VALUE: Schema = { type: 'string', title: 'text' }
const HOST: Schema = { type: 'string', minLength: 1 }
const METHOD: Schema = { type: 'string', pattern: TOKEN, title: 'token' }

const header = mapping(
  {
    name: { ...FIELD_NAME, description: 'Name of the field, in any case.' },
    exact: { ...FIELD_VALUE, description: 'The whole value, case-sensitive.' },
    prefix: { ...FIELD_VALUE, description: 'How the value begins, case-sensitive.' },
    present: { type: 'boolean', description: 'Whether there is such a field at all.' }
  },
  { required: ['name'] }
)

const match = mapping(
  {
    host: { ...HOST, description: 'a.test, *.test (any host below it) or * (any).' },
    path: path('The whole path.'),
    prefix: path('Whole segments at the beginning of the path: /api matches /api/x, not /apix.'),
    method: {
      title: 'methods',
      anyOf: [METHOD, { type: 'array', minItems: 1, items: METHOD }],
      description: 'One method or several, in capitals.'
    },
    headers: list(header, 'All of them must match.')
  },
  { description: 'All that is given must match; a route without it takes every request.' }
)

const rewrite = mapping(
  {
    prefix: path('Takes the place of what match.prefix matched.'),
    path: path('Takes the place of the whole path; the query stays.'),
    host: { ...HOST, description: 'The Host the upstream sees.' }
  },
  { description: 'What of the request is changed before it is sent on.' }
)

const redirect = mapping(
  {
    status: { enum: [301, 302, 303, 307, 308], description: 'Default 302.' },
    scheme: { enum: ['http', 'https'], description: 'Default: the one the client came with.' },
    host: { ...HOST, description: 'Default: the host the request asks for.' },
    port: integer(1, 65535, 'Default: that of the scheme.'),
    prefix: path('Takes the place of what match.prefix matched.'),
    path: path('Takes the place of the whole path.')
  },
  { description: 'Answers with another place to ask.' }
)

const respond = mapping(
  {
    status: integer(200, 599, 'The status of the answer.'),
    body: { type: 'string', maxLength: 65536, description: 'Default: none.' },
    contentType: { ...FIELD_VALUE, description: 'Default: text/plain; charset=utf-8.' }
  },
  { required: ['status'], description: 'Answers in place of an upstream.' }
)

export const routeSchema: Schema = mapping({
  match,
  cluster: { ...NAME, description: 'Where matching requests go.' },
  clusters: list(
    mapping(
      { name: NAME, weight: integer(0, 1_000_000, 'Its share of the sum of all weights.') },
      { required: ['name', 'weight'] }
    ),
    'Where matching requests go, shared out at random by weight.'
  ),
  rewrite,
  redirect,
  respond,
  timeouts: mapping(
    {
      head: duration("In place of the cluster's."),
      perTry: duration("In place of the cluster's."),
      body: duration("In place of the cluster's."),
      request: duration("In place of the cluster's.")
    },
    { description: "In place of the cluster's, for requests of this route." }
  ),
  retries: integer(0, 10, "In place of the cluster's.")
})
