/** The requests by which a handle writes and asks, and how their answers are read. */
import { bytesOf, isJsonType, joinMessages } from './append-body.ts'
import type { QueuedAppend } from './append-queue.ts'
import {
  PRODUCER_EPOCH_HEADER,
  PRODUCER_ID_HEADER,
  PRODUCER_SEQ_HEADER,
  STREAM_CLOSED_HEADER,
  STREAM_EXPIRES_AT_HEADER,
  STREAM_OFFSET_HEADER,
  STREAM_SEQ_HEADER,
  STREAM_TTL_HEADER,
} from './constants.ts'
import { drainBody } from './drain-body.ts'
import type { AppendOptions, CreateOptions, HeadResult } from './handle-options.ts'
import { linkSignals } from './linked-signal.ts'
import { badRequest, type Endpoint, type RequestParts, send } from './request.ts'

/** Makes one request that an abort of any of the signals ends, and reads its answer to the end. */
export async function sendLinked(
  endpoint: Endpoint,
  parts: RequestParts,
  signals: readonly (AbortSignal | undefined)[],
  request: typeof send = send,
): Promise<Response> {
  const link = linkSignals(...signals)
  try {
    const response = await request(endpoint, { ...parts, signal: link.signal })
    if (response.ok && parts.method !== 'HEAD') await drainBody(response)
    return response
  } finally {
    link.release()
  }
}

/** The PUT that creates a stream. */
export function creation(options: Omit<CreateOptions, 'url'>, contentType: string | undefined): RequestParts {
  const { ttlSeconds, expiresAt, closed, forkedFrom, forkOffset, forkSubOffset } = options
  const body = bodyOfCreation(options.body)
  const headers = {
    'content-type': contentType,
    [STREAM_TTL_HEADER]: ttlSeconds === undefined ? undefined : String(ttlSeconds),
    [STREAM_EXPIRES_AT_HEADER]: expiresAt,
    [STREAM_CLOSED_HEADER]: closed === true ? 'true' : undefined,
    'Stream-Forked-From': forkedFrom,
    'Stream-Fork-Offset': forkOffset,
    'Stream-Fork-Sub-Offset': forkSubOffset === undefined ? undefined : String(forkSubOffset),
  }
  return { method: 'PUT', headers, body, ...(body instanceof ReadableStream && { duplex: 'half' }) }
}

/** The POST for the messages of one batch. */
export function appending(batch: readonly QueuedAppend[]): RequestParts {
  const contentType = batch[0]?.contentType
  const headers = {
    'content-type': contentType,
    [STREAM_SEQ_HEADER]: batch.flatMap(({ seq }) => seq ?? []).at(-1),
    ...batch[0]?.producer,
  }
  const messages = batch.map(({ message }) => message)
  return { method: 'POST', headers, body: joinMessages(messages, isJsonType(contentType)) }
}

/** Header fields of an append that its caller numbers; `undefined` for any other. */
export function producerHeaders(
  options: AppendOptions,
): Readonly<Record<string, string | undefined>> | undefined {
  const { producerId, producerEpoch, producerSeq } = options
  if (producerId === undefined && producerEpoch === undefined && producerSeq === undefined) return undefined
  return {
    [PRODUCER_ID_HEADER]: producerId,
    [PRODUCER_EPOCH_HEADER]: producerEpoch === undefined ? undefined : String(producerEpoch),
    [PRODUCER_SEQ_HEADER]: producerSeq === undefined ? undefined : String(producerSeq),
  }
}

/** What a successful HEAD says. */
export function headResult({ headers }: Response): Extract<HeadResult, { exists: true }> {
  const contentType = headers.get('content-type')
  const offset = headers.get(STREAM_OFFSET_HEADER)
  const etag = headers.get('etag')
  const cacheControl = headers.get('cache-control')
  const ttlSeconds = headers.get(STREAM_TTL_HEADER)
  const expiresAt = headers.get(STREAM_EXPIRES_AT_HEADER)
  return {
    exists: true,
    ...(contentType !== null && { contentType }),
    ...(offset !== null && { offset }),
    ...(etag !== null && { etag }),
    ...(cacheControl !== null && { cacheControl }),
    streamClosed: headers.get(STREAM_CLOSED_HEADER)?.trim().toLowerCase() === 'true',
    ...(ttlSeconds !== null && { ttlSeconds: Number(ttlSeconds) }),
    ...(expiresAt !== null && { expiresAt }),
  }
}

function bodyOfCreation(body: unknown): RequestInit['body'] | undefined {
  if (body === undefined || typeof body === 'string') return body
  const bytes = bytesOf(body)
  if (bytes !== undefined) return bytes.slice()
  if (body instanceof Blob || body instanceof FormData || body instanceof ReadableStream) return body
  const text = JSON.stringify(body)
  if (text === undefined) throw badRequest(`a stream can't begin with a ${typeof body}`)
  return text
}
