/** Files of shared memory that this process uses; those of tests beside this one are not among them. */
import { existsSync, readFileSync } from 'node:fs'

/** Name in /dev/shm of memory that a session shares as files. */
const MAPPED_FILE = /\/dev\/shm\/(shmesh_\S+)/g

/** Whether each file of memory mapped here still has its name; by path. */
export function memoryFiles(): Map<string, boolean> {
  const maps = readFileSync('/proc/self/maps', 'utf8')
  const paths = [...maps.matchAll(MAPPED_FILE)].map(([, name]) => `/dev/shm/${name}`)
  return new Map(paths.map((path) => [path, existsSync(path)]))
}

/** Paths of those that have not been removed: anybody may still open them. */
export function namedMemoryFiles(): string[] {
  return [...memoryFiles()].filter(([, named]) => named).map(([path]) => path)
}
