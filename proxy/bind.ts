import { ShmError, type ShmErrorCode } from '../adapter/errors.ts'

/** The TCP ports among their addresses. */
export function portsOf(bound: readonly { readonly address: string }[]): number[] {
  return bound.flatMap(({ address }) => Number(/^http:.*:(\d+)$/.exec(address)?.[1] ?? []))
}

/** What errors of listen(2) for TCP are here, and what to do about them. */
const REFUSALS: Readonly<Record<string, readonly [code: ShmErrorCode, advice: string]>> = {
  EADDRINUSE: ['SHM_ERR_ADDRESS_IN_USE', 'stop what listens there, or choose another port'],
  EACCES: [
    'SHM_ERR_PERMISSION',
    'choose another port, or let this user bind it (CAP_NET_BIND_SERVICE)'
  ],
  EADDRNOTAVAIL: ['SHM_ERR_ADDRESS', 'choose an address of this machine']
}

/** @throws {ShmError} naming what could not be bound, what is in its way, and what to do */
export async function bind(bound: {
  readonly name: string
  listen(): Promise<void>
}): Promise<void> {
  try {
    await bound.listen()
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    const what = `${bound.name}: ${message}`
    if (error instanceof ShmError) throw new ShmError(error.code, what, { cause: error })
    const [kind, advice] = REFUSALS[code] ?? ['SHM_ERR_ADDRESS', 'choose another address']
    throw new ShmError(kind, `${what}; ${advice}`, { cause: error })
  }
}
