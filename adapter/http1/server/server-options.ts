import { maxHeaderSize, type Server } from 'node:http'
import type { Limits } from '../limits.ts'

/** Options of `createServer` that are properties of the server, though the types do not say so. */
interface Options extends Server {
  readonly maxHeaderSize?: number | undefined
  readonly rejectNonStandardBodyWrites?: boolean
  readonly joinDuplicateHeaders?: boolean
  readonly requireHostHeader?: boolean
  readonly httpAllowHalfOpen?: boolean
  readonly keepAliveTimeoutBuffer?: number
}

/** What node:http adds to the keep-alive timeout it announces, so that the client gives up first. */
const KEEP_ALIVE_MARGIN_MS = 1000

export function limitsOf(server: Server): Limits {
  return {
    maxHeaderBytes: (server as Options).maxHeaderSize || maxHeaderSize,
    maxHeaderCount: server.maxHeadersCount || 2000,
    requireHost: (server as Options).requireHostHeader !== false
  }
}

/** Whether a client that has half-closed is still answered. */
export function allowsHalfOpen(server: Server): boolean {
  return (server as Options).httpAllowHalfOpen === true
}

export function rejectsBodies(server: Server): boolean {
  return (server as Options).rejectNonStandardBodyWrites === true
}

export function joinsDuplicates(server: Server): boolean {
  return (server as Options).joinDuplicateHeaders === true
}

export function keepAliveMarginMs(server: Server): number {
  return (server as Options).keepAliveTimeoutBuffer ?? KEEP_ALIVE_MARGIN_MS
}
