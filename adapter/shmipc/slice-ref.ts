/** A message whose slices stay its sender's: it is told when all of them have been read. */
export interface Loan {
  readonly stream: number
  /** Header offset of the message's first slice: its name. */
  readonly first: number
  /** Slices not yet released. */
  left: number
}

/** A received slice: its header offset; of a message that is only lent, with the loan it belongs to. */
export type SliceRef = number | { readonly slice: number; readonly loan: Loan }
