/** Names on the wire: header fields, query parameters and SSE control fields of the Durable Streams protocol. */

/** Response header: the offset to read from next. Opaque. */
export const STREAM_OFFSET_HEADER = 'Stream-Next-Offset'
/** Response header: an opaque token to echo in the next request, so that shared caches can join readers. */
export const STREAM_CURSOR_HEADER = 'Stream-Cursor'
/** Response header: its presence says that the answer ends at the stream's present end. */
export const STREAM_UP_TO_DATE_HEADER = 'Stream-Up-To-Date'
/** Request and response header: `true` (in any letter case) says that nothing will ever follow. */
export const STREAM_CLOSED_HEADER = 'Stream-Closed'
/** Request header of an append: must grow lexicographically from append to append. */
export const STREAM_SEQ_HEADER = 'Stream-Seq'
/** Request header of a creation: how long the stream lives, in seconds. */
export const STREAM_TTL_HEADER = 'Stream-TTL'
/** Request header of a creation: when the stream ends to exist, as an RFC 3339 time. */
export const STREAM_EXPIRES_AT_HEADER = 'Stream-Expires-At'
/** Response header of an SSE answer: `base64` when its data events are base64. */
export const SSE_DATA_ENCODING_HEADER = 'Stream-SSE-Data-Encoding'

/** Request header: the stable name of a producer. */
export const PRODUCER_ID_HEADER = 'Producer-Id'
/** Request and response header: the producer's epoch; a higher one fences lower ones off. */
export const PRODUCER_EPOCH_HEADER = 'Producer-Epoch'
/** Request header: the number of a batch within its epoch, from 0. */
export const PRODUCER_SEQ_HEADER = 'Producer-Seq'
/** Response header of a 409: the batch number that the server expects next. */
export const PRODUCER_EXPECTED_SEQ_HEADER = 'Producer-Expected-Seq'
/** Response header of a 409: the batch number that the server received. */
export const PRODUCER_RECEIVED_SEQ_HEADER = 'Producer-Received-Seq'

/** Query parameter: where to read from. */
export const OFFSET_QUERY_PARAM = 'offset'
/** Query parameter: `long-poll` or `sse`. */
export const LIVE_QUERY_PARAM = 'live'
/** Query parameter: the cursor of the previous answer. */
export const CURSOR_QUERY_PARAM = 'cursor'
/** The query parameters that the protocol owns: a caller's `params` must not use them. */
export const DURABLE_STREAM_PROTOCOL_QUERY_PARAMS: string[] = [
  OFFSET_QUERY_PARAM,
  LIVE_QUERY_PARAM,
  CURSOR_QUERY_PARAM,
]

/** Field of an SSE control event: the offset after the data events before it. */
export const SSE_OFFSET_FIELD = 'streamNextOffset'
/** Field of an SSE control event: the cursor to echo. */
export const SSE_CURSOR_FIELD = 'streamCursor'
/** Field of an SSE control event: true when the stream is closed and everything was delivered. */
export const SSE_CLOSED_FIELD = 'streamClosed'
/** Field of an SSE control event: true when everything that exists was delivered. */
export const SSE_UP_TO_DATE_FIELD = 'upToDate'
/** Beginnings of the content types whose data travels over SSE as text; all others travel as base64. */
export const SSE_COMPATIBLE_CONTENT_TYPES: readonly string[] = ['text/', 'application/json']
