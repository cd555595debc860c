/** The standard way to say for whom one speaks: Forwarded (RFC 7239). */

/**
 * One element: `for=192.0.2.1;host=a.test;proto=http`.
 *
 * @param address IP address of the client; empty when it has none, as on a Unix socket
 * @param host as the client wrote it, with its port; may be empty
 */
export function forwardedElement(address: string, host: string, proto: string): string {
  const node = address === '' ? 'unknown' : address.includes(':') ? `"[${address}]"` : address
  const target = host === '' ? '' : `;host=${/^[\w.-]+$/.test(host) ? host : `"${host}"`}`
  return `for=${node}${target};proto=${proto}`
}
