import { describe, expect, it } from 'vitest'
import type { Expiry } from './expiry.ts'
import { formatOffset } from './offset.ts'
import type { Outcome } from './outcome.ts'
import { parseRead, type ReadRequest } from './parse-read.ts'
import { parseQuery } from './query.ts'
import {
  type ReadAnswer,
  respondToHead,
  respondToRead,
  respondToWrite,
  respondWithProblem,
  sseHeaders,
} from './respond.ts'
import { parseStreamPath, type StreamPath } from './stream-path.ts'
import {
  evolve,
  PLAIN_CONFIG,
  type StreamConfig,
  type StreamEvent,
  type StreamState,
  streamId,
} from './stream-state.ts'
import { type HeaderList, isLiveBody, type WireResponse } from './wire.ts'

const NOW = Date.UTC(2026, 0, 1)
const LOCATION = 'http://localhost:4437/v1/stream/a'
const KEPT = 'public, max-age=60, stale-while-revalidate=300'

function path(): StreamPath {
  const parsed = parseStreamPath('a')
  if (parsed.kind !== 'stream') throw new Error('no stream path')
  return parsed.path
}

/** A stream of ten bytes of plain text. */
function stream(given: Partial<StreamConfig> = {}, closes = false): StreamState {
  const type = { contentType: 'Text/Plain; charset=utf-8', mediaType: 'text/plain' }
  const events: readonly StreamEvent[] = [
    {
      kind: 'created',
      config: { ...PLAIN_CONFIG, ...type, id: streamId('01-x'), path: path(), ...given },
      atMs: NOW,
    },
    {
      kind: 'appended',
      unit: { sizeBytes: 10, messages: 1 },
      closes,
      producer: undefined,
      streamSeq: undefined,
      forgetBeforeMs: undefined,
      atMs: NOW,
    },
  ]
  const state = events.reduce<StreamState | undefined>(evolve, undefined)
  if (state === undefined) throw new Error('no stream')
  return state
}

function request(query: string): ReadRequest {
  const parsed = parseRead(parseQuery(query))
  if ('rejection' in parsed) throw new Error(`${query} is refused`)
  return parsed.request
}

/** The header fields by name; a name that is there twice is an error. */
function fields(headers: HeaderList): Record<string, string | undefined> {
  const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]] as const] : []))
  if (new Set(pairs.map(([name]) => name.toLowerCase())).size !== pairs.length)
    throw new Error('a header twice')
  return Object.fromEntries(pairs)
}

function bodyOf({ body }: WireResponse): string | undefined {
  if (body === undefined || isLiveBody(body)) return undefined
  const pieces = body instanceof Uint8Array ? [body] : body
  return pieces.map((piece) => new TextDecoder().decode(piece)).join('')
}

/** Status, header fields and body of a read of `abcdefghij`. */
function read(
  query: string,
  from: number,
  to: number,
  given: Partial<ReadAnswer> & { state?: StreamState } = {},
) {
  const { state = stream(), ...rest } = given
  const pieces = from === to ? [] : [new TextEncoder().encode('abcdefghij'.slice(from, to))]
  const slice = { state, from, to, pieces }
  const base = { cursor: undefined, ifNoneMatch: undefined, nowMs: NOW, cacheScope: 'public' } as const
  const response = respondToRead({ request: request(query), slice, ...base, ...rest })
  return { status: response.status, fields: fields(response.headers), body: bodyOf(response) }
}

describe('the answer to a PUT', () => {
  const outcome = { path: path(), contentType: 'Text/Plain; a=b', tail: 10, generation: 0, closed: false }

  it('R-055, R-056, R-057: is 201 with type, tail and location when the stream was created', () => {
    const response = respondToWrite({ kind: 'created', ...outcome }, LOCATION)
    expect(response.status).toBe(201)
    expect(response.body).toBeUndefined()
    expect(fields(response.headers)).toEqual({
      'Content-Type': 'Text/Plain; a=b',
      'Stream-Next-Offset': '0000000000000000_0000000000000010',
      Location: LOCATION,
      'Cache-Control': 'no-store',
      'Content-Length': '0',
    })
  })

  it('R-058: is 200 without a location when the stream was there', () => {
    const response = respondToWrite({ kind: 'exists', ...outcome }, LOCATION)
    expect(response.status).toBe(200)
    expect(fields(response.headers)).toEqual({
      'Content-Type': 'Text/Plain; a=b',
      'Stream-Next-Offset': '0000000000000000_0000000000000010',
      'Cache-Control': 'no-store',
      'Content-Length': '0',
    })
  })

  it('R-069: says that the stream is closed', () => {
    const created = respondToWrite({ kind: 'created', ...outcome, closed: true }, LOCATION)
    const found = respondToWrite({ kind: 'exists', ...outcome, closed: true }, LOCATION)
    expect([created, found].map(({ headers }) => fields(headers)['Stream-Closed'])).toEqual(['true', 'true'])
  })
})

