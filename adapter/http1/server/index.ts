/** HTTP/1.1 on the server side over wires, with the objects of node:http. */
export { BodyMemory } from './body-memory.ts'
export { BodyTooLongError, collectBody } from './collect-body.ts'
export { HttpConnections } from './connections.ts'
export { type BodyTaker, WireRequest } from './request.ts'
export { WireResponse } from './response.ts'
export { trustCollector } from './trusted-collectors.ts'
export type { WireStream } from './wire-stream.ts'
