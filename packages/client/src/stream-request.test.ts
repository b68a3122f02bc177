import { afterEach, describe, expect, it, vi } from 'vitest'
import { DurableStreamError, FetchError, InvalidSignalError } from './errors.ts'
import type { StreamOptions } from './read-options.ts'
import { hang, PATIENCE_MS, page, scriptedFetch } from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'

vi.setConfig({ testTimeout: PATIENCE_MS })

const url = 'https://example.org/v1/stream/orders?tenant=7'
const fast = { initialDelay: 1, maxDelay: 1 }

afterEach(() => {
  vi.unstubAllGlobals()
})

describe('options that can not be meant fail without a request', () => {
  const { fetch, requests } = scriptedFetch()

  it.each([
    ['no URL', { url: '' }],
    ['a live mode that does not exist', { url, live: 'auto' }],
    ['an empty offset', { url, offset: '' }],
    ['an offset that is no text', { url, offset: 5 }],
    ['params.offset (C-014)', { url, params: { offset: '5' } }],
    ['params.live (C-014)', { url, params: { live: () => 'sse' } }],
    ['params.cursor (C-014)', { url, params: { cursor: 'c' } }],
    ['a header that is no text', { url, headers: { a: 1 } }],
    ['a parameter that is no text', { url, params: { a: null } }],
    ['an error handler that is none', { url, onError: {} }],
    ['a negative number of retries', { url, backoffOptions: { maxRetries: -1 } }],
    ['a delay that is no number', { url, backoffOptions: { initialDelay: Number.NaN } }],
    ['an SSE limit that is no number', { url, sseResilience: { maxShortConnections: '3' } }],
  ])('%s (C-010)', async (_, options) => {
    const error = await stream({ fetch, ...options } as unknown as StreamOptions).catch((reason) => reason)

    expect(error).toBeInstanceOf(DurableStreamError)
    expect(error).toMatchObject({ code: 'BAD_REQUEST' })
    expect(requests).toEqual([])
  })

  it('a URL that can not be parsed is a TypeError (C-010)', async () => {
    await expect(stream({ url: '/relative', fetch })).rejects.toBeInstanceOf(TypeError)
    expect(requests).toEqual([])
  })

  it('a signal that is none is an InvalidSignalError', async () => {
    const signal = {} as AbortSignal
    await expect(stream({ url, fetch, signal })).rejects.toBeInstanceOf(InvalidSignalError)
    expect(requests).toEqual([])
  })
})

describe('the first request', () => {
  it('reads from the beginning, without live and cursor, and keeps the query of the URL (C-010, C-011)', async () => {
    const { fetch, requests } = scriptedFetch(page('[]', { offset: '0_0' }))
    await stream({ url: new URL(url), fetch, live: 'sse' })

    expect(requests).toHaveLength(1)
    expect(requests[0]?.method).toBe('GET')
    expect(requests[0]?.query).toEqual({ tenant: '7', offset: '-1' })
  })

  it('replaces protocol parameters in the URL itself', async () => {
    const { fetch, requests } = scriptedFetch(page('[]'))
    await stream({ url: 'https://example.org/s?offset=9&live=sse&a=b', fetch, offset: '0_4' })

    expect(requests[0]?.query).toMatchObject({ offset: '0_4', a: 'b' })
  })

  it('is the only one until the response is consumed, and its body is left alone (C-016)', async () => {
    const first = page('[1]', { offset: '0_1', upToDate: false })
    const { fetch, requests } = scriptedFetch(first)
    const response = await stream({ url, fetch })
    await new Promise((resolve) => setTimeout(resolve, 5))

    expect(requests).toHaveLength(1)
    expect(first.bodyUsed).toBe(false)
    expect(response).toMatchObject({
      offset: '0_1',
      upToDate: false,
      status: 200,
      ok: true,
      isLoading: false,
    })
    response.cancel()
  })

  it('gives metadata before anything is consumed, and nobody can overwrite it (C-074)', async () => {
    const type = 'application/json; charset=utf-8'
    const { fetch } = scriptedFetch(page('[]', { offset: '0_9', cursor: 'c1', closed: 'true', type }))
    const response = await stream({ url, fetch, offset: '0_3', live: false })

    expect(response).toMatchObject({
      url,
      contentType: type,
      live: false,
      startOffset: '0_3',
      offset: '0_9',
      cursor: 'c1',
      upToDate: true,
      streamClosed: true,
    })
    expect(() => Object.assign(response, { offset: 'x' })).toThrow(TypeError)
  })
})

