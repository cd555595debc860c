/** Events per direction. A multiple of 16, see native/src/core/event_queue.h. */
export const QUEUE_CAPACITY = 8192
