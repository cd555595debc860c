import type { Server } from 'node:http'
import type { ServedPaths } from './served-paths.ts'

type Callback = (error?: Error) => void

/**
 * Makes what a server says and does about its connections include those of `served`: node:http knows
 * only the sockets it accepted.
 *
 * @returns ends it
 */
export function countIn(
  server: Server,
  served: ServedPaths,
  close: () => Promise<void>
): () => void {
  const { close: closeServer, closeIdleConnections, closeAllConnections, getConnections } = server
  // Its own methods, so that frameworks that close a server close this, too.
  Object.assign(server, {
    close(callback?: Callback) {
      const ours = close()
      return closeServer.call(server, (error) => {
        void ours.then(() => callback?.(error))
      })
    },
    closeIdleConnections() {
      served.closeIdle()
      closeIdleConnections.call(server)
    },
    closeAllConnections() {
      served.destroyConnections()
      closeAllConnections.call(server)
    },
    getConnections(callback: (error: Error | null, count: number) => void) {
      return getConnections.call(server, (error, count) =>
        callback(error, count + served.connections)
      )
    }
  })
  return () => {
    Object.assign(server, {
      close: closeServer,
      closeIdleConnections,
      closeAllConnections,
      getConnections
    })
  }
}
