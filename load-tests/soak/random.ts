/** Reproducible random numbers (splitmix32). Not for secrets. */
export class Random {
  #state: number

  /** @param seed unsigned 32 bits */
  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** Unsigned, 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** Of [0, limit). */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit)
  }

  /** Of [least, most], small ones as likely as large ones by order of magnitude. */
  magnitude(least: number, most: number): number {
    const exponent = (this.next() / 2 ** 32) * Math.log(most / least + 1)
    return Math.min(most, Math.floor(least * Math.exp(exponent)))
  }

  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32
  }
}

/** The seed of the `index`-th of many things that have one seed together. */
export function derivedSeed(seed: number, index: number): number {
  return new Random((seed ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0).next()
}
