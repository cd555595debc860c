import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sharedMemory } from '../../adapter/index.ts'

const GONE_MS = 30_000
const CLI = fileURLToPath(new URL('../../proxy/cli.cjs', import.meta.url))

test('drives every chain, survives exhaustion and a killed worker, and leaves nothing', async (t) => {
  const demo = new Demo(t, ['--quick'])
  const [code, signal] = await demo.exit

  const last = demo.output.trimEnd().split('\n').at(-1)!
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, demo.output)
  // A busy machine may run short of memory once more when a worker is started again, and end so.
  const labels =
    sharedMemory().addon === undefined ? 'socket' : 'shm( -> fallback -> shm)+( -> fallback)?'
  assert.match(last, new RegExp(`^[\\d,]+ requests, 0 failed, ${labels}, CPU .+, 0 slices leaked$`))
  await demo.assertNothingLeft()
})

test('leaves nothing when interrupted', async (t) => {
  const demo = new Demo(t, ['--quick'])
  await demo.printed('round 1/1')
  demo.process.kill('SIGINT')

  assert.deepEqual(await demo.exit, [130, null], demo.output)
  await demo.assertNothingLeft()
})

test('names an option it does not know', async (t) => {
  const demo = new Demo(t, ['--fast'])

  assert.deepEqual(await demo.exit, [2, null])
  assert.match(demo.output, /unknown option --fast/)
})

/** A run of `shmesh demo` with a directory for temporary files of its own. */
class Demo {
  readonly process: ChildProcess
  readonly exit: Promise<unknown[]>
  output = ''
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'shmesh-test-'))

  constructor(t: TestContext, args: readonly string[]) {
    this.process = spawn(process.execPath, [CLI, 'demo', ...args], {
      env: { ...process.env, TMPDIR: this.#directory },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.exit = once(this.process, 'close')
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    t.after(() => {
      this.process.kill('SIGKILL')
      rmSync(this.#directory, { recursive: true, force: true })
    })
  }

  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) await once(this.process.stdout!, 'data')
  }

  async assertNothingLeft(): Promise<void> {
    assert.deepEqual(readdirSync(this.#directory), [])
    // One that has been killed is there until the kernel has freed its memory.
    const deadline = performance.now() + GONE_MS
    while (descendants(this.#directory).length > 0 && performance.now() < deadline) {
      await setImmediate()
    }
    assert.deepEqual(descendants(this.#directory), [])
  }
}

/** Command lines of living processes that inherited a `TMPDIR` of `directory`. */
function descendants(directory: string): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1')
        if (!environment.includes(directory)) return []
        return [readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')]
      } catch {
        // It ended meanwhile, or is somebody else's.
        return []
      }
    })
}
