/** The guide to operation and the code list the same names, in both directions. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { FIELD_NAMES } from '../access-log/format.ts'
import { FAILURE_FLAGS } from '../failure.ts'
import { parseConfig } from '../index.ts'
import { Metrics } from '../metrics/prometheus.ts'
import { startSimpleProxy, unusedAddress } from './harness.ts'

function read(path: string): string {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
}

/** The rows of the table under a heading, as cells. */
function table(heading: string): string[][] {
  const section = read('docs/guides/operation.md').split(`\n## ${heading}\n`)[1] ?? ''
  const rows = section.split('\n## ')[0]?.match(/^\| `.*$/gm) ?? []
  return rows.map((row) => row.split('|').slice(1, -1))
}

function names(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string)
}

test('every metric is documented, and no other', async (t) => {
  const { proxy } = await startSimpleProxy(t, [await unusedAddress(t)])
  const families = new Metrics(proxy).collect().all.map(({ name }) => name)
  const documented = table('Metrics').flatMap(([cell]) => names(cell as string))
  assert.deepEqual(documented.sort(), families.sort())
})

test('every flag is documented with its reasons, and no other', () => {
  const documented = table('Flags: what they say at three in the morning').flatMap(
    ([flag, reasons]) =>
      names(reasons as string).map((reason) => [reason, names(flag as string)[0]])
  )
  assert.deepEqual(Object.fromEntries(documented), FAILURE_FLAGS)
})

test('every field of the access log is documented, and no other', () => {
  const documented = table('The access log').flatMap(([cell]) => names(cell as string))
  assert.deepEqual(documented.sort(), [...FIELD_NAMES].sort())
})

test('the configurations of the examples can be used', () => {
  const files = ['proxy/shmesh.yaml', 'two-services/proxy-a.yaml', 'two-services/proxy-b.yaml']
  for (const file of files) parseConfig(read(`examples/${file}`), file)
  const [, map] = parseAllDocuments(read('examples/deploy/kubernetes.yaml'))
  const { data } = map?.toJS() as { data: Record<string, string> }
  const config = parseConfig(data['shmesh.yaml'] as string, 'kubernetes.yaml')
  assert.deepEqual(config.readyClusters, ['app'])
})

/** Whether `source` has a test of that name, also as one case of a template. */
function hasTest(source: string, name: string): boolean {
  if (
    quotations(name).some((text) => new RegExp(`\\b(?:test|it)\\(${escaped(text)}`).test(source))
  ) {
    return true
  }
  return [...source.matchAll(/test\(`([^`]*)`/g)].some(([, template]) => {
    const parts = (template as string).split(/\$\{[^}]*\}/).map(escaped)
    const cases = new RegExp(`^${parts.join('(.+)')}$`).exec(name)?.slice(1) ?? []
    return cases.length > 0 && cases.every((one) => quotations(one).some((q) => source.includes(q)))
  })
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function quotations(text: string): string[] {
  return [`'${text}'`, `"${text}"`]
}

for (const [page, column] of [
  ['comparison', 5],
  ['conformance', -1]
] as const) {
  test(`every test that docs/reference/${page}.md names exists, and every row of ours names one`, () => {
    const [, ...sections] = read(`docs/reference/${page}.md`).split(/^## (?!Suites)/m)
    const rows = sections.join('').match(/^\| (?!---| {2}).*\|$/gm) ?? []
    const claims = rows.map((row) => row.slice(1, -1).split(' |'))
    assert.ok(claims.length > 30)
    for (const cells of claims) {
      const [what, ours] = cells.map((cell) => cell.trim())
      if (ours === 'no' || cells.at(-1)?.trim() === 'Test') continue
      const named = /^`(.*)`$/.exec(cells.at(column)?.trim() ?? '')?.[1] ?? ''
      const [file, name] = named.split(/: (.*)/)
      assert.ok(name !== undefined, `${what} names no test`)
      const path = file?.includes('/') ? file : `proxy/test/${file}`
      assert.ok(hasTest(read(path as string), name), `${file} has no test "${name}"`)
    }
  })
}
