/**
 * What TypeScript must make of the dispatcher, with the types of undici 6, 7 and 8 and those of the
 * built-in fetch. Checked by `npm run check`, never run: a line that should be an error and is none
 * fails there, too. types/undici-6.json and -8.json put another undici in the place of 7.
 */
import {
  Agent,
  type Dispatcher,
  fetch as fetchOfUndici,
  getGlobalDispatcher,
  interceptors,
  Pool,
  RetryAgent,
  request,
  setGlobalDispatcher,
  stream,
  WebSocket
} from 'undici'
import {
  type ControllerHandler,
  type HeaderObject,
  type Lease,
  ShmAgent,
  type ShmAgentOptions,
  type ShmAgentStatistics,
  shm
} from '../undici/index.ts'

const ORIGIN = 'http://app.test'

export function takesOptions(): void {
  new ShmAgent()
  new ShmAgent('shm:///run/a.sock')
  const options: ShmAgentOptions = {
    uri: 'shm:///run/apps/',
    routes: (host) => (host === 'a' ? 'shm:///run/a.sock' : undefined),
    memory: '8MiB',
    fallback: new Agent(),
    https: getGlobalDispatcher()
  }
  new ShmAgent(options)
  // @ts-expect-error: sizes carry a unit
  new ShmAgent({ memory: 1024 })
  // @ts-expect-error: no such option
  new ShmAgent({ pth: '/run/a.sock' })
  // @ts-expect-error: a dispatcher
  new ShmAgent({ fallback: 'http://app.test' })
}

export async function isADispatcher(agent: ShmAgent): Promise<void> {
  agent satisfies Dispatcher
  setGlobalDispatcher(agent)
  await request(ORIGIN, { dispatcher: agent })
  await stream(ORIGIN, { dispatcher: agent, method: 'GET' }, () => process.stdout)
  await fetchOfUndici(ORIGIN, { dispatcher: agent })
  new WebSocket('ws://app.test', { dispatcher: agent })
  new RetryAgent(agent)
  new Agent({ factory: () => agent })
  new Pool(ORIGIN, { factory: () => agent })
  agent.compose(interceptors.retry(), interceptors.redirect()) satisfies Dispatcher
  getGlobalDispatcher().compose(shm({ routes: {} })) satisfies Dispatcher
  getGlobalDispatcher().compose(shm(agent), shm('shm:///run/a.sock'))
  const { statusCode, body } = await agent.request({ origin: ORIGIN, path: '/', method: 'GET' })
  statusCode satisfies number
  ;(await body.json()) satisfies unknown
}

export async function isADispatcherOfTheBuiltInFetch(agent: ShmAgent): Promise<void> {
  await fetch(ORIGIN, { dispatcher: agent as never })
  // It has the types of the undici @types/node was made for, and refuses any other's own Agent, too.
  // @ts-expect-error
  await fetch(ORIGIN, { dispatcher: new Agent() })
  // @ts-expect-error
  await fetch(ORIGIN, { dispatcher: agent })
}

export async function hasMore(agent: ShmAgent): Promise<void> {
  agent.alloc(10, { origin: ORIGIN }) satisfies Buffer
  agent.release(agent.allocUnsafe(10, { origin: new URL(ORIGIN) }))
  // @ts-expect-error: nobody knows whose memory
  agent.alloc(10)
  const statistics: ShmAgentStatistics = agent.statistics()
  statistics.links[0]?.session?.slicesInUse satisfies number | undefined
  agent.closed satisfies boolean
  agent.close() satisfies Promise<void>
  agent.destroy(new Error('enough')) satisfies Promise<void>
  agent.close(() => undefined)
}

export function takesHandlersOfEitherDialect(agent: ShmAgent): boolean {
  const options = { origin: ORIGIN, path: '/', method: 'GET', expectContinue: true } as const
  const views: ControllerHandler = {
    onRequestStart(controller) {
      controller.pause()
    },
    onResponseStart(_controller, status, headers) {
      status satisfies number
      headers satisfies HeaderObject
    },
    onResponseView(_controller, view, lease) {
      view satisfies Buffer
      lease satisfies Lease
      lease.hold()
      lease.drop()
    },
    onResponseData(_controller, chunk) {
      chunk satisfies Buffer
    },
    onResponseEnd() {},
    onResponseError(_controller, error) {
      error satisfies Error
    }
  }
  agent.dispatch(options, views) satisfies boolean
  // @ts-expect-error: no handler
  return agent.dispatch(options)
}
