/** Removes generated folders: those named as arguments, or all of them. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fail, ROOT } from './tools.mjs'

const GENERATED = [
  'dist',
  'prebuilds',
  'native/build',
  'native/build-asan',
  'native/build-tsan',
  'adapter/test/interop/build'
]

const names = process.argv.slice(2)
for (const name of names.length > 0 ? names : GENERATED) {
  if (!GENERATED.includes(name)) fail(`${name} is not generated; known are ${GENERATED.join(', ')}`)
  rmSync(join(ROOT, name), { recursive: true, force: true })
}
