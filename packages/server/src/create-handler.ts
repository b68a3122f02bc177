/** Embedding: Millrace inside somebody else's server. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { countUsage, Engine, type EngineStatistics, isLimited, type StreamStorage } from '@millrace/engine'
import { Guard } from './auth-guard.ts'
import { createFetchHandler, type FetchHandler } from './fetch-adapter.ts'
import { createNodeListener, type NodeListener } from './node-adapter.ts'
import { type HandlerOptions, type HandlerSettings, resolveOptions } from './options.ts'
import type { RouteContext } from './stream-routes.ts'
import { systemClock, systemEntropy } from './system-clock.ts'
import { createWireHandler } from './wire-handler.ts'

/** A running Millrace without a listening socket of its own. */
export interface MillraceHandler {
  /** For `node:http`, Express and Fastify: answers every path, 404 outside the stream root. */
  readonly node: NodeListener
  /** For Bun, Deno, Hono, Next and everything else that speaks `Request` and `Response`. */
  readonly fetch: FetchHandler
  /** Resolves once the store is open; rejects if it cannot be opened. */
  readonly ready: Promise<void>
  /** Numbers about the engine; `undefined` until the store is open. */
  statistics(): EngineStatistics | undefined
  /** Ends live readers; requests under way are still answered, and answers ask clients to close. */
  drain(): void
  /** Drains, finishes commits and closes the store. Call it once no request is under way. */
  close(): Promise<void>
}

/** The request and response types that `MillraceHandler.node` takes. */
export type { IncomingMessage, ServerResponse }

/**
 * Makes a handler to mount in an existing server. The caller closes it: its engine runs from here on, and the
 * storage belongs to it.
 */
export function createHandler(options: HandlerOptions): MillraceHandler {
  const settings = resolveOptions(options)
  const handler = openHandler(options, settings)
  // Whoever awaits `ready` sees the failure; without anybody the log does.
  handler.ready.catch(settings.onError)
  return handler
}

/** The same for one who awaits `ready`: a store that cannot be opened is told nowhere else. */
export function openHandler(
  options: HandlerOptions,
  settings: HandlerSettings = resolveOptions(options),
): MillraceHandler {
  const { authentication = 'none' } = options
  const guard = authentication === 'none' ? undefined : new Guard(authentication, settings.onError)
  let engine: Engine | undefined
  let routes: RouteContext | undefined
  let isDraining = false
  let isClosed = false
  const open = async (storage: StreamStorage): Promise<void> => {
    const usage = options.limits && isLimited(options.limits) ? await countUsage(storage) : undefined
    // Closed while the store was still opening: nobody will use it.
    if (isClosed) return storage.close()
    engine = new Engine({
      storage,
      clock: systemClock,
      onFault: settings.onError,
      ...(usage && { usage }),
      ...(options.limits && { limits: options.limits }),
    })
    routes = { engine, settings, entropy: systemEntropy, nowMs: systemClock.nowMs }
    options.onReady?.()
  }
  const storage = guard === undefined ? options.storage : guarded(guard, options.storage)
  const ready = storage instanceof Promise ? storage.then(open) : Promise.resolve(open(storage))
  const handler = createWireHandler({ settings, guard, routes: () => routes, isDraining: () => isDraining })
  return {
    node: createNodeListener(handler, () => isDraining),
    fetch: createFetchHandler(handler),
    ready,
    statistics: () => engine?.statistics(),
    drain() {
      isDraining = true
      engine?.endLiveReaders()
    },
    async close() {
      isDraining = true
      isClosed = true
      await engine?.close()
      routes = undefined
    },
  }
}

/** Nobody is served before it is known who may be; a store that will not be used is closed. */
async function guarded(
  guard: Guard,
  opening: StreamStorage | Promise<StreamStorage>,
): Promise<StreamStorage> {
  const storage = await opening
  try {
    await guard.open()
  } catch (error) {
    await storage.close()
    throw error
  }
  return storage
}
