import type { Endpoint, Waiter } from './endpoint.ts'

/** Whether a connection can be had within `limitMs`; one is made when there is none. */
export function isReachable(endpoint: Endpoint, limitMs: number): Promise<boolean> {
  if (endpoint.connected && !endpoint.ejection.active) return Promise.resolve(true)
  return new Promise((resolve) => {
    const waiter: Waiter = {
      connected: (connection) => {
        endpoint.release(connection, true)
        clearTimeout(timer)
        resolve(true)
      },
      connectFailed: () => {
        clearTimeout(timer)
        resolve(false)
      }
    }
    const timer = setTimeout(() => {
      endpoint.cancel(waiter)
      resolve(false)
    }, limitMs)
    endpoint.wait(waiter)
  })
}
