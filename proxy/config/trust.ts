/** Whose word is taken: `true` for everybody, `false` for nobody, or a list of networks. */
import { BlockList, isIP } from 'node:net'

/** An IP address, or one with a prefix length: `10.0.0.0/8`, `fd00::/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  if (prefix === undefined) return true
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)
}

/**
 * Tells for an IP address whether it is trusted. A client without one, on a Unix socket or in
 * shared memory, is in no network.
 */
export function trustRule(trust: boolean | readonly string[]): (address: string) => boolean {
  if (typeof trust === 'boolean') return () => trust
  const networks = new BlockList()
  for (const text of trust) {
    const [address = '', prefix] = text.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) networks.addAddress(address, family)
    else networks.addSubnet(address, Number(prefix), family)
  }
  return (address) => {
    const family = isIP(address)
    return family !== 0 && networks.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}
