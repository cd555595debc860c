/**
 * Every error this package throws carries a stable `code`. Match on the code; the message is for
 * people and may change in any release. docs/reference/errors.md says what to do about each.
 */
export const SHM_ERROR_CODES = [
  'SHM_ERR_INVALID_ARG',
  'SHM_ERR_CONFIG',
  'SHM_ERR_UNAVAILABLE',
  'SHM_ERR_ADDRESS',
  'SHM_ERR_ADDRESS_IN_USE',
  'SHM_ERR_PERMISSION',
  'SHM_ERR_PEER_UNREACHABLE',
  'SHM_ERR_HANDSHAKE',
  'SHM_ERR_PROTOCOL',
  'SHM_ERR_SESSION_CLOSED',
  'SHM_ERR_TIMEOUT',
  'SHM_ERR_INSPECT'
] as const

export type ShmErrorCode = (typeof SHM_ERROR_CODES)[number]

export class ShmError extends Error {
  override readonly name: string = 'ShmError'
  readonly code: ShmErrorCode

  constructor(code: ShmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The caller passed a value no configuration accepts. Thrown synchronously, before any I/O. */
export class InvalidArgumentError extends ShmError {
  override readonly name: string = 'InvalidArgumentError'

  constructor(option: string, expected: string, received: unknown) {
    super('SHM_ERR_INVALID_ARG', `${option} must be ${expected}, got ${describe(received)}`)
  }
}

/** The peer broke the shmipc protocol. The session is unusable and has been closed. */
export class ProtocolError extends ShmError {
  override readonly name: string = 'ProtocolError'

  constructor(message: string, options?: ErrorOptions) {
    super('SHM_ERR_PROTOCOL', message, options)
  }
}

/**
 * The far end of a stream is gone: it was reset, or its process died. Carries the code a socket's
 * error would, so that retry logic written for sockets works.
 */
export class ConnectionResetError extends Error {
  override readonly name: string = 'ConnectionResetError'
  readonly code = 'ECONNRESET'
  readonly syscall = 'read'
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'an array' : 'an object'
  }
  return String(value)
}
