/** Programs of the examples and of this package that run while a test does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Scene } from '../support/scene.ts'

/** Runs a command until the test ends; resolves with the line that matches. */
export async function run(
  here: Scene,
  command: readonly string[],
  ready: RegExp,
  env: NodeJS.ProcessEnv = process.env
): Promise<string> {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env })
  const closed = once(child, 'close')
  here.defer(async () => {
    child.kill('SIGTERM')
    await closed
  })
  let printed = ''
  return new Promise((resolve, reject) => {
    for (const output of [child.stdout, child.stderr]) {
      createInterface(output).on('line', (line) => {
        printed += `${line}\n`
        if (ready.test(line)) resolve(line)
      })
    }
    child.once('close', () => reject(new Error(`${command[0]} ended: ${printed}`)))
  })
}
