import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { InvalidArgumentError, ProtocolError, SHM_ERROR_CODES, ShmError } from '../errors.ts'

/** The repository, from the sources as well as from dist/. */
function repositoryFile(path: string): string {
  let directory = new URL('../../', import.meta.url)
  while (!existsSync(new URL('package.json', directory))) directory = new URL('../', directory)
  return readFileSync(new URL(path, directory), 'utf8')
}

describe('the error reference', () => {
  const rows = [
    ...repositoryFile('docs/reference/errors.md').matchAll(/^\| `(SHM_ERR_\w+)` \|(.*)$/gm)
  ]

  it('has exactly one row for every code, in the same order', () => {
    assert.deepEqual(
      rows.map((row) => row[1]),
      [...SHM_ERROR_CODES]
    )
  })

  it('says for each what it means and what to do', () => {
    for (const [, code, cells] of rows) {
      const [meaning = '', solution = ''] = cells!.split(/(?<!\\)\|/)
      assert.ok(meaning.trim().length > 20, code)
      assert.ok(solution.trim().length > 20, code)
    }
  })
})

describe('ShmError', () => {
  it('carries code, name and cause', () => {
    const cause = new Error('below')
    const error = new ProtocolError('bad magic', { cause })
    assert.ok(error instanceof ShmError)
    assert.equal(error.name, 'ProtocolError')
    assert.equal(error.code, 'SHM_ERR_PROTOCOL')
    assert.equal(error.cause, cause)
  })

  it('prints what was given without dumping objects', () => {
    const got = (value: unknown): string => new InvalidArgumentError('x', 'y', value).message
    assert.equal(got('5'), 'x must be y, got "5"')
    assert.equal(got(5), 'x must be y, got 5')
    assert.equal(got(undefined), 'x must be y, got undefined')
    assert.equal(got([1]), 'x must be y, got an array')
    assert.equal(got({ secret: 1 }), 'x must be y, got an object')
  })
})
