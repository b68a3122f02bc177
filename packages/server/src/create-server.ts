/** Standalone: a handler with a listening socket, on Node or on Bun. */
import type { EngineStatistics, StreamStorage } from '@millrace/engine'
import { isLoopbackName } from './access-rules.ts'
import { openDoor } from './auth-door.ts'
import { listenOnBun } from './bun-listener.ts'
import { connectionsLeft } from './connection-bound.ts'
import { type MillraceHandler, openHandler } from './create-handler.ts'
import type { Listener, RequestCounts } from './listener.ts'
import { listenOnNode } from './node-listener.ts'
import type { HandlerOptions } from './options.ts'
import type { TlsOptions } from './tls-files.ts'

/** Options of `createServer`. */
export interface ServerOptions extends HandlerOptions {
  /** Address to listen on; loopback unless given. */
  readonly host?: string
  /** Port to listen on; 0 picks a free one. 4437 unless given. */
  readonly port?: number
  /** How long a request may take to arrive completely. 120,000 unless given. */
  readonly requestTimeoutMs?: number
  /** How long `close` waits for requests under way before it cuts them off. 10,000 unless given. */
  readonly shutdownGraceMs?: number
  /** Largest head of a request, in bytes; 32 KiB unless given. */
  readonly maxHeaderBytes?: number
  /**
   * Connections at a time; what connects beyond them is closed at once. Unless given, what the system's bound on open
   * files leaves beside the store's (on Linux; no bound elsewhere). Without effect on Bun.
   */
  readonly maxConnections?: number
  /** Serve over TLS, HTTP/1.1 and HTTP/2 (HTTP/1.1 only on Bun); plain HTTP without it. */
  readonly tls?: TlsOptions
}

/** A listening server. */
export interface MillraceServer {
  /** Where it listens, such as `http://127.0.0.1:4437`. */
  readonly url: string
  readonly port: number
  readonly handler: MillraceHandler
  /** Numbers about the engine; `undefined` until the store is open. */
  statistics(): EngineStatistics | undefined
  /** How many requests have come in so far. */
  requestCounts(): RequestCounts
  /** Reads certificate and key again: new connections get them. Rejects with `TlsFileError`, changing nothing. */
  reloadTls(): Promise<void>
  /** Accepts no more, ends live readers cleanly, finishes requests and commits, closes the store. */
  close(): Promise<void>
}

/** The port of the protocol. */
export const DEFAULT_PORT = 4437

/**
 * Opens the store, listens, and resolves when requests are served; rejects if either fails. Rejects with `RangeError`
 * where the network could reach a server whose `authentication` nobody has decided on; `none` is a decision.
 */
export async function createServer(options: ServerOptions): Promise<MillraceServer> {
  const host = options.host ?? '127.0.0.1'
  // Nothing listens before recovery is over: whoever connects is served.
  const storage = await options.storage
  const handler = await handlerFor(options, storage, host)
  let listener: Listener
  try {
    await handler.ready
    const listen = 'Bun' in globalThis ? listenOnBun : listenOnNode
    listener = await listen(handler, {
      host,
      port: options.port ?? DEFAULT_PORT,
      requestTimeoutMs: options.requestTimeoutMs ?? 120_000,
      shutdownGraceMs: options.shutdownGraceMs ?? 10_000,
      maxHeaderBytes: options.maxHeaderBytes ?? 32 * 1024,
      maxConnections: options.maxConnections ?? (await connectionsLeft()),
      onError: options.onError ?? console.error,
      ...(options.tls && { tls: options.tls }),
    })
  } catch (error) {
    await handler.close()
    throw error
  }
  let closing: Promise<void> | undefined
  return {
    url: `${options.tls ? 'https' : 'http'}://${inUrl(host)}:${listener.port}`,
    port: listener.port,
    handler,
    statistics: () => handler.statistics(),
    requestCounts: () => listener.requestCounts(),
    reloadTls: () => listener.reloadTls(),
    close() {
      closing ??= listener.stop().then(() => handler.close())
      return closing
    },
  }
}

/** A store that will not be used is closed. */
async function handlerFor(
  options: ServerOptions,
  storage: StreamStorage,
  host: string,
): Promise<MillraceHandler> {
  try {
    refuseOpenDoor(host, options)
    return openHandler({ ...options, storage, allowedHosts: withHost(options.allowedHosts, host) })
  } catch (error) {
    await storage.close()
    throw error
  }
}

/** Whoever opens a server to the network says who may use it. */
function refuseOpenDoor(host: string, { authentication }: ServerOptions): void {
  const open = openDoor(host, authentication)
  if (open !== undefined) throw new RangeError(open)
}

function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** A server that listens on an address is reached by it. */
function withHost(hosts: '*' | readonly string[] | undefined, host: string): '*' | readonly string[] {
  if (hosts === '*') return '*'
  const name = inUrl(host)
  return isLoopbackName(name) ? (hosts ?? []) : [...(hosts ?? []), name]
}
