import { afterEach, describe, expect, it, vi } from 'vitest'
import { createFetchWithBackoff } from './backoff.ts'
import { createFetchWithConsumedBody } from './consumed-body.ts'
import { DurableStreamError, FetchBackoffAbortError, FetchError } from './errors.ts'
import { parseRetryAfterHeader, resolveBackoff, retryDelay } from './retry-delay.ts'
import { hang, PATIENCE_MS, page, scriptedFetch } from './scripted-fetch.fixture.ts'

vi.setConfig({ testTimeout: PATIENCE_MS })

const url = 'https://example.org/s'
const fast = { initialDelay: 1, maxDelay: 1 }
const refused = (status: number) => () => new Response('no', { status })

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

describe('what is retried', () => {
  const verbs = ['GET', 'PUT', 'POST', 'DELETE']

  it.each(verbs)(
    '500, 503, 429, a redirect that was not followed and network errors, for %s (C-080)',
    async (method) => {
      const failures = [refused(500), refused(503), refused(429), refused(304), new TypeError('fetch failed')]
      const { fetch, requests } = scriptedFetch(
        ...failures.map((failure) =>
          typeof failure === 'function'
            ? () => (failure === failures[3] ? new Response(null, { status: 304 }) : failure())
            : failure,
        ),
        page('ok', { status: 201 }),
      )

      expect((await createFetchWithBackoff(fetch, fast)(url, { method })).status).toBe(201)
      expect(requests).toHaveLength(6)
      expect(requests.every((request) => request.method === method)).toBe(true)
    },
  )

  it.each([400, 401, 403, 404, 408, 409, 410, 413])('%i is not (C-080, C-018)', async (status) => {
    const { fetch, requests } = scriptedFetch(refused(status))
    const error = await createFetchWithBackoff(fetch, fast)(url).catch((reason) => reason)

    expect(error).toBeInstanceOf(FetchError)
    expect(error).toBeInstanceOf(DurableStreamError)
    expect(error).toMatchObject({ status, text: 'no', url })
    expect(requests).toHaveLength(1)
  })

  it('a body that can be read only once is sent once, and the real failure comes out', async () => {
    const { fetch, requests } = scriptedFetch(refused(503))
    const body = new ReadableStream()
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit

    await expect(createFetchWithBackoff(fetch, fast)(url, init)).rejects.toMatchObject({ status: 503 })
    expect(requests).toHaveLength(1)
  })

  it.each([
    [0, 1],
    [2, 3],
  ])('maxRetries %i makes %i attempts and throws the last failure (C-082)', async (maxRetries, attempts) => {
    const onFailedAttempt = vi.fn()
    const { fetch, requests } = scriptedFetch(refused(500), refused(502), refused(503), refused(504))
    const options = { ...fast, maxRetries, onFailedAttempt }

    await expect(createFetchWithBackoff(fetch, options)(url)).rejects.toBeInstanceOf(FetchError)
    expect(requests).toHaveLength(attempts)
    expect(onFailedAttempt).toHaveBeenCalledTimes(attempts)
  })

  it('without a bound it goes on, and partial options keep the other defaults (C-082)', async () => {
    expect(resolveBackoff({ maxRetries: 2 })).toMatchObject({
      initialDelay: 100,
      maxDelay: 60_000,
      multiplier: 1.3,
    })
    expect(resolveBackoff({ initialDelay: undefined as never })).toMatchObject({ initialDelay: 100 })
    const failures = Array.from({ length: 100 }, () => new TypeError('fetch failed'))
    const { fetch, requests } = scriptedFetch(...failures, page(''))
    await createFetchWithBackoff(fetch, fast)(url)

    expect(requests).toHaveLength(101)
  })
})

