/** Preloaded by a process: as soon as it listens, the file $NEXT takes the place of $CURRENT. */
import { existsSync, renameSync } from 'node:fs'
import { Server } from 'node:net'

const { NEXT = '', CURRENT = '' } = process.env
const listen = Server.prototype.listen

Server.prototype.listen = function (this: Server, ...args: unknown[]) {
  if (existsSync(NEXT)) renameSync(NEXT, CURRENT)
  return Reflect.apply(listen, this, args)
} as typeof listen