describe('the answer to a POST', () => {
  const producer = { epoch: 2, seq: 7 }

  it.each<[string, Outcome, number, Record<string, string>]>([
    [
      'R-072: an append',
      { kind: 'appended', tail: 10, generation: 0, closed: false, producer: undefined },
      204,
      {},
    ],
    [
      'R-115: an append that closes',
      { kind: 'appended', tail: 10, generation: 0, closed: true, producer: undefined },
      204,
      { 'Stream-Closed': 'true' },
    ],
    [
      'R-114, R-116: a close without data',
      { kind: 'closed', tail: 10, generation: 0, closed: true, producer: undefined },
      204,
      { 'Stream-Closed': 'true' },
    ],
    [
      'R-090, R-095: an append of a producer',
      { kind: 'appended', tail: 10, generation: 0, closed: false, producer },
      200,
      { 'Producer-Epoch': '2', 'Producer-Seq': '7', 'Content-Length': '0' },
    ],
    [
      'R-122: an append of a producer that closes',
      { kind: 'appended', tail: 10, generation: 0, closed: true, producer },
      200,
      { 'Producer-Epoch': '2', 'Producer-Seq': '7', 'Stream-Closed': 'true', 'Content-Length': '0' },
    ],
    [
      'R-123: a close of a producer without data',
      { kind: 'closed', tail: 10, generation: 0, closed: true, producer },
      204,
      { 'Producer-Epoch': '2', 'Producer-Seq': '7', 'Stream-Closed': 'true' },
    ],
    [
      'R-092, R-094: a duplicate on an open stream',
      { kind: 'duplicate', tail: 10, generation: 0, closed: false, producer },
      204,
      { 'Producer-Epoch': '2', 'Producer-Seq': '7' },
    ],
    [
      'R-124: a duplicate on a closed stream',
      { kind: 'duplicate', tail: 10, generation: 0, closed: true, producer },
      204,
      { 'Producer-Epoch': '2', 'Producer-Seq': '7', 'Stream-Closed': 'true' },
    ],
  ])('%s', (_, outcome, status, expected) => {
    const response = respondToWrite(outcome, '')
    expect(response.status).toBe(status)
    expect(response.body).toBeUndefined()
    expect(fields(response.headers)).toEqual({
      'Stream-Next-Offset': '0000000000000000_0000000000000010',
      'Cache-Control': 'no-store',
      ...expected,
    })
  })
})

describe('the answer to a DELETE', () => {
  it('R-132, R-164: is 204 and not kept', () => {
    const response = respondToWrite({ kind: 'deleted' }, '')
    expect(response).toEqual({ status: 204, headers: ['Cache-Control', 'no-store'], body: undefined })
  })
})

describe('the answer to a rejected write', () => {
  it('R-019, R-164: is a problem document that is not kept', () => {
    const response = respondToWrite(
      { kind: 'rejected', rejection: { kind: 'stream-closed', next: formatOffset(10, 0) } },
      '',
    )
    const body = bodyOf(response) ?? ''
    expect(response.status).toBe(409)
    expect(fields(response.headers)).toEqual({
      'Stream-Closed': 'true',
      'Stream-Next-Offset': '0000000000000000_0000000000000010',
      'Cache-Control': 'no-store',
      'Content-Type': 'application/problem+json',
      'Content-Length': String(body.length),
    })
    expect(JSON.parse(body)).toEqual({
      type: '/errors/stream-closed',
      title: 'Stream Closed',
      status: 409,
      code: 'STREAM_CLOSED',
      detail: 'The stream is closed: nothing can be appended any more.',
    })
  })

  it('R-019: has further members where a route promises them, and counts bytes, not characters', () => {
    const problem = {
      status: 400,
      type: '/errors/x',
      title: 'X',
      code: 'X',
      detail: '\u20ac\r\n"',
      headers: [],
    }
    const response = respondWithProblem(problem, { error: { code: 'X' } })
    expect(JSON.parse(bodyOf(response) ?? '')).toMatchObject({ detail: '\u20ac\r\n"', error: { code: 'X' } })
    expect(fields(response.headers)['Content-Length']).toBe(String(Buffer.byteLength(bodyOf(response) ?? '')))
  })
})

