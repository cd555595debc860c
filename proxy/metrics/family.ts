/** One metric with all its label sets, as the exposition library takes it. */
export type Labels = Readonly<Record<string, string | number>>

export interface Sample {
  readonly value: number
  readonly labels: Labels
  /** Of a histogram's parts; the family's when left out. */
  readonly metricName?: string
}

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly values: readonly Sample[]
}

/** Takes what one source has to tell. */
export class Families {
  readonly all: Family[] = []

  counter(name: string, help: string, values: readonly Sample[]): void {
    this.all.push({ name, help, type: 'counter', values })
  }

  gauge(name: string, help: string, values: readonly Sample[]): void {
    this.all.push({ name, help, type: 'gauge', values })
  }

  histogram(name: string, help: string, values: readonly Sample[]): void {
    this.all.push({ name, help, type: 'histogram', values })
  }
}
