import { type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ShmError } from '../../adapter/errors.ts'
import {
  type Inspection,
  inspectPath,
  inspectProcess,
  parseShmAddress,
  readDump,
  UnreachableError,
  writeDump
} from '../../adapter/shmipc/index.ts'
import { describeInspection } from '../inspect/describe.ts'
import { type OptionTable, readOptions } from './options.ts'
import { UsageError } from './usage-error.ts'

const HELP = `shmesh inspect PATH|PID|DUMP: what is in the shared memory, and who holds it

  PATH          a socket, /run/shmesh/app.sock or shm:///run/shmesh/app.sock: asks who listens
  PID           a process: asks it, by any of its sockets
  DUMP          a file that --dump wrote

  --json        one JSON document instead of tables
  --memory      the memory seen from outside, too, even though the process answers
  --dump FILE   write what was seen, and the memory without payloads, to a new file (mode 0600)
  --payload     with --dump: payloads, too. They are requests and responses of your users.

A process that does not answer within a second is looked at from outside. It must be yours, or you
root. Nothing is ever written to its memory.
`
const HELP_COMMAND = 'shmesh inspect --help'

const OPTIONS: OptionTable = {
  json: { type: 'boolean' },
  memory: { type: 'boolean' },
  dump: { type: 'string' },
  payload: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
}

/** `shmesh inspect`. Resolves to the exit code. */
export async function runInspect(args: string[]): Promise<number> {
  const [target, rest] = takeTarget(args)
  const options = readOptions(rest, OPTIONS, HELP_COMMAND)
  if (options['help'] === true) {
    process.stdout.write(HELP)
    return 0
  }
  if (target === undefined) {
    throw new UsageError('give a socket path, a pid or a dump', HELP_COMMAND)
  }
  const dump = options['dump'] as string | undefined
  if (options['payload'] === true && dump === undefined) {
    throw new UsageError('--payload goes with --dump FILE', HELP_COMMAND)
  }
  const { inspection, living } = await inspect(target, options['memory'] === true)
  if (dump !== undefined) {
    if (!living) throw new UsageError(`${target} is a dump already`, HELP_COMMAND)
    const sessions = writeDump(dump, inspection, options['payload'] === true)
    process.stderr.write(
      `wrote ${dump}, with the memory of ${sessions} session${sessions === 1 ? '' : 's'}\n`
    )
  }
  process.stdout.write(
    options['json'] === true ? `${JSON.stringify(inspection)}\n` : describeInspection(inspection)
  )
  return 0
}

/** The argument that is no option, wherever it stands. */
function takeTarget(args: string[]): [target: string | undefined, rest: string[]] {
  const at = args.findIndex((arg, i) => !arg.startsWith('-') && args[i - 1] !== '--dump')
  return at < 0 ? [undefined, args] : [args[at], args.toSpliced(at, 1)]
}

async function inspect(
  target: string,
  memory: boolean
): Promise<{ inspection: Inspection; living: boolean }> {
  if (/^\d+$/.test(target)) {
    return { inspection: await inspectProcess(Number(target), memory), living: true }
  }
  const path = target.startsWith('shm:') ? parseShmAddress('PATH', target) : resolve(target)
  const file = look(path)
  if (file === undefined) {
    throw new ShmError(
      'SHM_ERR_INSPECT',
      `${path} does not exist: start the server, or give its pid`
    )
  }
  if (file.isFile()) return { inspection: readDump(path, memory), living: false }
  if (!file.isSocket()) {
    throw new ShmError('SHM_ERR_INSPECT', `${path} is neither a socket nor a dump`)
  }
  try {
    return { inspection: await inspectPath(path, memory), living: true }
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error
    throw unreachable(error, path)
  }
}

function look(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ShmError(
      'SHM_ERR_PERMISSION',
      `may not look at ${path} (${code}): become the user its directory belongs to, or root`,
      { cause: error }
    )
  }
}

function unreachable({ code, message }: UnreachableError, path: string): ShmError {
  if (code === 'EACCES') {
    return new ShmError(
      'SHM_ERR_PERMISSION',
      `may not connect to ${path}, which is uid ${statSync(path).uid}'s: become that user, or root`
    )
  }
  return new ShmError('SHM_ERR_INSPECT', `nobody listens on ${path} any more (${message})`)
}
