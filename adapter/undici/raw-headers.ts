import type { Headers } from '../http1/index.ts'
import type { HeaderObject } from './handlers.ts'

/** Flat, latin1: what legacy handlers get and `controller.rawHeaders` shows. */
export function toRawHeaders(headers: Headers): Buffer[] {
  const raw: Buffer[] = new Array(headers.length)
  for (let i = 0; i < headers.length; i++) raw[i] = Buffer.from(headers[i] as string, 'latin1')
  return raw
}

/** By lower-case name, as undici does it: values of repeated fields become an array. */
export function toHeaderObject(headers: Headers): HeaderObject {
  const object: HeaderObject = {}
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase()
    const value = headers[i + 1] as string
    const known = object[name]
    if (known === undefined) object[name] = value
    // 'constructor' and the like: they are there, but not ours.
    else if (!Object.hasOwn(object, name)) defineOwn(object, name, value)
    else if (Array.isArray(known)) known.push(value)
    else defineOwn(object, name, [known, value])
  }
  return object
}

/** An assignment to `__proto__` would be one. */
function defineOwn(object: HeaderObject, name: string, value: string | string[]): void {
  Object.defineProperty(object, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true
  })
}

/** The other way, for handlers that want the form the response did not come in. */
export function flatten(headers: HeaderObject): Headers {
  const flat: Headers = []
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) flat.push(name, one)
  }
  return flat
}
