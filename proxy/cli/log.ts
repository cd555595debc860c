import { closeSync, constants, openSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'
import sonicBoom from 'sonic-boom'
import type { LineSink } from '../access-log/access-log.ts'
import { ConfigError } from '../config/problem.ts'
import type { ProxyLogs } from '../proxy.ts'

/** Lines gathered before a write, in characters. */
const BATCH = 16 * 1024
/** A line is written after so long even when no others come, ms. */
const MAX_DELAY_MS = 200
/** What may wait for a reader who is slow, in characters; lines beyond it are dropped. */
const MAX_WAITING = 4 * 1024 * 1024

export interface CliLogs extends ProxyLogs {
  /** Opens the access log's file anew, after somebody has renamed it. */
  reopen(): void
  flush(): void
}

/**
 * Everything goes to stdout as JSON lines; on a terminal, as lines for people instead. The access
 * log goes to `file` when there is one.
 *
 * @throws {ConfigError} when nothing can be appended to `file`
 */
export function createLogs(file: string | undefined): CliLogs {
  if (file !== undefined) checkAppendable(file)
  if (process.stdout.isTTY) {
    const human = humanStream()
    const log = pino({ base: null }, human)
    if (file === undefined) {
      return { log, accessLog: human, reopen: () => undefined, flush: () => undefined }
    }
    const sink = new BatchedLines(file)
    return { log, accessLog: sink, reopen: () => sink.reopen(), flush: () => sink.flush() }
  }
  // One writer, so that lines of both logs never mix.
  const stdout = new BatchedLines(1)
  const log: Logger = pino({ base: null }, { write: (line) => stdout.writeNow(line) })
  if (file === undefined) {
    return { log, accessLog: stdout, reopen: () => undefined, flush: () => stdout.flush() }
  }
  const sink = new BatchedLines(file)
  return {
    log,
    accessLog: sink,
    reopen: () => sink.reopen(),
    flush: () => {
      stdout.flush()
      sink.flush()
    }
  }
}

function checkAppendable(file: string): void {
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants
  try {
    closeSync(openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o666))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // A pipe that nobody reads yet.
    if (code === 'ENXIO') return
    const advice = 'create its directory, or choose a file this user may write'
    throw new ConfigError([`accessLog.file: cannot append to ${file}: ${code}; ${advice}`], {
      cause: error
    })
  }
}

/** Gathers lines, and writes them while the loop does other things. */
class BatchedLines implements LineSink {
  dropped = 0
  readonly #file: sonicBoom.SonicBoom
  // The library would look through all of it for each line.
  #batch = ''
  #timer: NodeJS.Timeout | undefined
  #broken = false

  /** @param dest a path, or a file descriptor */
  constructor(dest: string | number) {
    const to = typeof dest === 'number' ? { fd: dest } : { dest }
    this.#file = new sonicBoom.SonicBoom({
      ...to,
      append: true,
      maxLength: MAX_WAITING,
      contentMode: 'buffer'
    })
    // With what was given to write(); the types know of texts only.
    this.#file.on('drop', (lines) => this.#drop(lines as unknown as Buffer))
    this.#file.on('error', (error: Error) => this.#fail(error))
    process.on('exit', () => this.flush())
  }

  write(line: string): void {
    this.#batch += line
    if (this.#batch.length >= BATCH) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), MAX_DELAY_MS)
  }

  /** For what somebody may be waiting to read. */
  writeNow(line: string): void {
    this.#send()
    this.#writeOut(Buffer.from(line))
  }

  reopen(): void {
    this.#send()
    if (!this.#broken) this.#file.reopen()
  }

  /** Writes out everything, now. */
  flush(): void {
    this.#send()
    try {
      if (!this.#broken) this.#file.flushSync()
    } catch {
      // Nothing was ever written, or whoever read it is gone: there is nobody to tell.
    }
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#batch
    this.#batch = ''
    if (batch !== '') this.#writeOut(Buffer.from(batch, 'latin1'))
  }

  #writeOut(lines: Buffer): void {
    if (this.#broken) this.#drop(lines)
    else this.#file.write(lines as unknown as string)
  }

  #drop(lines: Buffer): void {
    this.dropped += lines.toString('latin1').split('\n').length - 1
  }

  /** Requests are worth more than lines about them: the proxy goes on without. */
  #fail(error: Error): void {
    if (this.#broken) return
    this.#broken = true
    process.stderr.write(`shmesh: the log cannot be written any more: ${error.message}\n`)
  }
}

function humanStream(): DestinationStream & LineSink {
  return {
    write(line: string): void {
      if (!line.startsWith('{')) {
        process.stdout.write(line, 'latin1')
        return
      }
      const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>
      const label = Number(level) >= 50 ? 'error ' : Number(level) >= 40 ? 'warning ' : ''
      const clock = new Date(Number(time)).toISOString().slice(11, 23)
      const fields = Object.entries(rest).map(([key, value]) =>
        typeof value === 'string' ? value : `${key}=${JSON.stringify(value)}`
      )
      const stack = (err as { stack?: string } | undefined)?.stack
      process.stdout.write(`${clock} ${label}${[msg, ...fields].join('  ')}\n`)
      if (stack !== undefined) process.stdout.write(`${stack}\n`)
    }
  }
}
