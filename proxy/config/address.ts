/** Addresses as the configuration writes them: URLs whose scheme says what is spoken there. */
import { InvalidArgumentError } from '../../adapter/errors.ts'
import { parseShmAddress, parseShmDirectory } from '../../adapter/shmipc/index.ts'
import { nearest } from './suggest.ts'

/**
 * HTTP/1.1 over TCP (`http`), over a Unix socket (`unix`), or over shared memory (`shm`); to every
 * socket of a directory (`shm-directory`, endpoints only).
 */
export type Address =
  | { readonly kind: 'http'; readonly text: string; readonly host: string; readonly port: number }
  | {
      readonly kind: 'unix' | 'shm' | 'shm-directory'
      readonly text: string
      readonly path: string
    }

/** What the address is for; it decides which schemes make sense and whether port 0 does. */
export type AddressUse = 'listener' | 'endpoint' | 'admin'

const SCHEMES = ['http', 'unix', 'shm']
const NOT_BUILT: Readonly<Record<string, string>> = {
  https: 'an http://, unix:// or shm:// address (TLS is not built yet)',
  tcp: 'http:// for HTTP over TCP (tcp:// is kept for opaque tunnels, which are not built yet)'
}

/**
 * @param option the key or the command line option, for the message
 * @throws {InvalidArgumentError} for a scheme, host, port or path that cannot work here
 */
export function parseAddress(option: string, text: string, use: AddressUse): Address {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase()
  const refusal = scheme === undefined ? undefined : NOT_BUILT[scheme]
  if (refusal !== undefined) throw new InvalidArgumentError(option, refusal, text)

  if (scheme === 'http') return parseHttp(option, text, use)
  if (scheme === 'unix') return { kind: 'unix', text, path: parsePath(option, text) }
  if (scheme === 'shm' && use !== 'admin') {
    const directory = use === 'endpoint' ? parseShmDirectory(option, text) : undefined
    if (directory !== undefined) return { kind: 'shm-directory', text, path: directory }
    return { kind: 'shm', text, path: parseShmAddress(option, text) }
  }
  throw new InvalidArgumentError(option, expectation(scheme, use), text)
}

function expectation(scheme: string | undefined, use: AddressUse): string {
  const schemes = use === 'admin' ? 'http:// or unix://' : 'http://, unix:// or shm://'
  const suggestion = scheme === undefined ? undefined : nearest(scheme, SCHEMES)
  const hint = suggestion === undefined ? '' : ` (did you mean '${suggestion}://'?)`
  return `an address that starts with ${schemes}${hint}`
}

function parseHttp(option: string, text: string, use: AddressUse): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const example = `'http://127.0.0.1:8080'`
  if (url === undefined || url.hostname === '') {
    throw new InvalidArgumentError(option, `a host with a port, such as ${example}`, text)
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new InvalidArgumentError(option, `only a host and a port, such as ${example}`, text)
  }
  const port = url.port === '' ? 80 : Number(url.port)
  if (port === 0 && use === 'endpoint') {
    throw new InvalidArgumentError(option, 'an endpoint with a port other than 0', text)
  }
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return { kind: 'http', text, host, port }
}

function parsePath(option: string, text: string): string {
  const path = text.slice('unix://'.length)
  if (!path.startsWith('/')) {
    const expected = `'unix:///absolute/path.sock' (three slashes)`
    throw new InvalidArgumentError(option, expected, text)
  }
  return parseShmAddress(option, `shm://${path}`)
}
