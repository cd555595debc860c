/** The processes of these tests. */
import type { Child } from '../demo/child.ts'
import type { Workspace } from '../demo/workspace.ts'
import type { CrowdKind } from './crowd.ts'
import type { SteadyLoad, SteadyResult } from './steady-client.ts'

function started(workspace: Workspace, name: string, file: string, args: readonly string[] = []) {
  return workspace.start(name, new URL(file, import.meta.url).href, args)
}

async function ready(child: Child): Promise<Child> {
  await child.receive((message) => (message as { ready?: true }).ready)
  return child
}

/** An app on a Unix socket; returns its address. */
export async function startApp(workspace: Workspace, name: string): Promise<string> {
  const path = workspace.path(`${name}.sock`)
  await ready(started(workspace, name, './app.js', [path]))
  return `shm://${path}`
}

export class SteadyClient {
  readonly #child: Child

  private constructor(child: Child) {
    this.#child = child
  }

  static async start(workspace: Workspace): Promise<SteadyClient> {
    return new SteadyClient(await ready(started(workspace, 'steady client', './steady-client.js')))
  }

  run(load: SteadyLoad): Promise<SteadyResult> {
    const result = this.#child.receive((message) => (message as { result?: SteadyResult }).result)
    this.#child.send(load)
    return result
  }

  /** From now on, requests that have not begun are sent there. */
  redirect(origin: string): void {
    this.#child.send({ origin })
  }
}

export class Crowd {
  readonly #child: Child

  private constructor(child: Child) {
    this.#child = child
  }

  static async start(workspace: Workspace): Promise<Crowd> {
    return new Crowd(await ready(started(workspace, 'crowd', './crowd.js')))
  }

  /** Resolves when `count` clients of the kind are there. */
  async gather(origin: string, kind: CrowdKind, count: number): Promise<void> {
    const held = this.#child.receive((message) => (message as { held?: number }).held)
    this.#child.send({ port: Number(new URL(origin).port), kind, count })
    await held
  }

  /** They all leave; resolves to how many had been lost by then. */
  leave(): Promise<number> {
    const lost = this.#child.receive((message) => (message as { lost?: number }).lost)
    this.#child.send({ leave: true })
    return lost
  }
}
