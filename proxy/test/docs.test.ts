/** The reference page and the code list the same keys and the same reasons, in both directions. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { FAILURE_REASONS } from '../counters.ts'
import { configSchema } from '../index.ts'

const page = readFileSync(
  new URL('../../../docs/reference/proxy-config.md', import.meta.url),
  'utf8'
)

interface Schema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

/** `timeouts.connect` for every key below `schema` that has no keys of its own. */
function leaves(schema: Schema, prefix = ''): string[] {
  if (schema.items?.properties !== undefined) return leaves(schema.items, `${prefix}[]`)
  if (schema.properties === undefined) return [prefix]
  return Object.entries(schema.properties).flatMap(([key, value]) =>
    leaves(value, prefix === '' ? key : `${prefix}.${key}`)
  )
}

/** The first cells of the table under a heading, without their backticks. */
function documented(heading: string): string[] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...section.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1] as string)
}

test('every key of the schema is documented, and no other', () => {
  const properties = (configSchema as Schema).properties ?? {}
  const { listeners, clusters, ...top } = properties
  const switches = Object.keys(top).filter((key) => Array.isArray(top[key]?.type))
  const keys = [...switches, ...leaves({ properties: top })]
  assert.deepEqual(documented('Top level').sort(), keys.sort())
  for (const [heading, schema] of [
    ['`listeners[]`', listeners],
    ['`clusters[]`', clusters]
  ] as const) {
    const keys = leaves(schema?.items as Schema)
    // A list with documented entries is documented by them.
    const shown = documented(heading).filter((key) => key !== 'routes')
    assert.deepEqual(shown.sort(), keys.sort(), heading)
  }
})

test('schema.json is the schema', () => {
  const published: unknown = JSON.parse(
    readFileSync(new URL('../../../schema.json', import.meta.url), 'utf8')
  )
  assert.deepEqual(published, configSchema, 'run: npx shmesh proxy --schema > schema.json')
})

test('every failure reason is documented, and no other', () => {
  assert.deepEqual(documented('What the proxy answers itself').sort(), [...FAILURE_REASONS].sort())
})
