/** What a reading session is asked for and what it hands over. */
import type {
  BackoffOptions,
  HeadersRecord,
  LegacyLiveMode,
  LiveMode,
  Offset,
  ParamsRecord,
  SSEResilienceOptions,
  StreamErrorHandler,
  Untyped,
} from './options.ts'

/** Options of `stream()`. */
export interface StreamOptions {
  /** Absolute URL of the stream; its query is kept. */
  url: string | URL
  /** Header fields of every request. */
  headers?: HeadersRecord | undefined
  /** Query parameters of every request. `offset`, `live` and `cursor` are the protocol's own and refused. */
  params?: ParamsRecord | undefined
  /** Ends the session. */
  signal?: AbortSignal | undefined
  /** Makes the requests instead of the global `fetch`, which is looked up at each call. */
  fetch?: typeof globalThis.fetch | undefined
  /** How failed requests are retried. */
  backoffOptions?: BackoffOptions | undefined
  /** Where to start: an offset that a server gave, `-1` for the beginning (default), `now` for the present end. */
  offset?: Offset | undefined
  /** Whether and how to go on after everything that exists was read (true: by long-poll). */
  live?: LiveMode | undefined
  /** Treats the content as JSON whatever its content type says (false). */
  json?: boolean | undefined
  /** Asked after a request of the session has failed for good, whichever request it is. */
  onError?: StreamErrorHandler | undefined
  /** When SSE falls back to long-poll. */
  sseResilience?: SSEResilienceOptions | undefined
  /** Whether to warn, in browsers, that `http:` URLs allow six connections only (true). */
  warnOnHttp?: boolean | undefined
}

/** What is known about the position after a batch. */
export interface JsonBatchMeta {
  /** Where to read on from after this batch: a checkpoint. */
  readonly offset: Offset
  /** Whether everything that existed when the server answered was delivered. */
  readonly upToDate: boolean
  /** Opaque token that the session echoes. */
  readonly cursor?: string
  /** Whether nothing will ever follow. */
  readonly streamClosed: boolean
}

/** JSON items that arrived together; there may be none. */
export interface JsonBatch<T = Untyped> extends JsonBatchMeta {
  /** In stream order. */
  readonly items: readonly T[]
}

/** Bytes that arrived together; there may be none. */
export interface ByteChunk extends JsonBatchMeta {
  /** The stream's bytes. */
  readonly data: Uint8Array
}

/** Text that arrived together; there may be none. */
export interface TextChunk extends JsonBatchMeta {
  /** Decoded UTF-8; a character cut by a page boundary comes with the page that completes it. */
  readonly text: string
}

/** Where a read starts and how it goes on, for code that passes these options along. */
export interface ReadOptions {
  /** Where to start. */
  offset?: Offset
  /** Whether and how to go on after everything that exists was read. */
  live?: boolean | LegacyLiveMode
  /** Opaque token of an earlier answer. */
  cursor?: string
  /** Ends the read. */
  signal?: AbortSignal
}
