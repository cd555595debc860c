/** Processes of the tests: apps, and the command line. None outlives its test. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { atEnd, dial } from './harness.ts'

const APP = fileURLToPath(new URL('./app-process.js', import.meta.url))
const CLI = fileURLToPath(new URL('../cli.cjs', import.meta.url))

/** A started process and what it has said. */
export class Child {
  readonly process: ChildProcessWithoutNullStreams
  stdout = ''
  stderr = ''
  /** Later than its exit: all it has said was read. */
  readonly #closed: Promise<unknown[]>
  #over = false

  constructor(
    t: TestContext,
    command: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {}
  ) {
    this.process = spawn(command, args, { env: { ...process.env, ...environment } })
    this.process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.#closed = once(this.process, 'close')
    this.process.once('close', () => {
      this.#over = true
    })
    atEnd(t, () => this.kill())
  }

  /** Resolves with the exit code, or the signal's name. */
  async exit(): Promise<number | string> {
    const [code, signal] = await this.#closed
    return (code ?? signal) as number | string
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.#closed
  }

  /** Waits until it has said something that matches. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout)
      if (match !== null) return match
      if (this.#over) {
        const { exitCode, signalCode } = this.process
        throw new Error(`ended by ${exitCode ?? signalCode}: ${this.stdout}${this.stderr}`)
      }
      await Promise.race([once(this.process.stdout, 'data'), this.#closed])
    }
  }
}

/** An app that listens on `address`; what it leaves on disk when killed is removed. */
export async function startApp(t: TestContext, address: string): Promise<Child> {
  atEnd(t, () => rmSync(address.replace(/^\w+:\/\//, ''), { force: true }))
  const app = new Child(t, process.execPath, [APP, address])
  await app.said(/^ready$/m)
  return app
}

const LISTEN = `const server = require('node:net').createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`

/**
 * A port whose listener is stopped and whose queue is full: the kernel answers nobody who wants to
 * connect, as if all they send were lost. Returns its number.
 */
export async function startBlackHole(t: TestContext): Promise<number> {
  const listener = new Child(t, process.execPath, ['-e', LISTEN])
  const port = Number((await listener.said(/^(\d+)\n/))[1])
  listener.process.kill('SIGSTOP')
  await eventually('it is stopped', () =>
    / T /.test(readFileSync(`/proc/${listener.process.pid}/stat`, 'latin1'))
  )
  // Linux queues one more than the backlog says.
  await Promise.all([dial(t, port), dial(t, port)])
  return port
}

/** `shmesh ...args` */
export function startCli(
  t: TestContext,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {}
): Child {
  return new Child(t, process.execPath, [CLI, ...args], environment)
}

/** `shmesh ...args` with no more than `limit` file descriptors. */
export function startCliWithin(t: TestContext, limit: number, args: readonly string[]): Child {
  return startShell(t, `ulimit -n ${limit} && exec "$0" "$@"`, args)
}

/** A shell's `script`, in which `"$0" "$@"` is `shmesh ...args`. */
export function startShell(t: TestContext, script: string, args: readonly string[]): Child {
  return new Child(t, '/bin/sh', ['-c', script, process.execPath, CLI, ...args])
}

/** Where a started `shmesh proxy` listens. */
export async function addressOf(child: Child, name: string): Promise<string> {
  const pattern = new RegExp(`"name":"${name}","address":"([^"]+)","msg":"listening"`)
  return (await child.said(pattern))[1] as string
}