describe('the answer to a HEAD', () => {
  const at: Expiry = { kind: 'at', instantMs: NOW, text: '2026-01-01T01:00:00+01:00' }

  it.each<[string, StreamState, Record<string, string>]>([
    ['R-137, R-140: an open stream', stream(), {}],
    ['R-143: a closed stream', stream({}, true), { 'Stream-Closed': 'true' }],
    ['R-141: a TTL', stream({ expiry: { kind: 'ttl', ttlSeconds: 3600 } }), { 'Stream-TTL': '3600' }],
    [
      'R-141: the greatest TTL',
      stream({ expiry: { kind: 'ttl', ttlSeconds: Number.MAX_SAFE_INTEGER } }),
      { 'Stream-TTL': '9007199254740991' },
    ],
    [
      'R-142: an instant, as it was written',
      stream({ expiry: at }),
      { 'Stream-Expires-At': '2026-01-01T01:00:00+01:00' },
    ],
  ])('%s', (_, state, expected) => {
    const response = respondToHead(state)
    expect(response).toMatchObject({ status: 200, body: undefined })
    expect(fields(response.headers)).toEqual({
      'Content-Type': 'Text/Plain; charset=utf-8',
      'Stream-Next-Offset': '0000000000000000_0000000000000010',
      'Cache-Control': 'no-store',
      ...expected,
    })
  })
})

