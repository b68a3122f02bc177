/** Which answers a connection still owes: it may be closed, or told something out of turn, only after them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The exchange before it, if that was still going on. */
  readonly before: Exchange | undefined
}

/** Answers leave in the order of their requests, so the newest one is the last to leave. */
const newest = new WeakMap<Duplex, Exchange>()

/** Notes that a request has come in on a connection, and calls back when those before it are answered. */
export function inTurn(request: IncomingMessage, response: ServerResponse, callback: () => void): void {
  const last = newest.get(request.socket)
  const before = last === undefined || last.response.closed ? undefined : last
  newest.set(request.socket, { request, response, before })
  afterExchange(before, callback, callback)
}

/** Calls back once every request that has come in on a connection is answered, or the connection is gone. */
export function afterAnswers(socket: Duplex, callback: () => void): void {
  const exchange = newest.get(socket)
  afterExchange(exchange, callback, () => afterAnswers(socket, callback))
}

/** What became of the bytes that cannot be read: whether they are part of a request that has an answer already. */
export type BrokenAt = 'next-request' | 'unanswered-body' | 'answered-body'

/** Calls back once every request before the bytes that cannot be read is answered. */
export function afterAnswersBefore(socket: Duplex, callback: (brokenAt: BrokenAt) => void): void {
  const exchange = newest.get(socket)
  const isInBody = exchange !== undefined && !exchange.request.complete
  const earlier = isInBody ? exchange.before : exchange
  const done = (): void => {
    if (!isInBody) callback('next-request')
    else callback(exchange.response.headersSent ? 'answered-body' : 'unanswered-body')
  }
  afterExchange(earlier, done, done)
}

function afterExchange(exchange: Exchange | undefined, isOver: () => void, onClose: () => void): void {
  if (exchange === undefined || exchange.response.closed) isOver()
  else exchange.response.once('close', onClose)
}
