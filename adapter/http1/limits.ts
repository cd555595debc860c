import { InvalidArgumentError } from '../errors.ts'

/** Bounds on what one message may make a reader keep. All counts of bytes unless said otherwise. */
export interface Limits {
  /** The whole head, line ends included; trailers have the same bound. Default 16384; else 431. */
  readonly maxHeaderBytes?: number
  /** Fields in a head or in trailers. Default 2000, as in node:http; else 431. */
  readonly maxHeaderCount?: number
  /** The request target. Default `maxHeaderBytes`; else 414. */
  readonly maxTargetBytes?: number
  /** Chunk extensions and superfluous zeros, summed over a message. Default 16384; else 413. */
  readonly maxChunkOverhead?: number
  /** A decoded body. Default unlimited; else 413. */
  readonly maxBodyBytes?: number
  /** Whether an HTTP/1.1 request must have a Host (RFC 9112 3.2). Default true; else 400. */
  readonly requireHost?: boolean
}

export type ResolvedLimits = Required<Limits>

export function resolveLimits(limits: Limits = {}): ResolvedLimits {
  const maxHeaderBytes = positive('maxHeaderBytes', limits.maxHeaderBytes, 16384)
  return {
    maxHeaderBytes,
    maxHeaderCount: positive('maxHeaderCount', limits.maxHeaderCount, 2000),
    maxTargetBytes: positive('maxTargetBytes', limits.maxTargetBytes, maxHeaderBytes),
    maxChunkOverhead: positive('maxChunkOverhead', limits.maxChunkOverhead, 16384),
    maxBodyBytes: positive('maxBodyBytes', limits.maxBodyBytes, Number.POSITIVE_INFINITY),
    requireHost: limits.requireHost ?? true
  }
}

function positive(option: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback
  if (value === Number.POSITIVE_INFINITY && fallback === value) return value
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError(option, 'a whole number of at least 1', value)
  }
  return value
}