describe('headers and parameters', () => {
  it('functions run for every request and attempt, static values stay (C-015, C-014)', async () => {
    let count = 0
    const { fetch, requests } = scriptedFetch(
      new Response('', { status: 503 }),
      page('[1]', { offset: '0_1', upToDate: false }),
      page('[2]', { offset: '0_2' }),
    )
    const response = await stream({
      url,
      fetch,
      live: false,
      backoffOptions: fast,
      headers: { authorization: async () => `token ${++count}`, 'x-tenant': 'a' },
      params: { turn: () => String(count), none: undefined, never: () => undefined },
    })
    expect(await response.json()).toEqual([1, 2])

    expect(requests.map(({ headers }) => headers)).toEqual(
      [1, 2, 3].map((turn) => ({ authorization: `token ${turn}`, 'x-tenant': 'a' })),
    )
    expect(requests.map(({ query }) => query.turn)).toEqual(['1', '2', '3'])
    expect(Object.keys(requests[0]?.query ?? {})).toEqual(['tenant', 'turn', 'offset'])
  })

  it('a function that fails fails the call, without a retry (C-015)', async () => {
    const { fetch, requests } = scriptedFetch()
    const failure = new Error('no token')
    const headers = { authorization: () => Promise.reject(failure) }

    await expect(stream({ url, fetch, headers })).rejects.toBe(failure)
    expect(requests).toEqual([])
  })
})

describe('fetch', () => {
  it('the global one is looked up when it is called, and called without a this (C-017)', async () => {
    let receiver: unknown = 'not called'
    const { fetch, requests } = scriptedFetch(page('[1]'))
    vi.stubGlobal('fetch', function (this: unknown, ...args: Parameters<typeof fetch>) {
      receiver = this
      return fetch(...args)
    })
    const response = await stream({ url, live: false })

    expect(await response.json()).toEqual([1])
    expect(requests).toHaveLength(1)
    expect(receiver).toBeUndefined()
  })

  it('a given one makes every request (C-017)', async () => {
    vi.stubGlobal('fetch', () => {
      throw new Error('the global fetch must not be used')
    })
    const { fetch, requests } = scriptedFetch(
      page('[1]', { offset: '1', upToDate: false }),
      page('[2]', { offset: '2' }),
    )

    expect(await (await stream({ url, fetch, live: false })).json()).toEqual([1, 2])
    expect(requests).toHaveLength(2)
  })
})

describe('refusals', () => {
  it.each([
    [400, 'BAD_REQUEST'],
    [401, 'UNAUTHORIZED'],
    [403, 'FORBIDDEN'],
    [404, 'NOT_FOUND'],
    [410, 'GONE'],
  ])('%i rejects at once with status, code, headers, body and URL (C-018)', async (status, code) => {
    const refusal = new Response('no', { status, headers: { 'x-why': 'because' } })
    const { fetch, requests } = scriptedFetch(refusal)
    const error = await stream({ url, fetch }).catch((reason) => reason)

    expect(error).toBeInstanceOf(FetchError)
    expect(error).toBeInstanceOf(DurableStreamError)
    expect(error).toMatchObject({ status, code, text: 'no', headers: { 'x-why': 'because' } })
    expect(error.message).toContain('/v1/stream/orders')
    expect(requests).toHaveLength(1)
  })
})

describe('abort', () => {
  it('a signal that is aborted already makes no request (C-019)', async () => {
    const { fetch, requests } = scriptedFetch()
    const signal = AbortSignal.abort(new Error('too late'))

    await expect(stream({ url, fetch, signal })).rejects.toMatchObject({ code: 'UNKNOWN' })
    expect(requests).toEqual([])
  })

  it('an abort in flight rejects with UNKNOWN (C-019)', async () => {
    const { fetch, untilRequests } = scriptedFetch(hang)
    const controller = new AbortController()
    const result = expect(stream({ url, fetch, signal: controller.signal })).rejects.toMatchObject({
      name: 'DurableStreamError',
      code: 'UNKNOWN',
      message: 'The request was aborted',
    })
    await untilRequests(1)
    controller.abort()
    await result
  })
})
