/** From outcomes and slices to status and protocol headers. What a deployment adds (CORS, security) is not here. */
import { cacheControl } from './cache-control.ts'
import { entityTag, matchesTag } from './entity-tag.ts'
import { offsetAt } from './generation.ts'
import { formatOffset, type Offset } from './offset.ts'
import type { Outcome } from './outcome.ts'
import type { ReadRequest } from './parse-read.ts'
import { type Problem, toProblem } from './problem.ts'
import { readBody } from './read-body.ts'
import { isAtEnd, isUpToDate, type Slice } from './slice.ts'
import type { StreamState } from './stream-state.ts'
import type { HeaderList, WireResponse } from './wire.ts'

const encoder = new TextEncoder()
const NO_STORE: HeaderList = ['Cache-Control', 'no-store']
/** A 204 or a PUT answer has no body; the content type of PUT answers is the stream's. */
const NO_BODY = undefined

/** The answer to a write. `location` is the absolute URL of the stream, used when it was created. */
export function respondToWrite(outcome: Outcome, location: string): WireResponse {
  switch (outcome.kind) {
    case 'created':
    case 'exists': {
      const headers = ['Content-Type', outcome.contentType, 'Stream-Next-Offset', tailOffset(outcome)]
      if (outcome.closed) headers.push('Stream-Closed', 'true')
      if (outcome.kind === 'created') headers.push('Location', location)
      headers.push(...NO_STORE, 'Content-Length', '0')
      return { status: outcome.kind === 'created' ? 201 : 200, headers, body: NO_BODY }
    }
    case 'appended':
    case 'closed':
    case 'duplicate':
      return respondToAppend(outcome)
    case 'deleted':
      return { status: 204, headers: NO_STORE, body: NO_BODY }
    case 'rejected':
      return respondWithProblem(toProblem(outcome.rejection))
    default:
      return outcome satisfies never
  }
}

function tailOffset({ tail, generation }: { readonly tail: number; readonly generation: number }): Offset {
  return formatOffset(tail, generation)
}

function respondToAppend(
  outcome: Extract<Outcome, { kind: 'appended' | 'closed' | 'duplicate' }>,
): WireResponse {
  const headers = ['Stream-Next-Offset', tailOffset(outcome)]
  const { producer } = outcome
  if (producer) headers.push('Producer-Epoch', String(producer.epoch), 'Producer-Seq', String(producer.seq))
  if (outcome.closed) headers.push('Stream-Closed', 'true')
  headers.push('Cache-Control', 'no-store')
  // New data of a producer is 200; a close-only request and every duplicate are 204 (5.3).
  if (outcome.kind !== 'appended' || producer === undefined) return { status: 204, headers, body: NO_BODY }
  headers.push('Content-Length', '0')
  return { status: 200, headers, body: NO_BODY }
}

/** A problem document, with further members where a route promises them. */
export function respondWithProblem(problem: Problem, extra: object = {}): WireResponse {
  const { type, title, status, code, detail } = problem
  const body = encoder.encode(`${JSON.stringify({ type, title, status, code, detail, ...extra })}\n`)
  const headers = [...problem.headers, ...NO_STORE, 'Content-Type', 'application/problem+json']
  headers.push('Content-Length', String(body.length))
  return { status, headers, body }
}

/** HEAD of a live stream (section 9). */
export function respondToHead(state: StreamState): WireResponse {
  const headers = ['Content-Type', state.contentType, 'Stream-Next-Offset', offsetAt(state, state.tail)]
  if (state.closed) headers.push('Stream-Closed', 'true')
  if (state.expiry.kind === 'ttl') headers.push('Stream-TTL', String(state.expiry.ttlSeconds))
  if (state.expiry.kind === 'at') headers.push('Stream-Expires-At', state.expiry.text)
  headers.push(...NO_STORE)
  return { status: 200, headers, body: NO_BODY }
}

/** What a read answer depends on besides the slice. */
export interface ReadAnswer {
  readonly request: ReadRequest
  readonly slice: Slice
  /** For live modes. */
  readonly cursor: bigint | undefined
  readonly ifNoneMatch: string | undefined
  readonly nowMs: number
  /** Whether shared caches may keep answers. */
  readonly cacheScope: 'public' | 'private'
}

/** The answer to a catch-up read, or to a long-poll that got data, the end, or nothing in time (10.2, 10.3). */
export function respondToRead(answer: ReadAnswer): WireResponse {
  const { request, slice, cursor } = answer
  const next = offsetAt(slice.state, slice.to)
  const headers = ['Stream-Next-Offset', next]
  if (isUpToDate(slice)) headers.push('Stream-Up-To-Date', 'true')
  const atEnd = isAtEnd(slice)
  if (atEnd) headers.push('Stream-Closed', 'true')
  else if (cursor !== undefined) headers.push('Stream-Cursor', String(cursor))
  const isEmpty = slice.from === slice.to
  if (request.mode === 'long-poll' && isEmpty) {
    headers.push(...NO_STORE)
    return { status: 204, headers, body: NO_BODY }
  }
  // What `now` means is different for whoever asks next, so no answer to it may be kept.
  if (request.start.kind === 'now') {
    headers.push(...NO_STORE)
    return withBody(slice, headers)
  }
  const tag = entityTag(slice.state.id, request.startToken, next, atEnd)
  headers.push('ETag', tag, 'Cache-Control', cacheControl(slice, answer.cacheScope, answer.nowMs))
  const { ifNoneMatch } = answer
  if (request.mode === 'catch-up' && ifNoneMatch !== undefined && matchesTag(ifNoneMatch, tag)) {
    return { status: 304, headers, body: NO_BODY }
  }
  return withBody(slice, headers)
}

function withBody(slice: Slice, headers: string[]): WireResponse {
  const body = readBody(slice)
  const length = body.reduce((size, piece) => size + piece.length, 0)
  headers.push('Content-Type', slice.state.contentType, 'Content-Length', String(length))
  // Whatever was appended: opened in a browser, it is no page of this server's origin and runs no script.
  if (slice.state.format !== 'json') headers.push('Content-Security-Policy', 'sandbox')
  return { status: 200, headers, body }
}

/** Head of an SSE answer; `now` on a closed stream says so at once. */
export function sseHeaders(
  state: StreamState,
  request: ReadRequest,
  cacheScope: 'public' | 'private',
): HeaderList {
  const headers = [
    'Content-Type',
    'text/event-stream',
    'Cache-Control',
    cacheScope === 'public' ? 'no-cache' : 'private, no-cache',
    'X-Accel-Buffering',
    'no',
  ]
  if (state.format === 'binary') headers.push('Stream-SSE-Data-Encoding', 'base64')
  if (request.start.kind === 'now' && state.closed) {
    headers.push('Stream-Closed', 'true', 'Stream-Up-To-Date', 'true')
    headers.push('Stream-Next-Offset', offsetAt(state, state.tail))
  }
  return headers
}
