/** What the Fastify plugin and `attach` have in common: one HTTP server, served on some paths. */
export { countIn } from './count-in.ts'
export { resolveServerOptions, type ServerOptions } from './options.ts'
export { ServedPaths, type ServerLog } from './served-paths.ts'
