/** What a reading session offers: where it is, and one way out of several to read it. */
import type { ReadableStreamAsyncIterable } from './iterable-stream.ts'
import type { LiveMode, Offset, Untyped } from './options.ts'
import type { ByteChunk, JsonBatch, TextChunk } from './read-options.ts'

/**
 * A reading session. Exactly one of its methods reads it; a second one fails with `ALREADY_CONSUMED`. `json`, `text` and
 * `body` read what exists and end, whatever `live` is; all others go on as `live` says.
 *
 * A subscriber is called with one batch after the other; the next call waits until what it returned has settled, and at
 * most one further answer is fetched meanwhile. What it throws ends the session, and `closed` rejects with it.
 */
export interface StreamResponse<TJson = Untyped> {
  /** The URL as given, without what the protocol adds. */
  readonly url: string
  /** Content type of the first answer. */
  readonly contentType: string | undefined
  /** How the session goes on once it is up to date. */
  readonly live: LiveMode
  /** The offset that was asked for. */
  readonly startOffset: Offset
  /** Headers of the HTTP answer that was last handed over; SSE does not change them. */
  readonly headers: Headers
  /** Status of the HTTP answer that was last handed over. */
  readonly status: number
  /** Status text of the HTTP answer that was last handed over. */
  readonly statusText: string
  /** Always true: anything else is an error. */
  readonly ok: boolean
  /** Always false: there is a session only once there is an answer. */
  readonly isLoading: boolean
  /** Where to read on from after what was handed over: a checkpoint. In a subscriber it equals the batch's. */
  readonly offset: Offset
  /** Opaque token that the session echoes. */
  readonly cursor: string | undefined
  /** Whether everything that existed when the server answered was handed over. */
  readonly upToDate: boolean
  /** Whether nothing will ever follow. */
  readonly streamClosed: boolean
  /** All bytes that exist. Rejects with the reason when the session is cancelled before the end. */
  readonly body: () => Promise<Uint8Array>
  /** All items that exist. Rejects with `BAD_REQUEST` when the stream is not JSON, `PARSE_ERROR` when its data is not. */
  readonly json: <T = TJson>() => Promise<T[]>
  /** All text that exists. */
  readonly text: () => Promise<string>
  /** Bytes, page by page. Leaving the loop ends the session. */
  readonly bodyStream: () => ReadableStreamAsyncIterable<Uint8Array>
  /** One item after the other. `offset` moves with the last item of a page. */
  readonly jsonStream: () => ReadableStreamAsyncIterable<TJson>
  /** Text, page by page. */
  readonly textStream: () => ReadableStreamAsyncIterable<string>
  /** Calls back with batches of items; some are empty, to say that the session is up to date. Returns what ends it. */
  readonly subscribeJson: <T = TJson>(subscriber: (batch: JsonBatch<T>) => void | Promise<void>) => () => void
  /** The same with bytes. */
  readonly subscribeBytes: (subscriber: (chunk: ByteChunk) => void | Promise<void>) => () => void
  /** The same with text. */
  readonly subscribeText: (subscriber: (chunk: TextChunk) => void | Promise<void>) => () => void
  /** Ends the session: requests are aborted, streams close, `closed` resolves. */
  readonly cancel: (reason?: unknown) => void
  /**
   * Resolves once everything was handed over and the last callback has settled, or the session was cancelled; rejects
   * with what the session failed with. A rejection that nobody handles does not end the process.
   */
  readonly closed: Promise<void>
}
