/** Floor 4: the mesh proxy. */
export type { Address } from './config/address.ts'
export { loadConfig, parseConfig, resolveConfig } from './config/load.ts'
export { ConfigError } from './config/problem.ts'
export { type ConfigDocument, configSchema } from './config/schema.ts'
export type { ProxyConfig } from './config/types.ts'
export { type BoundAddress, createProxy, type MeshProxy, type ProxyLogs } from './proxy.ts'
export type { ProxyStatistics } from './statistics.ts'
