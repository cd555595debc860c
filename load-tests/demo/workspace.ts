import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from './child.ts'

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/**
 * One private directory and the processes of the demo. Whatever ends this process (a signal, an
 * exception, `process.exit`) first ends those and removes that.
 */
export class Workspace {
  /** Mode 0700. */
  readonly directory: string
  readonly #children: Child[] = []
  readonly #written = new Set<string>()

  /** @param parent where its directory is made */
  constructor(parent: string = tmpdir()) {
    this.directory = mkdtempSync(join(parent, 'shmesh-demo-'))
    process.on('exit', this.#clean)
    for (const name of Object.keys(SIGNALS)) process.on(name, this.#onSignal)
  }

  /** A path for a socket of this run. */
  path(name: string): string {
    return join(this.directory, name)
  }

  write(name: string, text: string): string {
    const path = this.path(name)
    writeFileSync(path, text, { mode: 0o600 })
    this.#written.add(name)
    return path
  }

  /** For files of others: what is in it does not count as left behind. */
  makeDirectory(name: string): string {
    const path = this.path(name)
    mkdirSync(path, { mode: 0o700 })
    this.#written.add(name)
    return path
  }

  /** @param script compiled module beside this one, or its path from here */
  start(name: string, script: string, args: readonly string[]): Child {
    return this.#keep(Child.node(name, script, args))
  }

  /** @param command a program that is not Node */
  startProgram(name: string, command: string, args: readonly string[]): Child {
    return this.#keep(Child.program(name, command, args))
  }

  /**
   * Ends every process gently, the one started last first.
   *
   * @returns what went wrong: processes that had to be killed, files they left behind
   */
  async stop(): Promise<string[]> {
    const problems: string[] = []
    for (const child of this.#children.toReversed()) {
      if (!(await child.stop())) problems.push(`${child.name} did not stop and was killed`)
    }
    const left = readdirSync(this.directory).filter((name) => !this.#written.has(name))
    if (left.length > 0) problems.push(`files left behind: ${left.join(', ')}`)
    return problems
  }

  /** Synchronous, abrupt and idempotent: it may be the last thing this process does. */
  close(): void {
    this.#clean()
    process.off('exit', this.#clean)
    for (const name of Object.keys(SIGNALS)) process.off(name, this.#onSignal)
  }

  #keep(child: Child): Child {
    this.#children.push(child)
    return child
  }

  readonly #clean = (): void => {
    for (const child of this.#children) child.kill()
    // A process that is being killed may still finish the creation of a file.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
  }

  readonly #onSignal = (name: keyof typeof SIGNALS): void => {
    process.stdout.write('\n')
    process.exit(128 + SIGNALS[name])
  }
}
