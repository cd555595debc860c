/** Takes the parts of a request's body, in order. */
export interface BodySink {
  /**
   * @returns false when the source should wait for `BodySource.resume`
   * @throws when `chunk` is neither text nor bytes, or more than was announced
   */
  write(chunk: string | Uint8Array): boolean
  end(): void
  /** It will not be complete. */
  fail(error: Error): void
}

/** A request's body that comes in parts. */
export interface BodySource {
  /** In bytes, when it is known before it is read. */
  readonly length: number | undefined
  /** Once. Nothing is given to `sink` before the caller's turn is over. */
  start(sink: BodySink): void
  resume(): void
  /** Nothing more is wanted; `error` says why when it was not read to its end. */
  destroy(error?: Error): void
}
