/** What the adapters of clients share. */
export { type RouteOptions, type Routes, resolveRoutes } from './routes.ts'
export { SocketChoice } from './socket-choice.ts'
