import assert from 'node:assert/strict'
import { once } from 'node:events'
import { it } from 'node:test'
import { warnOnce } from '../log.ts'

it('warns once per code, also when the module is loaded twice', async () => {
  const copy = (await import(`${new URL('../log.js', import.meta.url)}?copy`)) as {
    warnOnce: typeof warnOnce
  }
  assert.notEqual(copy.warnOnce, warnOnce)
  const seen: string[] = []
  const onWarning = (warning: Error): void => {
    seen.push(`${warning.name} ${(warning as { code?: string }).code} ${warning.message}`)
  }
  process.on('warning', onWarning)
  warnOnce('SHMESH_TEST_A', 'first')
  warnOnce('SHMESH_TEST_A', 'second')
  copy.warnOnce('SHMESH_TEST_A', 'third')
  const last = once(process, 'warning')
  copy.warnOnce('SHMESH_TEST_B', 'other')
  await last
  process.off('warning', onWarning)
  assert.deepEqual(seen, ['ShmeshWarning SHMESH_TEST_A first', 'ShmeshWarning SHMESH_TEST_B other'])
})
