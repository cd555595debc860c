import { once } from 'node:events'
import { request } from 'node:http'
import type { SessionStatistics } from '../../adapter/index.ts'
import type { ConfigDocument, ProxyStatistics } from '../../proxy/index.ts'
import type { Child } from './child.ts'
import type { Workspace } from './workspace.ts'

const PROXY = '../../proxy/cli.cjs'

export interface App {
  readonly child: Child
  /** Unix socket: HTTP and shared memory. */
  readonly path: string
  /** `http://127.0.0.1:PORT` */
  readonly origin: string
}

export interface RunningProxy {
  readonly child: Child
  readonly origin: string
  statistics(): Promise<ProxyStatistics>
}

/** @param file name of the socket; that of an app that was killed may be used again */
export async function startApp(workspace: Workspace, name: string, file: string): Promise<App> {
  const path = workspace.path(file)
  const child = workspace.start(name, './app.js', [path])
  const port = await child.receive((message) => (message as { port?: number }).port)
  return { child, path, origin: `http://127.0.0.1:${port}` }
}

export interface ProxyChoices {
  /** Of each endpoint's shared region; the default when left out. */
  readonly memory?: string
  readonly accessLog?: boolean
  /** Address of its listener; default a port of its own. */
  readonly listen?: string
}

export async function startProxy(
  workspace: Workspace,
  name: string,
  upstreams: readonly string[],
  { memory, accessLog = false, listen = 'http://127.0.0.1:0' }: ProxyChoices = {}
): Promise<RunningProxy> {
  const admin = workspace.path(`${name}-admin.sock`)
  const config: ConfigDocument = {
    version: 1,
    admin: `unix://${admin}`,
    accessLog,
    listeners: [{ name: 'inbound', address: listen, routes: [{ cluster: 'app' }] }],
    clusters: [
      {
        name: 'app',
        endpoints: upstreams.map((address) =>
          memory === undefined ? { address } : { address, memory }
        )
      }
    ]
  }
  const file = workspace.write(`${name}.yaml`, JSON.stringify(config))
  const child = workspace.start(`proxy ${name}`, PROXY, ['proxy', '--config', file])
  const addresses = new Map<string, string>()
  await child.receiveLine((line) => {
    const entry = parseLogLine(line)
    if (entry?.msg === 'listening') addresses.set(entry.name, entry.address)
    return addresses.size === 2 ? true : undefined
  })
  return {
    child,
    origin: addresses.get('inbound')!,
    statistics: async () => (await get({ socketPath: admin, path: '/stats' })) as ProxyStatistics
  }
}

export async function appSessions(app: App): Promise<SessionStatistics[]> {
  const { hostname, port } = new URL(app.origin)
  const answer = await get({ host: hostname, port, path: '/stats' })
  return (answer as { sessions: SessionStatistics[] }).sessions
}

interface Target {
  readonly host?: string
  readonly port?: string
  readonly socketPath?: string
  readonly path: string
}

async function get(target: Target): Promise<unknown> {
  const sent = request({ ...target, agent: false })
  sent.end()
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  if (response.statusCode !== 200) {
    throw new Error(`${target.path} answered ${response.statusCode}: ${text}`)
  }
  return JSON.parse(text)
}

interface LogLine {
  readonly msg: string
  readonly name: string
  readonly address: string
}

function parseLogLine(line: string): LogLine | undefined {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return undefined
  }
}
