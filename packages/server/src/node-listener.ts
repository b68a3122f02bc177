/** Listening with `node:http`. */
import { createServer, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
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
    },
    handler.node,
  )
  server.on('clientError', refuseBrokenRequest)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    port: portOf(server),
    stop: () => stop(server, () => handler.drain(), options.shutdownGraceMs),
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

function stop(server: Server, drain: () => void, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => server.closeAllConnections(), graceMs)
    server.close(() => {
      clearTimeout(cutOff)
      resolve()
    })
    drain()
    server.closeIdleConnections()
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
function refuseBrokenRequest(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, code, detail } = BROKEN_BY_CODE.get(error.code ?? '') ?? BROKEN
  const title = status.slice(4)
  const type = `/errors/${code.toLowerCase().replaceAll('_', '-')}`
  const body = `${JSON.stringify({ type, title, status: Number(status.slice(0, 3)), code, detail })}\n`
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
