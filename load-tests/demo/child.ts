import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type ProcessUsage, readUsage } from './cpu.ts'

const LEASH = new URL('./leash.js', import.meta.url).href
const STOP_MS = 5000
/** Of what a process wrote, kept for the message about its end. */
const OUTPUT_CHARACTERS = 2000

/** A process of a load test. */
export class Child {
  readonly name: string
  readonly #process: ChildProcess
  #output = ''

  /** A Node process, which ends when this one does, whatever ends this one. */
  static node(name: string, script: string, args: readonly string[]): Child {
    const path = fileURLToPath(new URL(script, import.meta.url))
    return new Child(
      name,
      spawn(process.execPath, ['--import', LEASH, path, ...args], {
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        serialization: 'advanced'
      })
    )
  }

  /** Any other program: it ends when this process ends in any way but SIGKILL. */
  static program(name: string, command: string, args: readonly string[]): Child {
    return new Child(name, spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  private constructor(name: string, started: ChildProcess) {
    this.name = name
    this.#process = started
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARACTERS)
      })
    }
    // Its failure shows as an exit.
    this.#process.on('error', () => undefined)
  }

  get running(): boolean {
    const { exitCode, signalCode, pid } = this.#process
    return pid !== undefined && exitCode === null && signalCode === null
  }

  /** Of a process that was started. */
  get pid(): number {
    return this.#process.pid!
  }

  usage(): ProcessUsage | undefined {
    if (!this.running) throw this.#ended()
    return readUsage(this.#process.pid!)
  }

  send(message: object): void {
    if (!this.running) throw this.#ended()
    this.#process.send(message, (error) => {
      if (error !== null) this.#process.disconnect?.()
    })
  }

  /** The next message `accept` makes something of. Rejects when the process ends before. */
  async receive<T>(accept: (message: unknown) => T | undefined): Promise<T> {
    return this.#until((resolve) => {
      const onMessage = (message: unknown) => {
        const value = accept(message)
        if (value !== undefined) resolve(value)
      }
      this.#process.on('message', onMessage)
      return () => this.#process.off('message', onMessage)
    })
  }

  /** The next line on stdout `accept` makes something of. Rejects when the process ends before. */
  async receiveLine<T>(accept: (line: string) => T | undefined): Promise<T> {
    return this.#until((resolve) => {
      let rest = ''
      const onText = (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop()!
        for (const line of lines) {
          const value = accept(line)
          if (value !== undefined) resolve(value)
        }
      }
      this.#process.stdout!.on('data', onText)
      return () => this.#process.stdout!.off('data', onText)
    })
  }

  /** SIGTERM, then SIGKILL. False when it took the latter. */
  async stop(): Promise<boolean> {
    if (!this.running) return true
    const exit = once(this.#process, 'exit')
    let killed = false
    const timer = setTimeout(() => {
      killed = true
      this.kill()
    }, STOP_MS)
    this.#process.kill('SIGTERM')
    await exit
    clearTimeout(timer)
    return !killed
  }

  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGHUP'): void {
    if (this.running) this.#process.kill(name)
  }

  /** SIGKILL, at once. */
  kill(): void {
    if (this.running) this.#process.kill('SIGKILL')
  }

  /** SIGKILL; resolves when it is gone. */
  async killed(): Promise<void> {
    if (!this.running) return
    const exit = once(this.#process, 'exit')
    this.kill()
    await exit
  }

  #until<T>(listen: (resolve: (value: T) => void) => () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const onExit = () => {
        stop()
        reject(this.#ended())
      }
      const stop = listen((value) => {
        stop()
        this.#process.off('close', onExit)
        resolve(value)
      })
      // Later than 'exit': its last words have been read.
      this.#process.once('close', onExit)
      if (!this.running && this.#process.stdout!.destroyed) onExit()
    })
  }

  #ended(): Error {
    const { exitCode, signalCode } = this.#process
    const how = signalCode === null ? `with code ${exitCode}` : `by ${signalCode}`
    return new Error(`${this.name} ended ${how}\n${this.#output}`.trimEnd())
  }
}
