import type { Headers } from '../../adapter/http1/codec.ts'

/** Whose requests lines are about: one for each connection. */
export class LogOrigin {
  readonly listener: string
  /** IP address; empty when the client came over a Unix socket or shared memory. */
  readonly client: string
  #fields: Headers | undefined
  #host = ''
  #text = ''

  constructor(listener: string, client: string) {
    this.listener = listener
    this.client = client
  }

  /**
   * What `make` makes of the fields and the host, which a target may have named: asked once as long
   * as they stay the same, which the reader of a connection shows by giving the same array.
   */
  textOf(fields: Headers, host: string, make: () => string): string {
    if (fields !== this.#fields || host !== this.#host) {
      this.#text = make()
      this.#host = host
      this.#fields = fields
    }
    return this.#text
  }
}
