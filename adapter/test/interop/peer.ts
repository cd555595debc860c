/** Foreign programs at the other end, told what to do line by line. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/eventually.ts'
import type { Scene } from '../support/scene.ts'

interface Answer {
  readonly id: number
  readonly result: unknown
  readonly error?: string
}

/** Result of `echo`: what came back and was compared. */
export interface Echoed {
  readonly bytes: number
  readonly messages: number
}

/** Result of `request`. */
export interface Answered {
  readonly answered: number
  readonly streams: number
  readonly bytes: number
}

/** Compiled to dist/adapter/test/interop/. */
const BUILD = new URL('../../../../adapter/test/interop/build/', import.meta.url)

/** Where a peer answers. */
const ANSWERS_FD = 3

export type Program =
  | 'go-hello-client'
  | 'go-hello-server'
  | 'go-peer'
  | 'go-proxy'
  | 'go-service'
  | 'rust-peer'

/** Libraries that can be at the other end, and the programs that use them. */
export const PEERS = [
  { library: 'shmipc-go', program: 'go-peer' },
  { library: 'shmipc-rs', program: 'rust-peer' }
] as const

/** The program's path; undefined when it is not built. */
export function built(name: Program): string | undefined {
  const path = fileURLToPath(new URL(name, BUILD))
  return existsSync(path) ? path : undefined
}

/** The program's path, or undefined after the test was skipped for want of it. */
export function program(t: TestContext, name: Program): string | undefined {
  const path = built(name)
  if (path !== undefined) return path
  t.skip(`${name} is not built: npm run test:interop builds it where its compiler can be had`)
  return undefined
}

/** A peer process; it ends with the test. */
export class ForeignPeer {
  readonly process: ChildProcess
  readonly pid: number
  /** Standard output and error so far. */
  printed = ''
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #lastId = 0

  constructor(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [path, ...args] = command
    this.process = spawn(path!, args, {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env }
    })
    this.pid = this.process.pid!
    for (const output of [this.process.stdout!, this.process.stderr!]) {
      output.setEncoding('utf8').on('data', (text: string) => {
        this.printed += text
      })
    }
    createInterface(this.process.stdio[ANSWERS_FD] as Readable).on('line', (line) => {
      const answer = JSON.parse(line) as Answer
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    this.process.once('close', (code, signal) => {
      const error = `the peer ended (${code ?? signal}): ${this.printed.slice(0, 4000)}`
      for (const [id, settle] of this.#waiting) settle({ id, result: undefined, error })
      this.#waiting.clear()
    })
    // A peer that dies while it is told something.
    this.process.stdin!.on('error', () => undefined)
  }

  /** The peer's result; an error with its message when it failed. */
  async call<T = unknown>(command: string, args: object = {}): Promise<T> {
    const id = ++this.#lastId
    const { result, error } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve)
      this.process.stdin!.write(`${JSON.stringify({ id, do: command, args })}\n`)
      if (this.process.exitCode !== null) resolve({ id, result: undefined, error: 'it has ended' })
    })
    if (error !== undefined) throw new Error(`${command}: ${error}`)
    return result as T
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    if (!this.running) return
    const closed = once(this.process, 'close')
    if (signal === undefined) this.process.stdin!.end()
    else this.process.kill(signal)
    await closed
  }
}

interface ForeignOptions {
  readonly env?: Readonly<Record<string, string>>
  /** A command that runs it. */
  readonly prefix?: readonly string[]
}

/** Starts `name`, or skips the test when it is not built. */
export async function startForeign(
  t: TestContext,
  scene: Scene,
  name: Program,
  { env = {}, prefix = [] }: ForeignOptions = {}
): Promise<ForeignPeer | undefined> {
  const path = program(t, name)
  if (path === undefined) return undefined
  const peer = new ForeignPeer([...prefix, path], env)
  scene.defer(() => peer.end())
  await eventually('the peer answers', async () => peer.running)
  return peer
}

let servers = 0

/** Serves until the test ends; returns the port, 0 of a path. */
export async function serveForeign(scene: Scene, peer: ForeignPeer, args: object): Promise<number> {
  const name = `server ${++servers}`
  const port: number = await peer.call('serve', { name, ...args })
  scene.defer(() => (peer.running ? peer.call('stop', { name }).catch(() => undefined) : undefined))
  return port
}
