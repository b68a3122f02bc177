/**
 * What `node:http2` leaves without a bound: connections on which nothing is asked, requests that never arrive
 * completely, and heads of clients that do not acknowledge how large one may be. One timer for all of them.
 */
import {
  constants,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { type BrokenRequest, headersTooLarge, TOO_LATE, toAnswer } from './broken-request.ts'

/** How long is waited for what. */
export interface Http2Patience {
  /** From the beginning of a connection to its first request. */
  readonly firstRequestMs: number
  /** From the end of the last request under way to the next. */
  readonly keepAliveMs: number
  /** From the head of a request to the end of its body. */
  readonly requestMs: number
}

type Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => void

/** Bytes that a field counts for beside its name and value (RFC 9113, 6.5.2). */
const FIELD_BYTES = 32

/** Answers heads that are too large itself; the handler gets the others. Requests of HTTP/1.1 are not its business. */
export function withHeadBound(handler: Handler, maxHeaderBytes: number): Handler {
  return (request, response) => {
    if (request.httpVersionMajor >= 2 && headBytes(request.rawHeaders) > maxHeaderBytes) {
      refuse(response, headersTooLarge(maxHeaderBytes))
    } else handler(request, response)
  }
}

function headBytes(rawHeaders: readonly string[]): number {
  return rawHeaders.reduce((sum, text) => sum + text.length, (rawHeaders.length / 2) * FIELD_BYTES)
}

/** Once its answer has left, the client is told to stop sending the rest. */
function refuse(response: Http2ServerResponse, broken: BrokenRequest): void {
  const { status, body, headers } = toAnswer(broken)
  response.writeHead(status, headers)
  response.end(body)
  response.stream.close(constants.NGHTTP2_NO_ERROR)
}

/** Lets go of connections and requests that take too long. Ends with the server. */
export function boundWaiting(server: Http2SecureServer, patience: Http2Patience): void {
  const idle = new Map<ServerHttp2Session, number>()
  const arriving = new Map<Http2ServerRequest, { response: Http2ServerResponse; untilMs: number }>()
  server.on('session', (session: ServerHttp2Session) => {
    let open = 0
    idle.set(session, performance.now() + patience.firstRequestMs)
    session.on('stream', (stream: ServerHttp2Stream) => {
      open++
      idle.delete(session)
      stream.once('close', () => {
        open--
        if (open === 0 && !session.destroyed) idle.set(session, performance.now() + patience.keepAliveMs)
      })
    })
    session.once('close', () => idle.delete(session))
  })
  server.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    if (request.httpVersionMajor < 2 || request.complete || request.stream.endAfterHeaders) return
    arriving.set(request, { response, untilMs: performance.now() + patience.requestMs })
    const arrived = (): void => {
      arriving.delete(request)
    }
    request.once('end', arrived)
    request.once('close', arrived)
  })
  const check = (): void => {
    const nowMs = performance.now()
    for (const [session, untilMs] of idle) {
      if (untilMs > nowMs) continue
      // Closing waits for what the client has to take; one that takes nothing has had a whole interval.
      if (session.closed) session.destroy()
      else session.close()
    }
    // In the order in which their time is over.
    for (const [request, { response, untilMs }] of arriving) {
      if (untilMs > nowMs) break
      arriving.delete(request)
      giveUp(response)
    }
  }
  const shortestMs = Math.min(patience.firstRequestMs, patience.keepAliveMs, patience.requestMs)
  const timer = setInterval(check, Math.max(1, Math.ceil(shortestMs / 4))).unref()
  server.once('close', () => clearInterval(timer))
}

/** A request that has an answer already gets no second one. */
function giveUp(response: Http2ServerResponse): void {
  if (response.headersSent) response.stream.close(constants.NGHTTP2_CANCEL)
  else refuse(response, TOO_LATE)
}
