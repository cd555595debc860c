/** The tables of docs/reference/interop.md name tests that exist. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const ROOT = new URL('../../../', import.meta.url)

/** Where the files that a row names may be. */
const FOLDERS = ['adapter/test/interop/', 'adapter/', '']

const HAZARDS = 19
const FEATURES = 25

const page = readFileSync(new URL('docs/reference/interop.md', ROOT), 'utf8')

/** The titles of the tests of a file; what is filled in at run time matches anything. */
function titles(file: string): RegExp[] {
  const url = FOLDERS.map((folder) => new URL(folder + file, ROOT)).find((url) => existsSync(url))
  assert.ok(url !== undefined, `there is no ${file}`)
  const literal = /\b(?:test|it|hazard)\(\s*(['"`])((?:\\.|(?!\1).)*)\1|\bTEST\(()(\w+)\)/g
  return [...readFileSync(url, 'utf8').matchAll(literal)].map(([, , title, , name]) => {
    const fixed = (name ?? title!).split(/\$\{[^}]*\}/)
    return new RegExp(`^${fixed.map((text) => text.replace(/[^\w\s]/g, '\\$&')).join('.+')}$`)
  })
}

test('every test that the page about peers names exists', () => {
  const named = [...page.matchAll(/`([\w/-]+\.(?:test\.ts|cc)): ([^`]+)`/g)]
  assert.ok(named.length > 40, `${named.length} tests are named`)
  for (const [, file, name] of named) {
    const found = titles(file!).some((title) => title.test(name!))
    assert.ok(found, `${file} has no test "${name}"`)
  }
})

test('each feature of shmipc-go and each hazard has a row, and each row a test', () => {
  const rows = page.match(/^\| (?:\d+ |H\d+ ).*$/gm) ?? []
  const numbers = (prefix: string) =>
    rows.map((row) => new RegExp(`^\\| ${prefix}(\\d+) `).exec(row)?.[1])
  for (let i = 1; i <= FEATURES; i++) assert.ok(numbers('').includes(`${i}`), `row ${i} is missing`)
  for (let i = 1; i <= HAZARDS; i++) assert.ok(numbers('H').includes(`${i}`), `H${i} is missing`)
  for (const row of rows) assert.match(row, /\.(?:test\.ts|cc): /, row)
})
