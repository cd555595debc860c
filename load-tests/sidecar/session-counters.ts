import type { RunningProxy } from '../demo/servers.ts'

/** What a proxy of ours tells of its requests and its session with the app. */
export interface SessionCounters {
  /** Requests by how they travelled. */
  readonly transports: Readonly<Record<string, number>>
  /** Sent by either end; undefined without shared memory. */
  readonly wakeUps: number | undefined
  readonly residentBytes: number | undefined
}

export async function sessionCounters(proxy: RunningProxy): Promise<SessionCounters> {
  const { requests, clusters } = await proxy.statistics()
  const session = clusters[0]?.endpoints[0]?.link?.session
  return {
    transports: requests.transport,
    wakeUps:
      session === undefined ? undefined : (session.wakesSent ?? 0) + (session.wakesReceived ?? 0),
    residentBytes: session?.residentBytes
  }
}
