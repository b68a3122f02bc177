/** The options and results that reading and writing have in common. */

/** A position in a stream: opaque, except that `-1` is the beginning and `now` the present end. */
export type Offset = string

/** A value, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>

/**
 * Header fields of every request. A function is called anew for each HTTP request, retries included, so that a token
 * can be refreshed; when it throws, the operation fails with its error and is not retried.
 */
export type HeadersRecord = { [name: string]: string | (() => MaybePromise<string>) }

/** Query parameters of every request; functions as for headers, `undefined` leaves the parameter out. */
export type ParamsRecord = { [name: string]: string | (() => MaybePromise<string | undefined>) | undefined }

/** What an item is when the caller does not say: anything. */
// biome-ignore lint/suspicious/noExplicitAny: callers read fields of untyped events without annotations
export type Untyped = any

/**
 * How a session goes on after it has caught up: `false` ends, `true` and `long-poll` poll, `sse` holds one response
 * open.
 */
export type LiveMode = boolean | 'long-poll' | 'sse'

/** The live modes by name. */
export type LegacyLiveMode = 'long-poll' | 'sse'

/** How failed requests are retried. What is left out has the value of `BackoffDefaults`. */
export interface BackoffOptions {
  /** Longest wait before the first retry, in milliseconds (100). */
  initialDelay?: number
  /** Longest wait before any retry, in milliseconds (60 000); only the server's `Retry-After` may ask for more. */
  maxDelay?: number
  /** How much the longest wait grows from retry to retry (1.3). */
  multiplier?: number
  /** Called for each attempt that failed, also for the last one. */
  onFailedAttempt?: (() => void) | undefined
  /** Logs failed attempts through `console.debug` (false). */
  debug?: boolean
  /** Retries after the first attempt (`Infinity`: an unreachable server is waited for, as long as it takes). */
  maxRetries?: number
}

/** What an error handler changes before the request is made again. */
export interface RetryOpts {
  /** Merged over the headers of the session, for this and all later requests. */
  headers?: HeadersRecord
  /** Merged over the query parameters of the session, for this and all later requests. */
  params?: ParamsRecord
}

/**
 * Decides what happens after a request of a session has failed for good: an object makes the session try again with
 * what it holds, nothing ends the session with the error.
 */
export type StreamErrorHandler = (
  error: Error,
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler may simply not return
) => void | undefined | RetryOpts | Promise<void | undefined | RetryOpts>

/** When an SSE session gives up on connections that do not last. */
export interface SSEResilienceOptions {
  /** A connection that ends earlier is short, in milliseconds (1000). */
  minConnectionDuration?: number
  /** After this many short connections in a row the session goes on with long-poll (3). */
  maxShortConnections?: number
  /** The wait after a short connection is random below this times 2 for each short one, in milliseconds (100). */
  backoffBaseDelay?: number
  /** Longest wait after a short connection, in milliseconds (5000). */
  backoffMaxDelay?: number
  /** Warns once on the console when the session goes on with long-poll (true). */
  logWarnings?: boolean
}

/** What every operation of one stream needs: where it is and how requests to it are made. */
export interface StreamHandleOptions {
  /** Absolute URL of the stream; its query is kept. */
  url: string | URL
  /** Header fields of every request. */
  headers?: HeadersRecord | undefined
  /** Query parameters of every request. */
  params?: ParamsRecord | undefined
  /** Makes the requests instead of the global `fetch`, which is looked up at each call. */
  fetch?: typeof globalThis.fetch | undefined
  /** Ends every operation of the handle. */
  signal?: AbortSignal | undefined
  /** Content type of the stream, where it is known; learned from the server otherwise. */
  contentType?: string | undefined
  /** Error handler of sessions opened through the handle. */
  onError?: StreamErrorHandler | undefined
  /** Whether appends made while another is under way go out together (true). */
  batching?: boolean | undefined
  /** Whether to warn, in browsers, that `http:` URLs allow six connections only (true). */
  warnOnHttp?: boolean | undefined
}
