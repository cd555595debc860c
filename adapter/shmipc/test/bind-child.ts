/**
 * A server process for the tests: `bind-child.js PATH [--uid N] [--wait]`.
 *
 * Serves PATH until its stdin ends; prints `published`, or the code of the error. With `--wait` it
 * prints `ready` and starts at the first byte on stdin.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { claimPath } from '../bind.ts'

const [path = '', ...flags] = process.argv.slice(2)
if (flags[0] === '--uid') {
  process.setgid?.(Number(flags[1]))
  process.setuid?.(Number(flags[1]))
}
if (flags.includes('--wait')) {
  console.log('ready')
  await once(process.stdin, 'data')
}
const server = createServer()
try {
  const claim = await claimPath(path)
  server.listen({ path: claim.bindPath })
  await once(server, 'listening')
  await claim.publish()
  console.log('published')
  process.stdin.resume()
  await once(process.stdin, 'end')
  claim.release()
} catch (error) {
  console.log((error as { code?: string }).code ?? String(error))
  process.stdin.destroy()
}
server.close()
