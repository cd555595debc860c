import { eventually } from './eventually.ts'
import { heldBy, surplus, waitedFor } from './resources.ts'

/** What this process holds and waits for, against what it did at the beginning. */
export class Holdings {
  #held = heldBy()
  #waited = waitedFor()

  /** What is held from here on, and was not before, must be let go of. */
  begin(): void {
    this.#held = heldBy()
    this.#waited = waitedFor()
  }

  /**
   * Waits until nothing is held that was not at the beginning.
   *
   * @param holder for the message when it never comes to that
   */
  async end(holder: string): Promise<void> {
    const left = () => [...surplus(this.#held, heldBy()), ...surplus(this.#waited, waitedFor())]
    await eventually(
      () => `${holder} let go of ${left()}`,
      () => left().length === 0
    )
  }
}