describe('the answer to a catch-up read', () => {
  const closed = stream({}, true)
  const type = { 'Content-Type': 'Text/Plain; charset=utf-8' }
  const upToDate = { 'Stream-Up-To-Date': 'true' }

  it('R-144, R-157: has the data, its end, an ETag, and how long it may be kept', () => {
    expect(read('', 0, 10)).toEqual({
      status: 200,
      body: 'abcdefghij',
      fields: {
        ...type,
        ...upToDate,
        'Content-Security-Policy': 'sandbox',
        'Stream-Next-Offset': '0000000000000000_0000000000000010',
        ETag: '"01-x:-1:0000000000000000_0000000000000010"',
        'Cache-Control': KEPT,
        'Content-Length': '10',
      },
    })
  })

  it.each<[string, StreamState, number, number, string, string, string | undefined, string | undefined]>([
    ['R-149: a chunk of an open stream', stream(), 0, 4, 'abcd', '04', undefined, undefined],
    ['R-149, R-155: a chunk of a closed stream', closed, 0, 4, 'abcd', '04', undefined, undefined],
    ['R-144: data up to the tail of an open stream', stream(), 4, 10, 'efghij', '10', 'true', undefined],
    ['R-154: data up to the tail of a closed stream', closed, 4, 10, 'efghij', '10', 'true', 'true'],
    ['R-147: nothing, at the tail of an open stream', stream(), 10, 10, '', '10', 'true', undefined],
    ['R-156: nothing, at the end of a closed stream', closed, 10, 10, '', '10', 'true', 'true'],
  ])('%s', (_, state, from, to, body, next, isUpToDate, isClosed) => {
    const answer = read('offset=0000000000000000_0000000000000000', from, to, { state })
    expect(answer).toMatchObject({ status: 200, body })
    expect(answer.fields['Stream-Next-Offset']).toBe(`0000000000000000_00000000000000${next}`)
    expect(answer.fields['Stream-Up-To-Date']).toBe(isUpToDate)
    expect(answer.fields['Stream-Closed']).toBe(isClosed)
    expect(answer.fields['Content-Length']).toBe(String(body.length))
  })

  it('R-226: is an empty array at the tail in JSON mode', () => {
    const json = stream({ contentType: 'application/json', mediaType: 'application/json' })
    const answer = read('offset=0000000000000000_0000000000000010', 10, 10, { state: json })
    expect(answer).toMatchObject({ status: 200, body: '[]' })
    expect(answer.fields).toMatchObject({
      'Content-Type': 'application/json',
      'Content-Length': '2',
      ...upToDate,
    })
  })

  it.each([
    ['text/html', 'sandbox'],
    ['image/svg+xml', 'sandbox'],
    ['application/octet-stream', 'sandbox'],
    ['application/json', undefined],
  ])('runs no script that was appended when a browser opens it: %s', (mediaType, policy) => {
    const state = stream({ contentType: mediaType, mediaType })
    expect(read('', 10, 10, { state }).fields['Content-Security-Policy']).toBe(policy)
  })

  it('R-161: has another ETag once the stream is closed without data', () => {
    const [before, after] = [read('', 0, 10), read('', 0, 10, { state: closed })]
    expect(after.fields.ETag).toBe('"01-x:-1:0000000000000000_0000000000000010:c"')
    expect(after.fields.ETag).not.toBe(before.fields.ETag)
  })

  it('R-155: has the same ETag for a chunk before and after the stream is closed', () => {
    expect(read('', 0, 4, { state: closed }).fields.ETag).toBe(read('', 0, 4).fields.ETag)
  })

  it('R-162: has another ETag for a later stream at the same URL', () => {
    const later = stream({ id: streamId('02-x') })
    expect(read('', 0, 10, { state: later }).fields.ETag).not.toBe(read('', 0, 10).fields.ETag)
  })

  it('R-158: is 304 without a body when the client has it, with the other headers as they were', () => {
    const answer = read('', 0, 10, {
      ifNoneMatch: 'W/"01-x:-1:0000000000000000_0000000000000010"',
      state: stream(),
    })
    expect(answer).toEqual({
      status: 304,
      body: undefined,
      fields: {
        ...upToDate,
        'Stream-Next-Offset': '0000000000000000_0000000000000010',
        ETag: '"01-x:-1:0000000000000000_0000000000000010"',
        'Cache-Control': KEPT,
      },
    })
  })

  it('R-158, R-161: is 304 with the closure for a client who has seen it, and 200 for one who has not', () => {
    const seen = read('', 0, 10, { state: closed, ifNoneMatch: '*' })
    expect(seen).toMatchObject({ status: 304, fields: { 'Stream-Closed': 'true' } })
    const unseen = read('', 0, 10, { state: closed, ifNoneMatch: String(read('', 0, 10).fields.ETag) })
    expect(unseen).toMatchObject({ status: 200, body: 'abcdefghij', fields: { 'Stream-Closed': 'true' } })
  })

  it('R-159: is 200 when the client has another one', () => {
    expect(read('', 0, 10, { ifNoneMatch: '"01-x:-1:0000000000000000_0000000000000009"' }).status).toBe(200)
  })

  it('R-163, R-164: is kept by shared caches only when the data is shared, and never longer than the stream lives', () => {
    const expiring = stream({ expiry: { kind: 'ttl', ttlSeconds: 20 } })
    expect(read('', 0, 10, { cacheScope: 'private' }).fields['Cache-Control']).toBe(
      KEPT.replace('public', 'private'),
    )
    expect(read('', 0, 10, { state: expiring }).fields['Cache-Control']).toBe('public, max-age=20')
    expect(read('', 10, 10).fields['Cache-Control']).toBe('no-cache')
  })
})

describe('the answer to a catch-up read from now', () => {
  it('R-042, R-043, R-044: has the tail, no data and no ETag, and is not kept', () => {
    expect(read('offset=now', 10, 10)).toEqual({
      status: 200,
      body: '',
      fields: {
        'Content-Type': 'Text/Plain; charset=utf-8',
        'Content-Security-Policy': 'sandbox',
        'Stream-Next-Offset': '0000000000000000_0000000000000010',
        'Stream-Up-To-Date': 'true',
        'Cache-Control': 'no-store',
        'Content-Length': '0',
      },
    })
  })

  it('R-048: is an empty array in JSON mode', () => {
    const json = stream({ contentType: 'application/json', mediaType: 'application/json' })
    expect(read('offset=now', 10, 10, { state: json })).toMatchObject({ status: 200, body: '[]' })
  })

  it('R-053: says that a closed stream is closed', () => {
    const { fields: answered } = read('offset=now', 10, 10, { state: stream({}, true) })
    expect(answered).toMatchObject({ 'Stream-Closed': 'true', 'Stream-Up-To-Date': 'true' })
  })

  it('R-044: is 200 whatever the client has', () => {
    expect(read('offset=now', 10, 10, { ifNoneMatch: '*' }).status).toBe(200)
  })
})

