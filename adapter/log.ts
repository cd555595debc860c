/**
 * Warnings for people, through Node's own channel: `process.on('warning')`, `--trace-warnings` and
 * `--disable-warning` work on them as on any other.
 */

// On a registered symbol, not in this module: a program that loads the package twice (two
// versions, or two copies in node_modules) still sees each warning once.
const WARNED: unique symbol = Symbol.for('shmesh.warned') as never

interface Warned {
  [WARNED]?: Set<string>
}

/**
 * Emits a `ShmeshWarning` with this `code`, the first time `code` is seen in this thread.
 *
 * @param message what happened, what still works, and what to do about it
 */
export function warnOnce(code: string, message: string): void {
  const holder = globalThis as Warned
  holder[WARNED] ??= new Set()
  if (holder[WARNED].has(code)) return
  holder[WARNED].add(code)
  process.emitWarning(message, { type: 'ShmeshWarning', code })
}
