/** Where requests may go that name their destination themselves. */
import { type LookupAddress, lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import { trustRule } from '../config/trust.ts'
import type { PassthroughConfig } from '../config/types.ts'
import { type Failure, failures } from '../failure.ts'

/** Ports of this proxy, that a request must not be passed through to. */
export interface OwnPorts {
  /** Whoever reaches the admin server can stop the proxy. */
  readonly admin: readonly number[]
  /** Of listeners with a route to `passthrough`: a request would come back for ever. */
  readonly looping: readonly number[]
}

/** A name has turned out to mean an address that must not be connected to. */
export class DeniedAddressError extends Error {
  override readonly name: string = 'DeniedAddressError'
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

export class PassthroughRules {
  readonly #isDenied: (address: string) => boolean
  readonly #ownPorts: () => OwnPorts

  constructor({ deny }: PassthroughConfig, ownPorts: () => OwnPorts) {
    this.#isDenied = trustRule(deny)
    this.#ownPorts = ownPorts
  }

  /** Why nothing may connect there; of a name it is known only when it is looked up. */
  refusal(host: string, port: number): Failure | undefined {
    if (isIP(host) === 0) return undefined
    if (this.#isDenied(host)) return failures.denied(host)
    const { admin, looping } = this.#ownPorts()
    const own = admin.includes(port) || looping.includes(port)
    if (!own || !isThisMachine(host)) return undefined
    return admin.includes(port) ? failures.denied(host) : failures.ownListener(host)
  }

  /** Looks names up as usual; the addresses are checked that will be connected to, not the name. */
  lookupFor(port: number): LookupFunction {
    return (name, options, callback) => {
      lookup(name, options, (error, found, family) => {
        const addresses: LookupAddress[] =
          typeof found === 'string' ? [{ address: found, family: family ?? 0 }] : (found ?? [])
        for (const { address } of error === null ? addresses : []) {
          const failure = this.refusal(address, port)
          if (failure === undefined) continue
          callback(new DeniedAddressError(failure), '')
          return
        }
        callback(error, found, family)
      })
    }
  }
}

/** As they are written in an address that is no name. */
function isThisMachine(host: string): boolean {
  const bare = host.toLowerCase().replace(/^::ffff:/, '')
  if (bare === '0.0.0.0' || bare === '::' || bare === '::1' || bare.startsWith('127.')) return true
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return own.some(({ address }) => address === bare)
}
