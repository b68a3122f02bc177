/** Client for Durable Streams. */
export { createFetchWithBackoff } from './backoff.ts'
export {
  CURSOR_QUERY_PARAM,
  DURABLE_STREAM_PROTOCOL_QUERY_PARAMS,
  LIVE_QUERY_PARAM,
  OFFSET_QUERY_PARAM,
  PRODUCER_EPOCH_HEADER,
  PRODUCER_EXPECTED_SEQ_HEADER,
  PRODUCER_ID_HEADER,
  PRODUCER_RECEIVED_SEQ_HEADER,
  PRODUCER_SEQ_HEADER,
  SSE_CLOSED_FIELD,
  SSE_COMPATIBLE_CONTENT_TYPES,
  SSE_CURSOR_FIELD,
  SSE_OFFSET_FIELD,
  STREAM_CLOSED_HEADER,
  STREAM_CURSOR_HEADER,
  STREAM_EXPIRES_AT_HEADER,
  STREAM_OFFSET_HEADER,
  STREAM_SEQ_HEADER,
  STREAM_TTL_HEADER,
  STREAM_UP_TO_DATE_HEADER,
} from './constants.ts'
export { createFetchWithConsumedBody } from './consumed-body.ts'
export { DurableStream } from './durable-stream.ts'
export {
  DurableStreamError,
  type DurableStreamErrorCode,
  FetchBackoffAbortError,
  FetchError,
  InvalidSignalError,
  MissingStreamUrlError,
  SequenceGapError,
  StaleEpochError,
  StreamClosedError,
} from './errors.ts'
export type {
  AppendOptions,
  CloseOptions,
  CloseResult,
  CreateOptions,
  DurableStreamOptions,
  HeadResult,
  IdempotentAppendResult,
} from './handle-options.ts'
export { _resetHttpWarningForTesting, warnIfUsingHttpInBrowser } from './http-warning.ts'
export { IdempotentProducer } from './idempotent-producer.ts'
export { asAsyncIterableReadableStream, type ReadableStreamAsyncIterable } from './iterable-stream.ts'
export type {
  BackoffOptions,
  HeadersRecord,
  LegacyLiveMode,
  LiveMode,
  MaybePromise,
  Offset,
  ParamsRecord,
  RetryOpts,
  SSEResilienceOptions,
  StreamErrorHandler,
  StreamHandleOptions,
} from './options.ts'
export type { IdempotentProducerOptions } from './producer-options.ts'
export type { WritableOptions } from './producer-writable.ts'
export type {
  ByteChunk,
  JsonBatch,
  JsonBatchMeta,
  ReadOptions,
  StreamOptions,
  TextChunk,
} from './read-options.ts'
export { BackoffDefaults } from './retry-delay.ts'
export { stream } from './stream.ts'
export type { StreamResponse } from './stream-response.ts'
export { type UndeliveredMessages, undeliveredMessages } from './undelivered.ts'
