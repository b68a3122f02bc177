import { afterEach, describe, expect, it, vi } from 'vitest'
import type { RetryOpts } from './options.ts'
import type { StreamOptions } from './read-options.ts'
import {
  type Answer,
  controlEvent,
  dataEvent,
  events,
  hang,
  PATIENCE_MS,
  page,
  scriptedFetch,
} from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'

vi.setConfig({ testTimeout: PATIENCE_MS })

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

const url = 'https://example.org/v1/stream/orders'
const backoffOptions = { initialDelay: 1, maxDelay: 1, maxRetries: 1 }
const sseResilience = { backoffBaseDelay: 1, backoffMaxDelay: 1 }
const refused = (status: number): Response => new Response('no', { status })

function open(answers: readonly Answer[], options: Partial<StreamOptions>) {
  const script = scriptedFetch(...answers)
  return { script, opened: stream({ url, fetch: script.fetch, backoffOptions, sseResilience, ...options }) }
}

describe('what the handler returns', () => {
  it('an object tries again, with headers and parameters that stay (C-084)', async () => {
    const { script, opened } = open(
      [refused(401), page('[1]', { offset: '0_1', upToDate: false }), page('[2]', { offset: '0_2' })],
      {
        live: false,
        headers: { Authorization: 'old', 'x-kept': 'a' },
        params: { kept: 'b', tenant: 'c' },
        onError: async () => ({ headers: { authorization: 'new' }, params: { tenant: 'd' } }),
      },
    )
    expect(await (await opened).json()).toEqual([1, 2])

    expect(script.requests.map(({ headers }) => headers)).toEqual([
      { Authorization: 'old', 'x-kept': 'a' },
      { authorization: 'new', 'x-kept': 'a' },
      { authorization: 'new', 'x-kept': 'a' },
    ])
    expect(script.requests.map(({ query }) => query.tenant)).toEqual(['c', 'd', 'd'])
    expect(script.requests.every(({ query }) => query.kept === 'b')).toBe(true)
  })

  it('an empty object just tries again (C-084)', async () => {
    const { script, opened } = open([refused(404), page('[1]')], { live: false, onError: () => ({}) })

    expect(await (await opened).json()).toEqual([1])
    expect(script.requests).toHaveLength(2)
  })

  it('nothing lets the error through (C-084)', async () => {
    const onError = vi.fn()
    const { opened } = open([refused(404)], { onError })

    await expect(opened).rejects.toMatchObject({ status: 404 })
    expect(onError).toHaveBeenCalledOnce()
  })

  it('null stops with an error that says what to return (C-084)', async () => {
    const { opened } = open([refused(404)], { onError: () => null as never })
    const error = await opened.catch((reason) => reason)

    expect(error).toMatchObject({ code: 'BAD_REQUEST', details: { status: 404 } })
    expect(error.message).toMatch(/onError returned null.*HTTP 404/)
  })

  it('what it throws is thrown on (C-084)', async () => {
    const failure = new Error('handler')
    const onError = () => {
      throw failure
    }

    await expect(open([refused(404)], { onError }).opened).rejects.toBe(failure)
  })

  it('a reserved parameter is refused', async () => {
    const onError = (): RetryOpts => ({ params: { offset: '0_0' } })

    await expect(open([refused(404)], { onError }).opened).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

describe('when it is asked', () => {
  it('after back-off gave up, not before (C-084)', async () => {
    const seen: number[] = []
    const { script, opened } = open(
      [refused(503), refused(503), new TypeError('x'), new TypeError('x'), page('[1]')],
      {
        live: false,
        onError: () => {
          seen.push(script.requests.length)
          return {}
        },
      },
    )
    await (await opened).json()

    expect(seen).toEqual([2, 4])
  })

  it('for a later poll, which goes on from the last offset (C-085)', async () => {
    const { script, opened } = open(
      [page('[1]', { offset: '0_1' }), refused(401), page('[2]', { offset: '0_2', closed: 'true' })],
      { onError: () => ({ headers: { authorization: 'new' } }) },
    )
    const response = await opened
    const items: unknown[] = []
    response.subscribeJson((batch) => void items.push(...batch.items))
    await response.closed

    expect(items).toEqual([1, 2])
    expect(script.requests[2]).toMatchObject({
      query: { offset: '0_1', live: 'long-poll' },
      headers: { authorization: 'new' },
    })
  })

  it('for an SSE connection that is refused (C-085)', async () => {
    const first = events(dataEvent('[1]'), controlEvent({ streamNextOffset: '0_1' }))
    const second = events(dataEvent('[2]'), controlEvent({ streamNextOffset: '0_2', streamClosed: true }))
    const onError = vi.fn(() => ({}))
    const { script, opened } = open([page('[0]', { offset: '0_0' }), first, refused(401), second], {
      live: 'sse',
      onError,
    })
    const response = await opened
    const items: unknown[] = []
    response.subscribeJson((batch) => void items.push(...batch.items))
    await response.closed

    expect(items).toEqual([0, 1, 2])
    expect(onError).toHaveBeenCalledOnce()
    expect(script.requests.map(({ query }) => query.offset)).toEqual(['-1', '0_0', '0_1', '0_1'])
  })

  it('a bounded number of times in a row, with waits between (C-086)', async () => {
    const onError = vi.fn(() => ({}))
    const failures = Array.from({ length: 60 }, () => refused(401))
    const { script, opened } = open(failures, { onError })

    await expect(opened).rejects.toMatchObject({ status: 401 })
    expect(onError).toHaveBeenCalledTimes(50)
    expect(script.requests).toHaveLength(51)
  })

  it('with waits between that grow (C-086)', async () => {
    vi.useFakeTimers()
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    const failures = Array.from({ length: 4 }, () => refused(401))
    const { script, opened } = open([...failures, page('[1]')], {
      onError: () => ({}),
      backoffOptions: { initialDelay: 1000, multiplier: 2, maxDelay: 3000 },
    })
    const madeAfter: number[] = []
    for (const ms of [0, 499, 1, 999, 1, 1499, 1, 1499, 1]) {
      await vi.advanceTimersByTimeAsync(ms)
      madeAfter.push(script.requests.length)
    }
    ;(await opened).cancel()

    expect(madeAfter).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5])
  })

  it('a success starts the count again (C-086)', async () => {
    const answers = Array.from({ length: 40 }, (_, i) => [
      refused(401),
      refused(401),
      page(`[${i}]`, { offset: `0_${i}`, upToDate: i === 39 }),
    ]).flat()
    const { opened } = open(answers, { live: false, onError: () => ({}) })

    expect(await (await opened).json()).toHaveLength(40)
  })

  it('not for an abort (C-086)', async () => {
    const onError = vi.fn(() => ({}))
    const controller = new AbortController()
    const { script, opened } = open([page('[1]', { offset: '0_1' }), hang], {
      onError,
      signal: controller.signal,
    })
    const response = await opened
    response.subscribeJson(() => undefined)
    await script.untilRequests(2)
    controller.abort()
    await response.closed

    expect(onError).not.toHaveBeenCalled()
  })
})
