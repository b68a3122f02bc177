import { describe, expect, it } from 'vitest'
import {
  DurableStreamError,
  errorOfResponse,
  FetchBackoffAbortError,
  FetchError,
  InvalidSignalError,
  MissingStreamUrlError,
  SequenceGapError,
  StaleEpochError,
  StreamClosedError,
} from './errors.ts'

const url = 'https://example.org/v1/stream/orders/1'
const problem = { 'content-type': 'application/problem+json' }

describe('an error of an HTTP answer', () => {
  it('is both a FetchError and a DurableStreamError, with status, code, headers, body and URL (C-018, C-112)', async () => {
    const error = await errorOfResponse(
      new Response('{"code":"X"}', { status: 404, headers: problem }),
      url,
      'GET',
    )

    expect(error).toBeInstanceOf(FetchError)
    expect(error).toBeInstanceOf(DurableStreamError)
    expect(error).not.toBeInstanceOf(StreamClosedError)
    expect(error).toMatchObject({
      name: 'FetchError',
      status: 404,
      code: 'NOT_FOUND',
      url,
      json: { code: 'X' },
    })
    expect(error).toMatchObject({ details: { code: 'X' }, headers: problem })
    expect(error.message).toBe(`HTTP 404 at ${url}: {"code":"X"}`)
  })

  it('says that a stream is closed under all three classes (C-111)', async () => {
    const headers = { 'Stream-Closed': 'TRUE', 'Stream-Next-Offset': '0_7' }
    const error = await errorOfResponse(new Response('no', { status: 409, headers }), url, 'POST')

    for (const type of [FetchError, DurableStreamError, StreamClosedError]) expect(error).toBeInstanceOf(type)
    expect(error).toMatchObject({
      code: 'STREAM_CLOSED',
      status: 409,
      streamClosed: true,
      finalOffset: '0_7',
    })
    expect(error).toMatchObject({ name: 'StreamClosedError', url, text: 'no' })
    expect(error.message).toContain(url)
  })

  it.each([
    [400, 'POST', 'BAD_REQUEST'],
    [401, 'GET', 'UNAUTHORIZED'],
    [403, 'GET', 'FORBIDDEN'],
    [404, 'GET', 'NOT_FOUND'],
    [409, 'POST', 'CONFLICT_SEQ'],
    [409, 'PUT', 'CONFLICT_EXISTS'],
    [410, 'GET', 'GONE'],
    [429, 'GET', 'RATE_LIMITED'],
    [503, 'GET', 'BUSY'],
    [500, 'GET', 'UNKNOWN'],
  ])('%i to a %s has the code %s (C-101, C-118)', async (status, method, code) => {
    expect(await errorOfResponse(new Response('', { status }), url, method)).toMatchObject({ code, status })
  })

  it('copes with a body that is absent, consumed, broken or not the JSON it says', async () => {
    const consumed = new Response('x', { status: 500 })
    await consumed.text()
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error('reset')) })

    for (const response of [
      consumed,
      new Response(null, { status: 500 }),
      new Response(broken, { status: 500 }),
    ]) {
      const error = await FetchError.fromResponse(response, url)
      expect([error.text, error.json, error.status]).toEqual([undefined, undefined, 500])
    }
    const notJson = new Response('<html>', { status: 502, headers: problem })
    expect((await FetchError.fromResponse(notJson, url)).text).toBe('<html>')
  })

  it('comes from the factories of both classes', async () => {
    const fetchError = await FetchError.fromResponse(new Response('gone', { status: 404 }), url)
    const fromFetchError = DurableStreamError.fromFetchError(fetchError)
    const fromResponse = await DurableStreamError.fromResponse(new Response('gone', { status: 404 }), url)

    for (const error of [fromFetchError, fromResponse]) {
      expect(error).toBeInstanceOf(FetchError)
      expect(error).toBeInstanceOf(DurableStreamError)
      expect(error).toMatchObject({
        name: 'DurableStreamError',
        code: 'NOT_FOUND',
        status: 404,
        details: 'gone',
      })
    }
    const closed = new Response('', { status: 409, headers: { 'stream-closed': 'true' } })
    expect(await DurableStreamError.fromResponse(closed, url)).toBeInstanceOf(StreamClosedError)
  })
})

it('an error without an answer is no FetchError, and subclasses match their own only', () => {
  class OwnError extends FetchError {}
  const own = new OwnError(500, undefined, undefined, {}, url)

  expect(new DurableStreamError('x', 'PARSE_ERROR')).not.toBeInstanceOf(FetchError)
  expect(new StreamClosedError()).not.toBeInstanceOf(FetchError)
  expect(new Error('x')).not.toBeInstanceOf(DurableStreamError)
  expect(own).toBeInstanceOf(FetchError)
  expect(new FetchError(500, undefined, undefined, {}, url)).not.toBeInstanceOf(OwnError)
})

it('each class has its name', () => {
  const errors = [
    new FetchBackoffAbortError(),
    new StaleEpochError(3),
    new SequenceGapError(1, 4),
    new MissingStreamUrlError(),
    new InvalidSignalError(),
    new DurableStreamError('x', 'UNKNOWN'),
  ]

  expect(errors.map(({ name }) => name)).toEqual(errors.map((error) => error.constructor.name))
  expect(new StaleEpochError(3).currentEpoch).toBe(3)
  expect(new SequenceGapError(1, 4)).toMatchObject({ expectedSeq: 1, receivedSeq: 4 })
})
