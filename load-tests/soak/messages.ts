/** What the soak and its two ends tell each other. */
import type { SessionStatistics } from '../../adapter/index.ts'
import type { Tally } from './conversation.ts'
import type { Rules, Side } from './script.ts'

/** An end's only argument, as JSON. */
export interface EndOptions {
  readonly side: Side
  readonly path: string
  readonly seed: number
  /** Client: of the session, with its unit. */
  readonly memory: string
  /** Client: streams open at once. */
  readonly streams: number
  readonly rules: Rules
}

export interface Sample {
  readonly tally: Tally
  /** Private resident memory. */
  readonly anonymousBytes: number
  /** Resident pages of the session's memory. */
  readonly sharedBytes: number
}

export interface Problem {
  readonly text: string
  /** Memory, or a byte of a stream, was not what its owner made it. */
  readonly corruption: boolean
}

/** From an end. */
export type EndMessage =
  | { readonly ready: true }
  | { readonly sample: Sample }
  | { readonly problem: Problem }
  /** Nothing is under way any more, or it never came to that. */
  | { readonly quiet: SessionStatistics; readonly sample: Sample }

/** To an end: open no more streams, and report when it is quiet. */
export interface Finish {
  readonly finish: true
}
