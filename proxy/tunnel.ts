import type { Duplex } from 'node:stream'

/**
 * Joins two streams byte for byte after a protocol switch, with back-pressure and half-close. When
 * one breaks, so does the other.
 *
 * @param done called once, when both are closed
 */
export function tunnel(
  downstream: Duplex,
  upstream: Duplex,
  early: { readonly fromDownstream: Buffer; readonly fromUpstream: Buffer },
  done: () => void
): void {
  let open = 2
  const closed = (stream: Duplex, other: Duplex) => {
    // After an orderly end pipe() has ended the other one too, which may still be writing.
    if (!stream.readableEnded || !stream.writableFinished) other.destroy()
    if (--open === 0) done()
  }
  downstream.once('close', () => closed(downstream, upstream))
  upstream.once('close', () => closed(upstream, downstream))
  if (early.fromUpstream.length > 0) downstream.write(early.fromUpstream)
  if (early.fromDownstream.length > 0) upstream.write(early.fromDownstream)
  downstream.pipe(upstream)
  upstream.pipe(downstream)
}
