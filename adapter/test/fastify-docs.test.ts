/** The reference page and the code list the same options. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { SERVER_OPTIONS } from '../server/options.ts'

test('every option of the plugin is documented, and no other', () => {
  const page = readFileSync(
    new URL('../../../docs/reference/plugin-options.md', import.meta.url),
    'utf8'
  )
  const table = page.split('\n## ')[0] ?? ''
  const documented = [...table.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1])
  assert.deepEqual(documented.sort(), [...SERVER_OPTIONS, 'listen'].sort())
})
