import type { Logger } from 'pino'
import { parseAddress } from '../config/address.ts'
import {
  configSchema,
  createProxy,
  loadConfig,
  type MeshProxy,
  type ProxyConfig,
  resolveConfig
} from '../index.ts'
import { ConfigWatch } from './config-watch.ts'
import { createLogs } from './log.ts'
import { type OptionTable, type OptionValues, readOptions } from './options.ts'
import { UsageError } from './usage-error.ts'

const HELP = `shmesh proxy: the mesh proxy

  --config FILE       YAML or JSON; docs/reference/proxy-config.md describes every key
  --check             read and check the configuration, then exit
  --schema            print the JSON Schema of the configuration, then exit

Without a file, everything from the listeners to one upstream:
  --listen ADDRESS    http://HOST:PORT, unix:///PATH or shm:///PATH; may be repeated
  --upstream ADDRESS  the same kinds; may be repeated, requests are then shared out
  --admin ADDRESS     /ready /live /metrics /stats /clusters /shm /config_dump, POST /drain
  --transport-header  answer with x-shmesh-transport: shm, fallback or socket
  --access-log        one JSON line per request
  --tracing           a span of its own in each request's trace; begins traces

SIGTERM or SIGINT lets running requests end first, a second one does not. SIGUSR2 opens the access
log's file anew.
SIGHUP reads the file again, as does a change of it.
`
const HELP_COMMAND = 'shmesh proxy --help'

const OPTIONS: OptionTable = {
  config: { type: 'string' },
  check: { type: 'boolean' },
  schema: { type: 'boolean' },
  listen: { type: 'string', multiple: true },
  upstream: { type: 'string', multiple: true },
  admin: { type: 'string' },
  'transport-header': { type: 'boolean' },
  'access-log': { type: 'boolean' },
  tracing: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
}

/** `shmesh proxy`. Resolves to the exit code: 0, or 1 when requests were cut off at the end. */
export async function runProxy(args: string[]): Promise<number> {
  const options = readOptions(args, OPTIONS, HELP_COMMAND)
  if (options['help'] === true) return print(HELP)
  if (options['schema'] === true) return print(`${JSON.stringify(configSchema, null, 2)}\n`)
  const read = () => readConfig(options)
  if (options['check'] === true) {
    read()
    return print('the configuration is valid\n')
  }
  return serve(read, options['config'] as string | undefined)
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

function readConfig(options: OptionValues): ProxyConfig {
  const file = options['config'] as string | undefined
  const listen = (options['listen'] ?? []) as readonly string[]
  const upstream = (options['upstream'] ?? []) as readonly string[]
  if (file !== undefined) {
    if (file === '') throw new UsageError('--config must be a file, got ""', HELP_COMMAND)
    if (listen.length > 0 || upstream.length > 0) {
      throw new UsageError('--config excludes --listen and --upstream', HELP_COMMAND)
    }
    return { ...loadConfig(file), ...switches(options) }
  }
  if (listen.length === 0 || upstream.length === 0) {
    throw new UsageError('give --config, or both --listen and --upstream', HELP_COMMAND)
  }
  for (const address of listen) parseAddress('--listen', address, 'listener')
  for (const address of upstream) parseAddress('--upstream', address, 'endpoint')
  const admin = options['admin'] as string | undefined
  if (admin !== undefined) parseAddress('--admin', admin, 'admin')
  const document = {
    version: 1,
    ...(admin === undefined ? {} : { admin }),
    listeners: listen.map((address, index) => ({
      name: index === 0 ? 'inbound' : `inbound-${index + 1}`,
      address,
      direction: 'inbound',
      routes: [{ cluster: 'app' }]
    })),
    clusters: [{ name: 'app', endpoints: upstream.map((address) => ({ address })) }]
  }
  return { ...resolveConfig(document, () => 'command line'), ...switches(options) }
}

function switches(options: OptionValues): Partial<ProxyConfig> {
  const admin = options['admin'] as string | undefined
  return {
    ...(admin === undefined ? {} : { admin: parseAddress('--admin', admin, 'admin') }),
    ...(options['transport-header'] === true ? { transportHeader: true } : {}),
    ...(options['access-log'] === true
      ? { accessLog: { format: 'json', file: undefined, sample: 1 } }
      : {}),
    ...(options['tracing'] === true ? { tracing: { sample: 1 } } : {})
  }
}

/**
 * @param read the configuration as it is now
 * @param file where it is; `undefined` when the command line says all
 */
async function serve(read: () => ProxyConfig, file: string | undefined): Promise<number> {
  // Before it is read: a change, or a SIGHUP, while the proxy starts is not lost.
  const watch = file === undefined ? undefined : new ConfigWatch(file)
  const config = read()
  const logs = createLogs(config.accessLog?.file)
  process.on('SIGUSR2', () => logs.reopen())
  const proxy = await createProxy(config, logs)
  for (const { name, address } of proxy.addresses) logs.log.info({ name, address }, 'listening')
  watch?.onChange((cause) => void reload(proxy, read, logs.log, cause))
  const drained = await untilDrained(proxy, (cause) => logs.log.info({ cause }, 'draining'))
  watch?.close()
  logs.flush()
  if (drained) logs.log.info({}, 'drained')
  else logs.log.warn({}, 'drained: the deadline passed, what was still running was cut off')
  return drained ? 0 : 1
}

/** A configuration that cannot be used leaves the old one in place. */
async function reload(
  proxy: MeshProxy,
  read: () => ProxyConfig,
  log: Logger,
  cause: string
): Promise<void> {
  try {
    await proxy.reload(read)
    log.info({ cause }, 'reloaded')
  } catch (error) {
    const why = (error as Error).message
    log.error({ cause, why }, 'not reloaded: the configuration before stays in use')
  }
}

/** Waits for a signal, or POST /drain, and drains. A second signal ends the process at once. */
function untilDrained(proxy: MeshProxy, starting: (cause: string) => void): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let draining = false
    const drain = (cause: string) => {
      if (draining) return
      draining = true
      starting(cause)
      proxy.drain().then(resolve, reject)
    }
    const onSignal = (signal: NodeJS.Signals) => {
      if (!draining) return drain(signal)
      proxy.destroy()
      process.exit(signal === 'SIGINT' ? 130 : 143)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
    proxy.onDrainRequested(() => drain('POST /drain'))
  })
}
