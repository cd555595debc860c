/** Bytes the peer may send on a stream before we give credit. */
export const WINDOW_BYTES: number = 1024 * 1024
/** Events per direction. A multiple of 16, see native/src/core/event_queue.h. */
export const QUEUE_CAPACITY = 8192
