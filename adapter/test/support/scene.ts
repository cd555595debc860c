import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connect, listen, sharedMemory } from '../../shmipc/index.ts'
import { eventually } from './eventually.ts'
import { Holdings } from './holdings.ts'

/** A test's own directory, and the proof at its end that this process holds what it held before. */
export interface Scene {
  readonly directory: string
  /** A socket path in it. */
  readonly path: string
  /** Runs at the end of the test, last registered first. */
  defer(action: () => unknown): void
}

let warm: Promise<void> | undefined

/** Must be called before the test opens anything. */
export async function scene(t: TestContext): Promise<Scene> {
  warm ??= warmUp()
  await warm
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-'))
  const holdings = new Holdings()
  const deferred: (() => unknown)[] = []

  t.after(async () => {
    const failures: unknown[] = []
    for (const action of deferred.reverse()) {
      try {
        await action()
      } catch (error) {
        failures.push(error)
      }
    }
    const files = readdirSync(directory)
    rmSync(directory, { recursive: true })
    if (failures.length > 0) throw failures[0]
    assert.deepEqual(files, [], 'files were left behind')
    await holdings.end('this process')
  })

  return {
    directory,
    path: join(directory, 'app.sock'),
    defer: (action) => {
      deferred.push(action)
    }
  }
}

/** What is opened once per process and kept is open before anything is counted. */
async function warmUp(): Promise<void> {
  if (sharedMemory().addon === undefined) return
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-'))
  const listener = await listen({ path: join(directory, 'warm.sock') })
  const session = await connect(listener.path)
  session.destroy()
  await listener.close()
  for (const accepted of listener.sessions) accepted.destroy()
  await eventually('the first session is gone', () => listener.sessions.size === 0)
  rmSync(directory, { recursive: true })
}
