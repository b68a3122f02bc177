/** Listening with `Bun.serve`, which is faster there than its emulation of `node:http`. */
import type { FetchHandler } from './fetch-adapter.ts'
import type { Listen } from './listener.ts'

/** The part of Bun's API that is used; the types of a runtime we do not run on are not installed. */
interface BunRuntime {
  serve(options: {
    readonly hostname: string
    readonly port: number
    readonly idleTimeout: number
    readonly maxRequestBodySize: number
    readonly fetch: FetchHandler
  }): { readonly port: number; stop(closeActive?: boolean): Promise<void> }
}

declare const Bun: BunRuntime

/** Bun's longest idle time; heartbeats keep live responses well below it. */
const IDLE_TIMEOUT_SECONDS = 255

/** Serves a handler on a TCP port of Bun. */
export const listenOnBun: Listen = async (handler, options) => {
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    // The handler has its own limit and answers 413 itself; this one would only cut the connection.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: handler.fetch,
  })
  return {
    port: server.port,
    async stop() {
      const stopped = server.stop()
      handler.drain()
      const cutOff = setTimeout(() => server.stop(true), options.shutdownGraceMs)
      await stopped
      clearTimeout(cutOff)
    },
  }
}
