/** Listening with `node:http`. */
import {
  createServer,
  type ServerOptions as HttpServerOptions,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type SecureServerOptions,
  type ServerHttp2Session,
} from 'node:http2'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { type Socket, Server as TcpServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAnswers, afterAnswersBefore, type BrokenAt } from './answers-owed.ts'
import {
  BROKEN,
  type BrokenRequest,
  EXPECTATION,
  headersTooLarge,
  TOO_LATE,
  toAnswer,
} from './broken-request.ts'
import { boundConnections } from './connection-bound.ts'
import type { MillraceHandler } from './create-handler.ts'
import { boundWaiting, withHeadBound } from './http2-bounds.ts'
import type { Listen, ListenOptions } from './listener.ts'
import { readTlsFiles, type TlsOptions } from './tls-files.ts'

/** Idle connections are kept a little longer than common proxies keep theirs, so that they close first. */
const KEEP_ALIVE_MS = 75_000
/** How long the head of a request may take. */
const HEAD_TIMEOUT_MS = 30_000
/** Requests that one HTTP/2 connection may have under way, live readers included. */
const MAX_CONCURRENT_STREAMS = 1000

/** All are servers of `node:net` that emit the same events; not all of them can end their idle connections. */
type NodeServer = ReturnType<typeof createServer> | Http2SecureServer | HttpsServer

/** Serves a handler on a TCP port. */
export const listenOnNode: Listen = async (handler, options) => {
  const { tls } = options
  const server = tls ? await secureServer(handler, options, tls) : plainServer(handler, options)
  if (options.maxConnections !== undefined) boundConnections(server, options.maxConnections, options.onError)
  const open = trackConnections(server)
  const counts = { http1: 0, http2: 0 }
  server.on('request', ({ httpVersionMajor }: { readonly httpVersionMajor: number }) => {
    counts[httpVersionMajor === 2 ? 'http2' : 'http1'] += 1
  })
  server.on('clientError', (error, socket) =>
    afterAnswersBefore(socket, (brokenAt) => refuseBroken(error, socket, brokenAt, options.maxHeaderBytes)),
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
    requestCounts: () => ({ ...counts }),
    async reloadTls() {
      if (tls && 'setSecureContext' in server) server.setSecureContext(await readTlsFiles(tls))
    },
    stop: () => stop(server, open, () => handler.drain(), options.shutdownGraceMs),
  }
}

function httpOptions(options: ListenOptions): HttpServerOptions {
  return {
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: Math.min(HEAD_TIMEOUT_MS, options.requestTimeoutMs),
    requestTimeout: options.requestTimeoutMs,
    // Requests that are late are looked for at this interval: it must not be long beside what they may take.
    connectionsCheckingInterval: Math.min(30_000, Math.ceil(options.requestTimeoutMs / 4)),
    maxHeaderSize: options.maxHeaderBytes,
    // The access rules judge a missing Host, in the form of all other refusals.
    requireHostHeader: false,
  }
}

function plainServer(handler: MillraceHandler, options: ListenOptions): ReturnType<typeof createServer> {
  const server = createServer(httpOptions(options), handler.node)
  // Headers are bounded in bytes; a bound on their number would drop the rest silently, framing headers included.
  server.maxHeadersCount = 0
  return server
}

/** HTTP/2 and HTTP/1.1 by ALPN, or only one of them. */
async function secureServer(
  handler: MillraceHandler,
  options: ListenOptions,
  tls: TlsOptions,
): Promise<Http2SecureServer | HttpsServer> {
  const files = await readTlsFiles(tls)
  const versions = tls.versions ?? ['http1', 'http2']
  const secure = {
    ...files,
    requestCert: tls.clientCaPath !== undefined,
    rejectUnauthorized: tls.clientCaPath !== undefined,
    handshakeTimeout: Math.min(30_000, options.requestTimeoutMs),
  }
  // A server of `node:http2` offers HTTP/2 whatever ALPN protocols it is given.
  const server = versions.includes('http2')
    ? multiplexedServer(handler, options, { ...secure, allowHTTP1: versions.includes('http1') })
    : createHttpsServer({ ...secure, ...httpOptions(options) }, handler.node)
  // HTTP/1.1 connections look for their settings on the server itself.
  Object.assign(server, httpOptions(options), { maxHeadersCount: 0 })
  // A client that speaks no TLS, or no version we do, is gone by itself: nothing of ours failed.
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

function multiplexedServer(
  handler: MillraceHandler,
  { maxHeaderBytes, requestTimeoutMs }: ListenOptions,
  secure: SecureServerOptions,
): Http2SecureServer {
  // The compatible API of HTTP/2 has the same shape as far as the adapter goes.
  const listener = handler.node as unknown as Parameters<typeof withHeadBound>[0]
  const settings = {
    maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
    maxHeaderListSize: maxHeaderBytes,
    initialWindowSize: 1024 * 1024,
  }
  const server = createSecureServer(
    { ...secure, maxSessionMemory: 64, settings },
    withHeadBound(listener, maxHeaderBytes),
  )
  boundWaiting(server, {
    firstRequestMs: Math.min(HEAD_TIMEOUT_MS, requestTimeoutMs),
    keepAliveMs: KEEP_ALIVE_MS,
    requestMs: requestTimeoutMs,
  })
  return server
}

/** What is connected, to be let go one by one. */
interface OpenConnections {
  readonly sockets: Set<Socket>
  readonly sessions: Set<ServerHttp2Session>
}

function trackConnections(server: NodeServer): OpenConnections {
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  const add = (socket: Socket): void => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  // Requests are known by the socket they came on: over TLS that is the secure one.
  server.on('setSecureContext' in server ? 'secureConnection' : 'connection', add)
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  return { sockets, sessions }
}

function portOf(server: NodeServer): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

/**
 * Stops listening and lets every connection go once its answers have left. `Server.close` of `node:http` would also
 * cut connections whose last answer is still on its way to a slow client.
 */
function stop(server: NodeServer, open: OpenConnections, drain: () => void, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => {
      for (const session of open.sessions) session.destroy()
      for (const socket of open.sockets) socket.destroy()
    }, graceMs)
    TcpServer.prototype.close.call(server, () => {
      clearTimeout(cutOff)
      // Nothing is connected any more: this only ends the checks for slow requests.
      server.close(() => undefined)
      resolve()
    })
    drain()
    // They end when their last answer has left.
    for (const session of open.sessions) session.close()
    for (const socket of open.sockets) {
      if (!isMultiplexed(socket)) afterAnswers(socket, () => socket.destroySoon())
    }
  })
}

function isMultiplexed(socket: Socket): boolean {
  return 'alpnProtocol' in socket && socket.alpnProtocol === 'h2'
}

function brokenBy(code: string | undefined, maxHeaderBytes: number): BrokenRequest {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return TOO_LATE
  return code === 'HPE_HEADER_OVERFLOW' ? headersTooLarge(maxHeaderBytes) : BROKEN
}

/** What cannot be parsed is answered once, in the same form as everything else, and the connection closed. */
function refuseBroken(
  error: Error & { readonly code?: string },
  socket: Duplex,
  brokenAt: BrokenAt,
  maxHeaderBytes: number,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable || brokenAt === 'answered-body') {
    socket.destroy()
    return
  }
  const broken = brokenBy(error.code, maxHeaderBytes)
  const { body, headers } = toAnswer(broken)
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${[broken.status, ...fields, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`)
}

function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const { body, headers } = toAnswer(EXPECTATION)
  response.writeHead(417, { ...headers, Connection: 'close' })
  response.end(body)
}
