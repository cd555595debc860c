/**
 * Low byte of an event's or a FallbackData's status. Above `close` only between two shmesh ends
 * (docs/internals/wire-protocol.md).
 */
export const Status = {
  data: 0,
  /** shmipc's end of a stream: both directions at once. */
  close: 1,
  /** The sender writes no more. */
  fin: 2,
  /** Both directions end; unread bytes are lost. */
  reset: 3,
  /** The event's offset is a number of bytes the receiver may send again. */
  credit: 4,
  /** A message whose slices stay the sender's: the receiver reads them and does not return them. */
  lend: 5,
  /** The event's offset is that of a lent message's first slice: it has been read. */
  lendDone: 6
} as const
export type Status = (typeof Status)[keyof typeof Status]
