/** Floor 4: the mesh proxy. */
export type { Address } from './config/address.ts'
export type { ConfigDocument } from './config/document.ts'
export { loadConfig, parseConfig, resolveConfig } from './config/load.ts'
export { ConfigError } from './config/problem.ts'
export { configSchema } from './config/schema.ts'
export type { ProxyConfig } from './config/types.ts'
export {
  type BoundAddress,
  createProxy,
  type MeshProxy,
  type ProxyLogs,
  type SharedMemoryReport
} from './proxy.ts'
export type { ProxyStatistics } from './statistics.ts'
