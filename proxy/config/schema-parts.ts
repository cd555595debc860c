/** What several parts of the configuration's JSON Schema share. */

export interface Schema {
  readonly [keyword: string]: unknown
}

export const NAME: Schema = { type: 'string', minLength: 1, maxLength: 100, title: 'name' }
export const ADDRESS: Schema = { type: 'string', title: 'address' }

export function duration(description: string): Schema {
  return { type: 'string', title: 'duration', description }
}

export function size(description: string): Schema {
  return { type: 'string', title: 'size', description }
}

export function share(description: string): Schema {
  const pattern = '^[0-9]{1,3}(\\.[0-9]{1,3})?%$'
  return { type: 'string', pattern, title: 'share', description }
}

export function flag(description: string): Schema {
  return { type: 'boolean', description }
}

export function integer(minimum: number, maximum: number, description: string): Schema {
  return { type: 'integer', minimum, maximum, description }
}

/** An absolute path of a URL, without a query. */
export function path(description: string): Schema {
  return { type: 'string', pattern: '^/[^?#]*$', title: 'path', description }
}

/** A mapping in which no other key may stand. */
export function mapping(
  properties: Readonly<Record<string, Schema>>,
  options: { readonly required?: readonly string[]; readonly description?: string } = {}
): Schema {
  return { type: 'object', additionalProperties: false, ...options, properties }
}

export function list(items: Schema, description: string, minItems = 1): Schema {
  return { type: 'array', minItems, items, description }
}
