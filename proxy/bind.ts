import { ShmError } from '../adapter/errors.ts'

/** The TCP ports among their addresses. */
export function portsOf(bound: readonly { readonly address: string }[]): number[] {
  return bound.flatMap(({ address }) => Number(/^http:.*:(\d+)$/.exec(address)?.[1] ?? []))
}

/** @throws {ShmError} naming what could not be bound, and what is in its way */
export async function bind(bound: {
  readonly name: string
  listen(): Promise<void>
}): Promise<void> {
  try {
    await bound.listen()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = { EADDRINUSE: 'SHM_ERR_ADDRESS_IN_USE', EACCES: 'SHM_ERR_PERMISSION' } as const
    const kind =
      error instanceof ShmError ? error.code : (why[code as keyof typeof why] ?? undefined)
    throw new ShmError(kind ?? 'SHM_ERR_ADDRESS', `${bound.name}: ${message}`, { cause: error })
  }
}