describe('the wait', () => {
  const options = resolveBackoff()

  it('is random below a bound that grows by 1.3 up to the cap (C-081)', () => {
    expect([0, 1].map((retry) => retryDelay(options, retry, 0.5, 0))).toEqual([50, 65])
    expect(retryDelay(options, 2, 0.5, 0)).toBeCloseTo(84.5)
    expect(retryDelay(options, 10_000, 0.999, 0)).toBeCloseTo(59_940)
    expect(retryDelay(options, 0, 0, 0)).toBe(0)
  })

  it('is never shorter than the server asks for (C-081)', () => {
    expect(retryDelay(options, 0, 0.5, 70_000)).toBe(70_000)
  })

  const now = Date.parse('2026-01-01T00:00:00Z')
  it.each([
    ['5', 5000],
    ['0.5', 500],
    ['7200', 7_200_000],
    ['-5', 0],
    ['0', 0],
    ['soon', 0],
    ['', 0],
    [null, 0],
    ['Thu, 01 Jan 2026 00:00:10 GMT', 10_000],
    ['Thu, 01 Jan 2026 09:00:00 GMT', 3_600_000],
    ['Thu, 01 Jan 2025 00:00:00 GMT', 0],
  ])('Retry-After: %j is %i ms (C-081)', (value, expected) => {
    expect(parseRetryAfterHeader(value, now)).toBe(expected)
  })

  it('Retry-After is honoured (C-081)', async () => {
    vi.useFakeTimers()
    vi.spyOn(Math, 'random').mockReturnValue(0)
    const busy = new Response('', { status: 503, headers: { 'retry-after': '3' } })
    const { fetch, requests } = scriptedFetch(busy, page(''))
    const done = createFetchWithBackoff(fetch)(url)
    await vi.advanceTimersByTimeAsync(2999)
    expect(requests).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    await done

    expect(requests).toHaveLength(2)
  })
})

describe('abort', () => {
  it('during the wait: at once, without another request (C-083)', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    const controller = new AbortController()
    const { signal } = controller
    const removed = vi.spyOn(signal, 'removeEventListener')
    const { fetch, requests, untilRequests } = scriptedFetch(refused(503))
    const slow = {
      initialDelay: 3_600_000,
      maxDelay: 3_600_000,
      onFailedAttempt: () => queueMicrotask(() => controller.abort()),
    }
    const result = createFetchWithBackoff(fetch, slow)(url, { signal }).catch((reason) => reason)
    await untilRequests(1)

    expect(await result).toBeInstanceOf(FetchBackoffAbortError)
    expect(requests).toHaveLength(1)
    expect(removed).toHaveBeenCalled()
  })

  it('during a request, and before one (C-083)', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const { fetch, requests, untilRequests } = scriptedFetch(hang)
    const result = createFetchWithBackoff(fetch, fast)(url, { signal }).catch((reason) => reason)
    await untilRequests(1)
    controller.abort()

    expect(await result).toBeInstanceOf(FetchBackoffAbortError)
    await expect(createFetchWithBackoff(fetch)(url, { signal })).rejects.toBeInstanceOf(
      FetchBackoffAbortError,
    )
    expect(requests).toHaveLength(1)
  })
})

it('debug logs failed attempts', async () => {
  const debug = vi.spyOn(console, 'debug').mockImplementation(() => undefined)
  const { fetch } = scriptedFetch(refused(500), page(''))
  await createFetchWithBackoff(fetch, { ...fast, debug: true })(url)

  expect(debug).toHaveBeenCalledOnce()
})

describe('createFetchWithConsumedBody', () => {
  it('gives the answer back with its bytes read', async () => {
    const bytes = Uint8Array.of(0, 255, 128)
    const original = page(bytes, { offset: '0_3', status: 206 })
    const response = await createFetchWithConsumedBody(async () => original)(url)

    expect(original.bodyUsed).toBe(true)
    expect(response.status).toBe(206)
    expect(response.headers.get('stream-next-offset')).toBe('0_3')
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes)
  })

  it.each([201, 204, 205])('passes %i through', async (status) => {
    const original = new Response(null, { status })

    expect(await createFetchWithConsumedBody(async () => original)(url)).toBe(original)
  })

  it('says when the body breaks off, and when it was aborted', async () => {
    const broken = () => page(new ReadableStream({ start: (c) => c.error(new TypeError('terminated')) }))
    const client = createFetchWithConsumedBody(async () => broken())

    await expect(client(url)).rejects.toMatchObject({ name: 'FetchError', status: 200, url })
    await expect(client(url, { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(FetchBackoffAbortError)
  })
})
