/** Listening with `node:http`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type Socket, Server as TcpServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAnswers, afterAnswersBefore, type BrokenAt } from './answers-owed.ts'
import type { Listen } from './listener.ts'

/** Idle connections are kept a little longer than common proxies keep theirs, so that they close first. */
const KEEP_ALIVE_MS = 75_000
const MAX_HEADER_BYTES = 32 * 1024

/** Serves a handler on a TCP port. */
export const listenOnNode: Listen = async (handler, options) => {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: Math.min(30_000, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The access rules judge a missing Host, in the form of all other refusals.
      requireHostHeader: false,
    },
    handler.node,
  )
  // Headers are bounded in bytes; a bound on their number would drop the rest silently, framing headers included.
  server.maxHeadersCount = 0
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  server.on('clientError', (error, socket) =>
    afterAnswersBefore(socket, (brokenAt) => refuseBroken(error, socket, brokenAt)),
  )
  server.on('checkExpectation', refuseExpectation)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    port: portOf(server),
    stop: () => stop(server, connections, () => handler.drain(), options.shutdownGraceMs),
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

/**
 * Stops listening and lets every connection go once its answers have left. `Server.close` of `node:http` would also
 * cut connections whose last answer is still on its way to a slow client.
 */
function stop(
  server: Server,
  connections: ReadonlySet<Socket>,
  drain: () => void,
  graceMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => server.closeAllConnections(), graceMs)
    TcpServer.prototype.close.call(server, () => {
      clearTimeout(cutOff)
      // Nothing is connected any more: this only ends the checks for slow requests.
      server.close(() => undefined)
      resolve()
    })
    drain()
    for (const socket of connections) afterAnswers(socket, () => socket.destroySoon())
  })
}

interface BrokenRequest {
  readonly status: string
  readonly code: string
  readonly detail: string
}

const BROKEN: BrokenRequest = {
  status: '400 Bad Request',
  code: 'BAD_REQUEST',
  detail: 'The request is not well-formed HTTP.',
}
const BROKEN_BY_CODE: ReadonlyMap<string, BrokenRequest> = new Map([
  [
    'HPE_HEADER_OVERFLOW',
    {
      status: '431 Request Header Fields Too Large',
      code: 'HEADERS_TOO_LARGE',
      detail: `The request headers are larger than ${MAX_HEADER_BYTES} bytes.`,
    },
  ],
  [
    'ERR_HTTP_REQUEST_TIMEOUT',
    {
      status: '408 Request Timeout',
      code: 'REQUEST_TIMEOUT',
      detail: 'The request did not arrive in time.',
    },
  ],
])

/** What cannot be parsed is answered once, in the same form as everything else, and the connection closed. */
function refuseBroken(error: Error & { readonly code?: string }, socket: Duplex, brokenAt: BrokenAt): void {
  if (error.code === 'ECONNRESET' || !socket.writable || brokenAt === 'answered-body') {
    socket.destroy()
    return
  }
  const { status, body, headers } = toAnswer(BROKEN_BY_CODE.get(error.code ?? '') ?? BROKEN)
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${[status, ...fields, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`)
}

const EXPECTATION: BrokenRequest = {
  status: '417 Expectation Failed',
  code: 'EXPECTATION_FAILED',
  detail: 'The only expectation that is met here is 100-continue.',
}

function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const { body, headers } = toAnswer(EXPECTATION)
  response.writeHead(417, { ...headers, Connection: 'close' })
  response.end(body)
}

function toAnswer({ status, code, detail }: BrokenRequest): {
  readonly status: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
} {
  const type = `/errors/${code.toLowerCase().replaceAll('_', '-')}`
  const number = Number(status.slice(0, 3))
  const body = `${JSON.stringify({ type, title: status.slice(4), status: number, code, detail })}\n`
  const headers = {
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-site',
  }
  return { status, body, headers }
}
