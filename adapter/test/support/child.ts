import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import process from 'node:process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'
import { threadStates } from './resources.ts'
import type { Scene } from './scene.ts'
import type { Answer, Methods } from './serve-calls.ts'

/** Descriptor a child may wait on with its event loop blocked. */
export const GATE_FD = 4

/** A process of this test that runs a fixture and answers calls. */
export class Child<M extends Methods> {
  readonly process: ChildProcess
  readonly pid: number
  /** What it has written on stderr so far. */
  stderr = ''
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #lastId = 0

  constructor(child: ChildProcess) {
    this.process = child
    this.pid = child.pid!
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    child.on('message', (message: Answer) => {
      const settle = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      settle?.(message)
    })
    child.once('exit', (code, signal) => {
      for (const [id, settle] of this.#waiting) {
        settle({ id, error: { message: `the child ended (${code ?? signal}): ${this.stderr}` } })
      }
      this.#waiting.clear()
    })
  }

  async call<K extends keyof M & string>(
    method: K,
    ...args: Parameters<M[K]>
  ): Promise<Awaited<ReturnType<M[K]>>> {
    const id = ++this.#lastId
    const answered = new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve)
      this.process.send({ id, method, args }, (error) => {
        if (error !== null) resolve({ id, error })
      })
    })
    const { result, error } = await answered
    if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code })
    return result as Awaited<ReturnType<M[K]>>
  }

  /**
   * Resolves when it next says, by a byte on {@link GATE_FD}, that it handles no event any more. To
   * be called before it is asked to block.
   */
  async standsStill(): Promise<void> {
    await once(this.process.stdio[GATE_FD] as Readable, 'data')
  }

  /** Lets it go on after it blocked its event loop by reading {@link GATE_FD}. */
  openGate(): void {
    const gate = this.process.stdio[GATE_FD] as Writable
    gate.write('.')
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }

  /** Stops it; returns when none of its threads runs any more. `SIGCONT` lets it go on. */
  async stop(): Promise<void> {
    this.signal('SIGSTOP')
    await eventually('it stands still', () =>
      threadStates(this.pid).every((state) => state === 'T')
    )
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  /** Exit code or signal, once it has ended and its pipes are closed. */
  async ended(): Promise<number | NodeJS.Signals> {
    if (this.running) await once(this.process, 'close')
    return this.process.exitCode ?? this.process.signalCode ?? 0
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended()
  }
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly execArgv?: readonly string[]
  readonly args?: readonly string[]
  /** Most descriptors it may have, soft and hard limit. */
  readonly maxFds?: number
  /** User and group it runs as; only root can choose. */
  readonly uid?: number
  readonly gid?: number
}

/** Starts `fixture` (its URL), which must call `serveCalls`; it is killed at the end of the test. */
export async function startChild<M extends Methods>(
  scene: Scene,
  fixture: URL,
  { env = {}, execArgv = [], args = [], maxFds, uid, gid }: ChildOptions = {}
): Promise<Child<M>> {
  const script = fileURLToPath(fixture)
  if (!existsSync(script)) throw new Error(`${script} was not built`)
  const node = [process.execPath, ...execArgv, script, ...args]
  const limit = ['/bin/sh', '-c', 'ulimit -n "$0" && exec "$@"', `${maxFds}`]
  const [program, ...programArgs] = maxFds === undefined ? node : [...limit, ...node]
  const started = spawn(program!, programArgs, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc', 'pipe'],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid })
  })
  const child = new Child<M>(started)
  scene.defer(() => child.kill())
  const [message] = (await Promise.race([once(started, 'message'), failed(child)])) as [unknown]
  if (message !== 'ready') throw new Error(`the child said ${message}`)
  return child
}

async function failed(child: Child<Methods>): Promise<never> {
  await child.ended()
  throw new Error(`${child.process.spawnargs.join(' ')} ended: ${child.stderr}`)
}
