import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type ClaimedPath, type ClaimOptions, claimPath } from '../bind.ts'

/** A directory of this test alone; what is in it at the end is removed with it. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

/** Names in `directory`, hidden ones too. */
export function filesIn(directory: string): string[] {
  return readdirSync(directory).sort()
}

/** A net.Server that listens where `claim` says. */
export async function listenOn(t: TestContext, path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  server.listen({ path })
  await once(server, 'listening')
  t.after(() => closeServer(server))
  return server
}

export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return
  server.close()
  await once(server, 'close')
}

/** Claims, binds and publishes `path`, as a server does. */
export async function serve(
  t: TestContext,
  path: string,
  options?: ClaimOptions
): Promise<{ claim: ClaimedPath; server: Server }> {
  const claim = await claimPath(path, options)
  t.after(() => claim.release())
  const server = await listenOn(t, claim.bindPath)
  await claim.publish()
  return { claim, server }
}

/** Fails unless somebody accepts connections at `path`. */
export async function assertAnswers(path: string): Promise<void> {
  const socket = createConnection({ path })
  await once(socket, 'connect')
  socket.destroy()
}

/** Runs bind-child.ts; its stdout is `published` or the code of the error. */
export function startChild(t: TestContext, ...args: string[]): ChildProcess {
  const script = fileURLToPath(new URL('./bind-child.js', import.meta.url))
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => killChild(child))
  return child
}

export async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** The next line the child prints. */
export async function line(child: ChildProcess): Promise<string> {
  const [chunk] = await once(child.stdout!, 'data')
  return String(chunk).trim()
}

/** Leaves at `path` the socket file of a server killed with SIGKILL. */
export async function leaveStaleSocket(t: TestContext, path: string): Promise<void> {
  const child = startChild(t, path)
  const printed = await line(child)
  if (printed !== 'published') throw new Error(`the child printed ${printed}`)
  await killChild(child)
}
