import { ControllerListener } from './controller-listener.ts'
import { type Handler, isControllerHandler } from './handlers.ts'
import { LegacyListener } from './legacy-listener.ts'
import type { Listener, Steering } from './listener.ts'

/** A handler of either dialect as what exchanges tell. */
export function toListener(handler: Handler, steering: Steering): Listener {
  return isControllerHandler(handler)
    ? new ControllerListener(handler, steering)
    : new LegacyListener(handler, steering)
}
