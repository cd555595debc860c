import type { AccessLogConfig } from '../config/types.ts'
import { compileFormat, type LineFormat } from './format.ts'
import type { AccessRecord } from './record.ts'

/** Where lines go. It gathers them; what it cannot take it drops and counts. */
export interface LineSink {
  /** @param line bytes as Latin-1 text, with the line feed */
  write(line: string): unknown
  /** Lines dropped because nobody took them fast enough. */
  readonly dropped?: number
}

/** One line per request that has ended. */
export class AccessLog {
  readonly #format: LineFormat
  readonly #sample: number
  readonly #sink: LineSink

  constructor({ format, sample }: AccessLogConfig, sink: LineSink) {
    this.#format = compileFormat(format)
    this.#sample = sample
    this.#sink = sink
  }

  get dropped(): number {
    return this.#sink.dropped ?? 0
  }

  /** Whether a request that ended so is logged: all that failed are, and a share of the others. */
  takes(status: number, failed: boolean): boolean {
    if (failed || status >= 500 || this.#sample >= 1) return true
    return this.#sample > 0 && Math.random() < this.#sample
  }

  write(record: AccessRecord): void {
    this.#sink.write(this.#format(record))
  }
}
