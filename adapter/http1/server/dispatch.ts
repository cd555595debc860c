import { channel } from 'node:diagnostics_channel'
import type { Server } from 'node:http'
import type { RequestHead } from '../message.ts'
import type { WireRequest } from './request.ts'
import type { WireResponse } from './response.ts'
import { internals } from './response-internals.ts'

const requestStart = channel('http.server.request.start')
const responseFinish = channel('http.server.response.finish')

/**
 * Gives a request to whoever listens on the server, as node:http does.
 *
 * @param count requests on this connection, with this one
 */
export function dispatch(
  server: Server,
  head: RequestHead,
  request: WireRequest,
  response: WireResponse,
  count: number
): void {
  const message = internals(response)
  message._keepAliveTimeout = server.keepAliveTimeout
  const most = server.maxRequestsPerSocket
  message._maxRequestsPerSocket = most as number
  publishStart(server, request, response)

  if (most !== null && most > 0 && head.version === 1) {
    message.maxRequestsOnConnectionReached = most <= count
    if (most < count) {
      server.emit('dropRequest', request, request.socket)
      response.writeHead(503)
      response.end()
      return
    }
  }
  if (!head.expectContinue && head.expectation === undefined) {
    server.emit('request', request, response)
  } else if (head.expectContinue) {
    message._expect_continue = true
    if (server.listenerCount('checkContinue') > 0) {
      server.emit('checkContinue', request, response)
    } else {
      response.writeContinue()
      server.emit('request', request, response)
    }
  } else if (server.listenerCount('checkExpectation') > 0) {
    server.emit('checkExpectation', request, response)
  } else {
    response.writeHead(417)
    response.end()
  }
}

/** `http.server.response.created` is published by `ServerResponse`, by Node that knows it. */
function publishStart(server: Server, request: WireRequest, response: WireResponse): void {
  if (!requestStart.hasSubscribers) return
  requestStart.publish({ request, response, socket: request.socket, server })
}

export function publishFinish(server: Server, request: WireRequest, response: WireResponse): void {
  if (!responseFinish.hasSubscribers) return
  responseFinish.publish({ request, response, socket: request.socket, server })
}
