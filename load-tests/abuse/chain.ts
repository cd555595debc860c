import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import type { ConfigDocument, ProxyStatistics, SharedMemoryReport } from '../../proxy/index.ts'
import type { Child } from '../demo/child.ts'
import type { Workspace } from '../demo/workspace.ts'

const PROXY = '../../proxy/cli.cjs'
const APP = '../abuse/app.js'
/** Small, so that it runs short and messages take the socket; one after the other in use. */
const MEMORY = ['8MiB', '9MiB'] as const

/** A proxy in front of an app. Either can be started anew at the addresses it had. */
export class Chain {
  /** Where the proxy listens. */
  readonly path: string
  app!: Child
  proxy!: Child
  readonly #workspace: Workspace
  readonly #appPath: string
  readonly #adminPath: string
  #config: string
  #reloads = 0

  constructor(workspace: Workspace) {
    this.#workspace = workspace
    this.path = workspace.path('in.sock')
    this.#appPath = workspace.path('app.sock')
    this.#adminPath = workspace.path('admin.sock')
    this.#config = this.#writeConfig()
  }

  async startApp(): Promise<void> {
    this.app = this.#workspace.start('app', APP, [this.#appPath])
    await this.app.receive((message) => (message as { ready?: true }).ready)
  }

  async startProxy(): Promise<void> {
    this.proxy = this.#workspace.start('proxy', PROXY, ['proxy', '--config', this.#config])
    let listening = 0
    await this.proxy.receiveLine((line) => {
      if (line.includes('"msg":"listening"')) listening++
      return listening === 2 ? true : undefined
    })
  }

  /** Another configuration, which gives the cluster a session of its own. */
  async reload(): Promise<void> {
    this.#reloads++
    this.#config = this.#writeConfig()
    const reloaded = this.proxy.receiveLine((line) => /"reloaded"|"not reloaded/.exec(line)?.[0])
    this.proxy.signal('SIGHUP')
    const message = await reloaded
    if (message !== '"reloaded"') throw new Error('the proxy has refused its configuration')
  }

  statistics(): Promise<ProxyStatistics> {
    return this.#get('/stats') as Promise<ProxyStatistics>
  }

  sharedMemory(): Promise<SharedMemoryReport[]> {
    return this.#get('/shm') as Promise<SharedMemoryReport[]>
  }

  #writeConfig(): string {
    const memory = MEMORY[this.#reloads % MEMORY.length] as string
    const document: ConfigDocument = {
      version: 1,
      admin: `unix://${this.#adminPath}`,
      listeners: [{ name: 'in', address: `unix://${this.path}`, routes: [{ cluster: 'app' }] }],
      clusters: [
        {
          name: 'app',
          timeouts: { head: '10s', request: '15s' },
          endpoints: [{ address: `shm://${this.#appPath}`, memory }]
        }
      ]
    }
    return this.#workspace.write('proxy.json', JSON.stringify(document))
  }

  async #get(path: string): Promise<unknown> {
    const sent = request({ socketPath: this.#adminPath, path, agent: false })
    sent.end()
    const [response] = await once(sent, 'response')
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    return JSON.parse(text)
  }
}

/** Open file descriptors of a process. */
export function descriptors({ pid }: Child): number {
  return readdirSync(`/proc/${pid}/fd`).length
}
