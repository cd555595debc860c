/**
 * Messages of the control socket once the handshake is done.
 *
 *     0        4       6         7      8
 *     | length | magic | version | type | payload ...
 *
 * Integers are big-endian. `length` counts the header as well as the payload.
 */
import { ProtocolError } from '../errors.ts'

export const CONTROL_HEADER_BYTES = 8
const MAGIC = 0x7758
const VERSION = 3

/** Largest FallbackData accepted, in bytes. shmipc-go puts a whole flush into one. */
export const MAX_CONTROL_BYTES: number = 64 * 1024 * 1024

export const ControlType = {
  /** The ring has work for a consumer that went to sleep. */
  polling: 1,
  streamClose: 2,
  /** Payload follows inline: the sender found no free slice. */
  fallbackData: 3,
  /** Server to client: open no more streams here, the address has or will have another server. */
  hotRestart: 8,
  /** The client opened its last stream before this. */
  hotRestartAck: 9
} as const
export type ControlType = (typeof ControlType)[keyof typeof ControlType]

/** Payload bytes before a FallbackData's own data: stream id and status. */
export const FALLBACK_PREFIX_BYTES = 8

/** Exact sizes: shmipc-go consumes as many whatever the length says. */
const FIXED_BYTES: Readonly<Record<number, number>> = {
  [ControlType.polling]: 8,
  [ControlType.streamClose]: 12,
  [ControlType.hotRestart]: 16,
  [ControlType.hotRestartAck]: 16
}

export interface ControlHeader {
  /** Bytes, header included. */
  readonly length: number
  readonly type: ControlType
}

/**
 * Reads a header from 8 bytes.
 *
 * @throws {ProtocolError} when no peer may send it. The session must be destroyed: the socket has no
 *   resynchronisation point.
 */
export function readControlHeader(bytes: Buffer): ControlHeader {
  const length = bytes.readUInt32BE(0)
  const magic = bytes.readUInt16BE(4)
  const version = bytes.readUInt8(6)
  const type = bytes.readUInt8(7)
  if (magic !== MAGIC || version === 0) {
    throw new ProtocolError(
      `control message with magic 0x${magic.toString(16)} and version ${version}`
    )
  }
  if (type === ControlType.fallbackData) {
    if (length < CONTROL_HEADER_BYTES + FALLBACK_PREFIX_BYTES || length > MAX_CONTROL_BYTES) {
      throw new ProtocolError(`FallbackData of ${length} bytes`)
    }
    return { length, type }
  }
  const fixed = FIXED_BYTES[type]
  if (fixed === undefined) throw new ProtocolError(`control message of unexpected type ${type}`)
  if (length !== fixed) {
    throw new ProtocolError(`control message of type ${type} with ${length} bytes, not ${fixed}`)
  }
  return { length, type: type as ControlType }
}

function header(length: number, type: ControlType): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  bytes.writeUInt32BE(length, 0)
  bytes.writeUInt16BE(MAGIC, 4)
  bytes.writeUInt8(VERSION, 6)
  bytes.writeUInt8(type, 7)
  return bytes
}

export const POLLING: Buffer = header(CONTROL_HEADER_BYTES, ControlType.polling)

export function streamClose(streamId: number): Buffer {
  const bytes = header(12, ControlType.streamClose)
  bytes.writeUInt32BE(streamId, CONTROL_HEADER_BYTES)
  return bytes
}

/** @param epoch of the restart, which the answer repeats; not 0, which shmipc-go reads as none */
export function hotRestart(type: 8 | 9, epoch: bigint): Buffer {
  const bytes = header(16, type)
  bytes.writeBigUInt64BE(epoch, CONTROL_HEADER_BYTES)
  return bytes
}

/** Everything of a FallbackData before its `dataBytes` bytes of data. */
export function fallbackPrefix(streamId: number, status: number, dataBytes: number): Buffer {
  const bytes = header(CONTROL_HEADER_BYTES + FALLBACK_PREFIX_BYTES, ControlType.fallbackData)
  bytes.writeUInt32BE(bytes.length + dataBytes, 0)
  bytes.writeUInt32BE(streamId, CONTROL_HEADER_BYTES)
  bytes.writeUInt32BE(status, CONTROL_HEADER_BYTES + 4)
  return bytes
}
