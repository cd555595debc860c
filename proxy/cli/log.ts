import { type DestinationStream, type Logger, pino } from 'pino'
import type { ProxyLogs } from '../proxy.ts'

/** JSON lines on stdout; on a terminal, lines for people instead. */
export function createLogs(): ProxyLogs & { flush(): void } {
  if (process.stdout.isTTY) {
    const log = pino({ base: null }, humanStream())
    return { log, accessLog: log, flush: () => undefined }
  }
  const log: Logger = pino({ base: null })
  // One line per request: gathered, and written while the loop does other things.
  const destination = pino.destination({ fd: 1, sync: false, minLength: 4096 })
  const accessLog: Logger = pino({ base: null }, destination)
  const flush = () => {
    try {
      destination.flushSync()
    } catch {
      // Nothing was ever written, or stdout is gone: there is nobody to tell.
    }
  }
  return { log, accessLog, flush }
}

function humanStream(): DestinationStream {
  return {
    write(line: string): void {
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
