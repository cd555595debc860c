/** Turns what the JSON Schema validator found into sentences that name key and remedy. */
import type { ErrorObject } from 'ajv'
import validate from './document-validator.cjs'
import { type ConfigPath, type ConfigProblem, formatPath } from './problem.ts'
import { didYouMean } from './suggest.ts'

/** Everything in `value` that does not fit the schema; empty when it is a `ConfigDocument`. */
export function validateDocument(value: unknown): ConfigProblem[] {
  if (validate(value)) return []
  // The branches of an anyOf each complain; the anyOf itself says it once.
  const errors = (validate.errors ?? []).filter((error) => !error.schemaPath.includes('/anyOf/'))
  return errors.map(toProblem)
}

function toProblem(error: ErrorObject): ConfigProblem {
  const path = parsePointer(error.instancePath)
  const where = path.length === 0 ? 'the configuration' : formatPath(path)
  const valid = Object.keys(error.parentSchema?.['properties'] ?? {})
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params['additionalProperty'])
      const message = `unknown key "${key}" in ${where}${didYouMean(key, valid)}`
      return { path, key, message }
    }
    case 'required': {
      const missing = String(error.params['missingProperty'])
      return { path, message: `${where} lacks the key "${missing}"` }
    }
    case 'minItems':
      return { path, message: `${where} must have at least one entry` }
    default:
      return { path, message: `${where} must be ${expectation(error)}, got ${show(error.data)}` }
  }
}

const EXPECTATIONS: Readonly<Record<string, string>> = {
  address: 'an address such as "http://127.0.0.1:8080" or "shm:///run/shmesh/app.sock"',
  duration: 'a duration with its unit, such as 250ms or 5s',
  size: 'a size with its unit, such as 64KiB or 64MiB',
  name: 'a name of 1 to 100 characters',
  path: 'a path that starts with /',
  share: 'a share such as 10% or 0.5%',
  'event, poll or a duration': 'event, poll or a duration with its unit, such as 5ms',
  'duration or false': 'a duration with its unit, such as 60s, or false',
  group: 'the name of a group or its number',
  trust: 'true, false or a list of networks such as ["10.0.0.0/8"]',
  accessLog: 'true, false or a mapping',
  tracing: 'true, false or a mapping',
  mode: 'permission bits such as 0o600 or "0600"',
  token: 'a name without spaces, such as GET or x-user',
  methods: 'a method such as GET, or a list of them',
  text: 'a text',
  retryOn: 'connect-failure, reset, timeout, gateway-error, 5xx or a status of 400 to 599',
  network: 'an IP address or network, such as 169.254.0.0/16'
}

function expectation(error: ErrorObject): string {
  const title = EXPECTATIONS[String(error.parentSchema?.['title'])]
  if (title !== undefined) return title
  switch (error.keyword) {
    case 'enum':
      return (error.params['allowedValues'] as unknown[]).join(', ')
    case 'const':
      return JSON.stringify(error.params['allowedValue'])
    case 'type':
      return describeType(error.params['type'])
    case 'minimum':
      return `at least ${error.params['limit']}`
    case 'maximum':
      return `at most ${error.params['limit']}`
    default:
      return `valid: it ${error.message ?? 'does not fit the schema'}`
  }
}

function describeType(type: unknown): string {
  if (type === 'object') return 'a mapping'
  if (type === 'array') return 'a list'
  if (type === 'integer') return 'a whole number'
  return type === 'boolean' ? 'true or false' : `a ${type}`
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** A JSON pointer's steps; list indices become numbers. */
function parsePointer(pointer: string): ConfigPath {
  const steps = pointer.split('/').slice(1)
  return steps.map((step) =>
    /^\d+$/.test(step) ? Number(step) : step.replaceAll('~1', '/').replaceAll('~0', '~')
  )
}
