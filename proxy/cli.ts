#!/usr/bin/env node
/** Floor 5: `shmesh`. Finds the command; each command has a file of its own. */
import { createRequire } from 'node:module'
import { runInspect } from './cli/inspect-command.ts'
import { runProxy } from './cli/proxy-command.ts'
import { reportFailure, UsageError } from './cli/usage-error.ts'
import { didYouMean } from './config/suggest.ts'

const HELP = `shmesh: HTTP between a mesh proxy and the app beside it, through shared memory

  shmesh proxy --config shmesh.yaml    run the mesh proxy
  shmesh proxy --listen http://127.0.0.1:8080 --upstream shm:///run/shmesh/app.sock
  shmesh demo                          compare no proxy, Unix socket and shared memory here
  shmesh inspect PATH|PID|DUMP         what is in the shared memory, and who holds it

  shmesh COMMAND --help                the options of a command
  shmesh --version
`

/** Takes what follows the command's name; resolves to the exit code. */
type Command = (args: string[]) => Promise<number>

const COMMANDS: Readonly<Record<string, Command>> = {
  proxy: runProxy,
  inspect: runInspect,
  demo: async (args) => {
    // Resolved at run time: floor 5 dispatches to the load tests and does not depend on them.
    const module = new URL('../load-tests/demo/index.js', import.meta.url).href
    return ((await import(module)) as { runDemo: Command }).runDemo(args)
  }
}

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(HELP)
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version()}\n`)
    return 0
  }
  const run = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (run === undefined) {
    const kind = name.startsWith('-') ? 'option' : 'command'
    const valid = kind === 'option' ? ['--help', '--version'] : Object.keys(COMMANDS)
    throw new UsageError(`unknown ${kind} "${name}"${didYouMean(name, valid)}`, 'shmesh --help')
  }
  return run(rest)
}

function version(): string {
  const manifest = createRequire(import.meta.url)('shmesh/package.json') as { version: string }
  return manifest.version
}

// Whoever read it may be gone, or its disk be full. What runs goes on: a proxy is not for its lines.
let lost = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!lost && error.code !== 'EPIPE') {
    process.stderr.write(`shmesh: stdout cannot be written any more: ${error.message}\n`)
  }
  lost = true
  process.exitCode ||= 1
})

main(process.argv.slice(2))
  .catch(reportFailure)
  .then((exitCode) => {
    process.exitCode = exitCode || (lost ? 1 : 0)
  })