describe('the answer to a long-poll', () => {
  const closed = stream({}, true)
  const query = 'live=long-poll&offset=0000000000000000_0000000000000004'

  it('R-166, R-168, R-163: is 200 with data, the cursor, an ETag, and how long it may be kept', () => {
    expect(read(query, 4, 10, { cursor: 77n })).toEqual({
      status: 200,
      body: 'efghij',
      fields: {
        'Content-Type': 'Text/Plain; charset=utf-8',
        'Content-Security-Policy': 'sandbox',
        'Stream-Next-Offset': '0000000000000000_0000000000000010',
        'Stream-Up-To-Date': 'true',
        'Stream-Cursor': '77',
        ETag: '"01-x:0000000000000000_0000000000000004:0000000000000000_0000000000000010"',
        'Cache-Control': KEPT,
        'Content-Length': '6',
      },
    })
  })

  it('R-169, R-164: is 204 with the tail and the cursor when nothing came, and is not kept', () => {
    expect(read(query, 10, 10, { cursor: 77n })).toEqual({
      status: 204,
      body: undefined,
      fields: {
        'Stream-Next-Offset': '0000000000000000_0000000000000010',
        'Stream-Up-To-Date': 'true',
        'Stream-Cursor': '77',
        'Cache-Control': 'no-store',
      },
    })
  })

  it('R-173, R-174: is 204 with the closure at the end of a closed stream', () => {
    expect(read(query, 10, 10, { state: closed, cursor: 77n })).toMatchObject({
      status: 204,
      body: undefined,
      fields: {
        'Stream-Next-Offset': '0000000000000000_0000000000000010',
        'Stream-Up-To-Date': 'true',
        'Stream-Closed': 'true',
      },
    })
  })

  it('is 200 with data and closure when the last append closed the stream', () => {
    const answer = read(query, 4, 10, { state: closed, cursor: 77n })
    expect(answer).toMatchObject({ status: 200, body: 'efghij', fields: { 'Stream-Closed': 'true' } })
  })

  it('takes no notice of If-None-Match', () => {
    expect(read(query, 4, 10, { cursor: 77n, ifNoneMatch: '*' }).status).toBe(200)
  })

  it('R-044: from now has no ETag and is not kept: a kept answer is no news to the next reader from now', () => {
    const { fields: answered } = read('live=long-poll&offset=now', 4, 10, { cursor: 77n })
    expect(answered.ETag).toBeUndefined()
    expect(answered['Cache-Control']).toBe('no-store')
  })
})

describe('the head of an SSE answer', () => {
  const head = {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-cache',
    'X-Accel-Buffering': 'no',
  }

  it.each([
    ['text/plain', 'text/plain'],
    ['application/json', 'application/json; charset=utf-8'],
  ])('R-179, R-190, R-199: is plain for %s', (mediaType, contentType) => {
    expect(
      fields(sseHeaders(stream({ mediaType, contentType }), request('live=sse&offset=-1'), 'public')),
    ).toEqual(head)
  })

  it.each(['application/octet-stream', 'application/x-protobuf', 'image/png', 'application/ndjson'])(
    'R-198: names the encoding for %s',
    (mediaType) => {
      const state = stream({ mediaType, contentType: mediaType })
      expect(fields(sseHeaders(state, request('live=sse&offset=-1'), 'public'))).toEqual({
        ...head,
        'Stream-SSE-Data-Encoding': 'base64',
      })
    },
  )

  it('says that a closed stream is closed to a reader from now', () => {
    expect(fields(sseHeaders(stream({}, true), request('live=sse&offset=now'), 'public'))).toEqual({
      ...head,
      'Stream-Closed': 'true',
      'Stream-Up-To-Date': 'true',
      'Stream-Next-Offset': '0000000000000000_0000000000000010',
    })
    expect(fields(sseHeaders(stream({}, true), request('live=sse&offset=-1'), 'public'))).toEqual(head)
    expect(fields(sseHeaders(stream(), request('live=sse&offset=now'), 'public'))).toEqual(head)
  })
})
