import type { Dispatcher } from 'undici'
import type { ShmAgentOptions } from './options.ts'
import { ShmAgent, takes } from './shm-agent.ts'

/**
 * `ShmAgent` as an interceptor: what it has a route for goes through shared memory, the rest goes
 * on to the dispatcher that is composed.
 *
 *     setGlobalDispatcher(getGlobalDispatcher().compose(shm({ routes })))
 *
 * @param agent its options, or one made before: whoever wants to close it, or read its statistics
 * @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`)
 */
export function shm(
  agent: ShmAgent | ShmAgentOptions | string = {}
): Dispatcher.DispatcherComposeInterceptor {
  const over = agent instanceof ShmAgent ? agent : new ShmAgent(agent)
  return (dispatch) => (options, handler) =>
    takes(over, options.origin) ? over.dispatch(options, handler) : dispatch(options, handler)
}
