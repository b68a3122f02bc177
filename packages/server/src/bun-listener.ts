/** Listening with `Bun.serve`, which is faster there than its emulation of `node:http`. */
import type { Listen } from './listener.ts'
import { readTlsFiles, type TlsOptions } from './tls-files.ts'

/** The part of Bun's API that is used; the types of a runtime we do not run on are not installed. */
interface BunRuntime {
  serve(options: {
    readonly hostname: string
    readonly port: number
    readonly idleTimeout: number
    readonly maxRequestBodySize: number
    fetch(request: Request, server: BunServer): Promise<Response>
    readonly tls?: BunTls
  }): BunServer
}

interface BunServer {
  readonly port: number
  requestIP(request: Request): { readonly address: string } | null
  stop(closeActive?: boolean): Promise<void>
}

interface BunTls {
  readonly cert: unknown
  readonly key: unknown
  readonly ca?: unknown
  readonly requestCert: boolean
  readonly rejectUnauthorized: boolean
}

declare const Bun: BunRuntime

/** Bun's longest idle time; heartbeats keep live responses well below it. */
const IDLE_TIMEOUT_SECONDS = 255

/** HTTP/1.1 over TLS; Bun serves no HTTP/2. */
async function bunTls(options: TlsOptions): Promise<BunTls> {
  const wantsCertificate = options.clientCaPath !== undefined
  const { cert, key, ca } = await readTlsFiles(options)
  return {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    requestCert: wantsCertificate,
    rejectUnauthorized: wantsCertificate,
  }
}

/** Serves a handler on a TCP port of Bun. */
export const listenOnBun: Listen = async (handler, options) => {
  const tls = options.tls && (await bunTls(options.tls))
  let requests = 0
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    // The handler has its own limit and answers 413 itself; this one would only cut the connection.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch(request, server) {
      requests += 1
      return handler.fetch(request, {
        requestIP: (asked: Request) => server.requestIP(asked),
        // Where one is asked for, Bun lets nobody in without.
        hasClientCertificate: options.tls?.clientCaPath !== undefined,
      })
    },
    ...(tls && { tls }),
  })
  return {
    port: server.port,
    requestCounts: () => ({ http1: requests, http2: 0 }),
    reloadTls: () =>
      Promise.reject(new Error('Bun reads certificates at the start only: start the server again.')),
    async stop() {
      const stopped = server.stop()
      handler.drain()
      const cutOff = setTimeout(() => server.stop(true), options.shutdownGraceMs)
      await stopped
      clearTimeout(cutOff)
    },
  }
}
