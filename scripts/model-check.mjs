// Checks the SPIN models of native/model: each as it stands must hold, and each of its weakened
// variants, named in the model's first comment, must be caught.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const models = fileURLToPath(new URL('../native/model/', import.meta.url))

if (spawnSync('spin', ['-V']).error !== undefined) {
  console.error('The models need SPIN and a C compiler: apt-get install spin gcc')
  process.exit(1)
}

let failed = 0
for (const file of readdirSync(models).filter((name) => name.endsWith('.pml'))) {
  const source = readFileSync(join(models, file), 'utf8')
  report(file, 'as it stands', errorsOf(file, []) === 0)
  for (const [, variant] of source.matchAll(/^ \* {3}-D(\w+)/gm)) {
    report(file, `weakened by ${variant}`, errorsOf(file, [`-D${variant}`]) > 0)
  }
}
process.exit(failed === 0 ? 0 : 1)

function report(file, what, expected) {
  const verdict = what === 'as it stands' ? 'holds' : 'is caught'
  console.log(
    `${expected ? 'ok' : 'FAILED'}: ${file} ${what} ${expected ? verdict : `not ${verdict}`}`
  )
  if (!expected) failed++
}

/** Errors found in the whole state space: violated assertions and invalid end states. */
function errorsOf(file, defines) {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-model-'))
  const options = { cwd: directory, encoding: 'utf8' }
  try {
    execFileSync('spin', [...defines, '-a', join(models, file)], options)
    execFileSync('gcc', ['-O2', '-w', '-DSAFETY', '-o', 'pan', 'pan.c'], options)
    const output = execFileSync('./pan', ['-m1000000'], options)
    const errors = /errors: (\d+)/.exec(output)?.[1]
    if (errors === undefined || output.includes('max search depth too small')) {
      throw new Error(`${file}: the search did not finish\n${output}`)
    }
    return Number(errors)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
