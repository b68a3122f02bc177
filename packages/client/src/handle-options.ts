/** What the operations of a stream handle are asked for and what they answer. */
import type { BackoffOptions, Offset, StreamHandleOptions } from './options.ts'

/** How a handle reaches its stream. */
export interface DurableStreamOptions extends StreamHandleOptions {
  /** How failed requests are retried. */
  backoffOptions?: BackoffOptions | undefined
}

/** What a stream is to be. A stream that exists already has to agree with it. */
export interface CreateOptions extends DurableStreamOptions {
  /** Seconds until the stream ends to exist, counted from its last use. */
  ttlSeconds?: number | undefined
  /** RFC 3339 time at which the stream ends to exist. */
  expiresAt?: string | undefined
  /**
   * First content. Unlike in `append`, a JSON array is several messages. Strings, bytes, blobs, forms and streams go as
   * they are, anything else as JSON.
   */
  body?: unknown
  /** Creates the stream closed: with `body` as all that it will ever hold, or empty. */
  closed?: boolean | undefined
  /** Path of the stream to fork: the new one begins with its content. Leave `contentType` out to inherit it. */
  forkedFrom?: string | undefined
  /** Offset of the source at which the fork leaves it (the source's end). */
  forkOffset?: Offset | undefined
  /** Messages, or bytes, after `forkOffset` that the fork still takes from the source. */
  forkSubOffset?: number | undefined
}

/** How one message is appended. */
export interface AppendOptions {
  /** Must be lexicographically greater than that of every earlier append. */
  seq?: string | undefined
  /** Content type of the message, where it is not the handle's. */
  contentType?: string | undefined
  /** Drops the message while it waits for its turn; ends its request if it is alone in it. */
  signal?: AbortSignal | undefined
  /** Producer fields, for callers that number their messages themselves. Such an append is a request of its own. */
  producerId?: string | undefined
  /** Goes with `producerId`. */
  producerEpoch?: number | undefined
  /** Goes with `producerId`. */
  producerSeq?: number | undefined
}

/** How a stream is closed. */
export interface CloseOptions {
  /** Last message; it is stored if and only if the stream is closed. */
  body?: unknown
  /** Content type of the last message, where it is not the handle's. */
  contentType?: string | undefined
  /** Ends the request. */
  signal?: AbortSignal | undefined
}

/** What closing gave. */
export interface CloseResult {
  /** Offset of the stream's end; empty when the server did not say. */
  finalOffset: Offset
}

/** What became of one append, for code that reports it. */
export interface IdempotentAppendResult {
  /** Offset after the message. */
  offset: Offset
  /** Whether the server had the message already. */
  duplicate: boolean
}

/** What a stream says of itself, or that there is none. */
export type HeadResult =
  | { exists: false }
  | {
      exists: true
      contentType?: string
      /** Offset of the stream's present end. */
      offset?: Offset
      etag?: string
      cacheControl?: string
      /** Whether nothing can be appended any more. */
      streamClosed: boolean
      /** Seconds until the stream ends to exist unless it is used. */
      ttlSeconds?: number
      /** RFC 3339 time at which the stream ends to exist. */
      expiresAt?: string
    }

const HANDLES = new WeakMap<object, DurableStreamOptions>()

/** Keeps the options of a handle where only this package can read them. */
export function rememberHandle(handle: object, options: DurableStreamOptions): void {
  HANDLES.set(handle, options)
}

/** The options that a handle was made with; throws for anything that is no handle. */
export function optionsOfHandle(handle: object): DurableStreamOptions {
  const options = HANDLES.get(handle)
  if (options === undefined) throw new TypeError('A producer needs a DurableStream of this package')
  return options
}
