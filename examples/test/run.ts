import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Of the repository. Compiled to dist/examples/test/. */
export const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url))

/** A program of the examples, killed when its test ends. */
export class Run {
  readonly process: ChildProcess
  readonly exit: Promise<unknown[]>
  output = ''

  constructor(
    t: TestContext,
    directory: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {}
  ) {
    this.process = spawn(process.execPath, args, {
      env: { ...process.env, SHMESH_DIR: directory, PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.exit = once(this.process, 'close')
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
    t.after(() => this.process.kill('SIGKILL'))
  }

  /** Rejects when the process ends without having printed it. */
  async printed(text: string): Promise<void> {
    const ended = this.exit.then(() => assert.fail(this.output))
    ended.catch(() => undefined)
    while (!this.output.includes(text)) {
      await Promise.race([once(this.process.stdout!, 'data'), ended])
    }
  }
}
