import { afterEach, describe, expect, it, vi } from 'vitest'
import type { StreamOptions } from './read-options.ts'
import { type Answer, eventually, hang, PATIENCE_MS, page, scriptedFetch } from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'
import type { StreamResponse } from './stream-response.ts'

vi.setConfig({ testTimeout: PATIENCE_MS })

const url = 'https://example.org/v1/stream/orders'
const backoffOptions = { initialDelay: 1, maxDelay: 1 }

afterEach(() => {
  vi.restoreAllMocks()
})

async function open(answers: readonly Answer[], options: Partial<StreamOptions> = {}) {
  const script = scriptedFetch(...answers)
  const response = await stream({ url, fetch: script.fetch, backoffOptions, ...options })
  return { script, response }
}

const WAYS = {
  json: (r) => r.json(),
  text: (r) => r.text(),
  body: (r) => r.body(),
  jsonStream: (r) => r.jsonStream(),
  textStream: (r) => r.textStream(),
  bodyStream: (r) => r.bodyStream(),
  subscribeJson: (r) => r.subscribeJson(() => undefined),
  subscribeText: (r) => r.subscribeText(() => undefined),
  subscribeBytes: (r) => r.subscribeBytes(() => undefined),
} as const satisfies Record<string, (response: StreamResponse) => unknown>
const NAMES = Object.keys(WAYS) as (keyof typeof WAYS)[]

describe('a response is consumed once', () => {
  it.each(NAMES)('%s() after another is ALREADY_CONSUMED and names both (C-060)', async (second) => {
    const { response } = await open([page('[1]', { offset: '0_1' })])
    WAYS.subscribeBytes(response)
    const attempt = new Promise((resolve) => resolve(WAYS[second](response)))
    const error: unknown = await attempt.catch((reason) => reason)
    response.cancel()

    expect(error).toMatchObject({ code: 'ALREADY_CONSUMED' })
    expect(String(error)).toContain(`${second}()`)
    expect(String(error)).toContain('subscribeBytes()')
  })

  it('promise methods reject, the others throw at once (C-060)', async () => {
    const { response } = await open([page('[1]', { offset: '0_1' })], { live: false })
    await response.json()
    for (const name of NAMES.slice(3)) expect(() => WAYS[name](response)).toThrow('has read it already')
    for (const name of NAMES.slice(0, 3)) await expect(WAYS[name](response)).rejects.toThrow('has read it')
  })

  it.each(['json', 'jsonStream', 'subscribeJson'] as const)(
    '%s() on text is BAD_REQUEST, and text() still works (C-061)',
    async (name) => {
      const { response } = await open([page('hello', { type: 'text/plain' })], { live: false })
      const error = await new Promise((resolve) => resolve(WAYS[name](response))).catch((reason) => reason)

      expect(error).toMatchObject({ code: 'BAD_REQUEST' })
      expect(await response.text()).toBe('hello')
    },
  )

  it('a subscriber that is no function is BAD_REQUEST, and the response can still be used', async () => {
    const { response } = await open([page('[1]')], { live: false })

    expect(() => response.subscribeJson(undefined as never)).toThrow('needs a function')
    expect(await response.json()).toEqual([1])
  })

  it('methods can be taken off the response', async () => {
    const { json } = (await open([page('[1]')], { live: false })).response

    expect(await json()).toEqual([1])
  })
})

describe('JSON', () => {
  it.each([
    ['application/json; charset=utf-8', {}, '[1]', [1]],
    ['text/plain', { json: true }, '[1]', [1]],
    ['application/json', {}, ' \r\n\t', []],
    ['application/json', {}, '{"a":1}', [{ a: 1 }]],
    ['application/json', {}, '[[1,[2]],[]]', [[1, [2]], []]],
    ['application/json', {}, 'null', [null]],
  ])('%s %j: %j (C-061, C-062)', async (type, options, body, items) => {
    const { response } = await open([page(body, { type })], { live: false, ...options })

    expect(await response.json()).toEqual(items)
  })

  it.each(['json', 'jsonStream', 'subscribeJson'] as const)(
    '%s(): what can not be parsed is a PARSE_ERROR, also at closed (C-063)',
    async (name) => {
      const { response } = await open([page(`[1,${'x'.repeat(5000)}`)], { live: false })
      if (name === 'json') await expect(response.json()).rejects.toMatchObject({ code: 'PARSE_ERROR' })
      if (name === 'jsonStream')
        await expect(response.jsonStream().getReader().read()).rejects.toMatchObject({ code: 'PARSE_ERROR' })
      if (name === 'subscribeJson') response.subscribeJson(() => undefined)
      const error = await response.closed.catch((reason) => reason)

      expect(error).toMatchObject({ code: 'PARSE_ERROR' })
      expect(error.message.length).toBeLessThan(200)
    },
  )
})

describe('subscribers', () => {
  const pages = (count: number): Response[] =>
    Array.from({ length: count }, (_, i) => page(`[${i}]`, { offset: `0_${i}`, upToDate: i === count - 1 }))

  it('calls never overlap, and a slow one holds all but one further answer back (C-064)', async () => {
    const { script, response } = await open(pages(6), { live: false })
    let running = 0
    let most = 0
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    response.subscribeJson(async () => {
      running++
      most = Math.max(most, running)
      await held
      running--
    })
    await script.untilRequests(2)
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(script.requests).toHaveLength(2)
    release()
    await response.closed

    expect(most).toBe(1)
    expect(script.requests).toHaveLength(6)
  })

  it('inside a call the response is where the batch is (C-065)', async () => {
    const { response } = await open(pages(4), { live: false })
    const seen: unknown[] = []
    response.subscribeJson(async (batch) => {
      seen.push([batch.offset, response.offset, batch.upToDate === response.upToDate])
      await new Promise((resolve) => setTimeout(resolve, 2))
      seen.push([batch.offset, response.offset, batch.upToDate === response.upToDate])
    })
    await response.closed

    expect(seen).toEqual([0, 0, 1, 1, 2, 2, 3, 3].map((i) => [`0_${i}`, `0_${i}`, true]))
  })

  it.each(['throws', 'rejects'])(
    'a call that %s ends the session and is what closed rejects with (C-066)',
    async (how) => {
      const { script, response } = await open([page('[1]', { offset: '0_1' }), hang])
      const failure = new Error('no room')
      const { closed } = response
      response.subscribeJson(() => {
        if (how === 'throws') throw failure
        return script.untilRequests(2).then(() => Promise.reject(failure))
      })

      await expect(closed).rejects.toBe(failure)
      await eventually(() => expect(script.requests.at(-1)?.signal?.aborted).toBe(true))
    },
  )

  it('unsubscribing stops delivery, aborts and resolves closed, as often as it is called (C-067)', async () => {
    const { script, response } = await open([page('[1]', { offset: '0_1' }), hang])
    let calls = 0
    const unsubscribe = response.subscribeJson(() => {
      calls++
    })
    await script.untilRequests(2)
    unsubscribe()
    unsubscribe()
    await response.closed

    expect(script.requests[1]?.signal?.aborted).toBe(true)
    expect(calls).toBe(1)
  })

  it('closed resolves only after the last call has settled (C-068)', async () => {
    const { response } = await open([page('[1]', { offset: '0_1', closed: 'true' })])
    const order: string[] = []
    const closed = response.closed.then(() => order.push('closed'))
    response.subscribeJson(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      order.push('delivered')
    })
    await closed

    expect(order).toEqual(['delivered', 'closed'])
  })

  it('bytes and text come with the same metadata', async () => {
    const bytes = await open(pages(1), { live: false })
    const chunks: unknown[] = []
    bytes.response.subscribeBytes((chunk) => void chunks.push(chunk))
    await bytes.response.closed
    const text = await open(pages(1), { live: false })
    text.response.subscribeText((chunk) => void chunks.push(chunk))
    await text.response.closed

    const meta = { offset: '0_0', upToDate: true, streamClosed: false }
    expect(chunks).toEqual([
      { data: new TextEncoder().encode('[0]'), ...meta },
      { text: '[0]', ...meta },
    ])
  })
})

describe('failures that nobody looks at (C-087)', () => {
  const refusal = () => new Response('gone', { status: 404 })

  it('are logged once and end nothing else', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const { response } = await open([page('[1]', { offset: '0_1' }), refusal()])
    response.subscribeJson(() => undefined)
    await eventually(() => expect(error).toHaveBeenCalledOnce())
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', unhandled)

    expect(unhandled).not.toHaveBeenCalled()
    expect(error.mock.calls[0]?.[1]).toMatchObject({ status: 404, code: 'NOT_FOUND' })
  })

  it('of a subscriber, too, are no unhandled rejection (C-066)', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const { script, response } = await open([page('[1]', { offset: '0_1' }), hang])
    const failure = new Error('no room')
    response.subscribeJson(() => script.untilRequests(2).then(() => Promise.reject(failure)))
    await eventually(() => expect(error).toHaveBeenCalledOnce())
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', unhandled)

    expect(unhandled).not.toHaveBeenCalled()
    expect(error.mock.calls[0]).toContain(failure)
    expect(script.requests[1]?.signal?.aborted).toBe(true)
  })

  it('are not logged for those who look at closed or handle errors', async () => {
    const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const first = await open([page('[1]', { offset: '0_1' }), refusal()])
    first.response.subscribeJson(() => undefined)
    await expect(first.response.closed).rejects.toMatchObject({ status: 404 })
    const onError = vi.fn()
    const second = await open([page('[1]', { offset: '0_1' }), refusal()], { onError })
    second.response.subscribeJson(() => undefined)
    await eventually(() => expect(onError).toHaveBeenCalledOnce())
    await expect(second.response.closed).rejects.toMatchObject({ status: 404 })

    expect(error).not.toHaveBeenCalled()
  })
})

describe('cancel', () => {
  it('before anything is consumed: the body is let go, nothing is delivered afterwards (C-069)', async () => {
    const first = page('[1]', { offset: '0_1' })
    const { script, response } = await open([first])
    response.cancel('why')
    response.cancel()
    await response.closed

    await expect(response.json()).rejects.toBe('why')
    expect(script.requests).toHaveLength(1)
    expect(script.requests[0]?.signal?.aborted).toBe(true)
  })

  it('streams and subscriptions of a cancelled response end at once (C-069)', async () => {
    const streamed = await open([page('[1]', { offset: '0_1' })])
    streamed.response.cancel()
    const subscribed = await open([page('[1]', { offset: '0_1' })])
    subscribed.response.cancel()
    const call = vi.fn()
    subscribed.response.subscribeJson(call)
    await subscribed.response.closed

    expect(await streamed.response.jsonStream().getReader().read()).toEqual({ done: true, value: undefined })
    expect(call).not.toHaveBeenCalled()
  })

  it('during back-off makes no further request (C-069, C-083)', async () => {
    const { script, response } = await open(
      [page('[1]', { offset: '0_1' }), new Response('', { status: 503 })],
      { backoffOptions: { initialDelay: 3_600_000, maxDelay: 3_600_000 } },
    )
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    response.subscribeJson(() => undefined)
    await script.untilRequests(2)
    response.cancel()
    await response.closed
    await new Promise((resolve) => setTimeout(resolve, 5))

    expect(script.requests).toHaveLength(2)
  })

  it('a fetch that ignores its signal does not hold it up (C-069)', async () => {
    const never = () => new Promise<Response>(() => undefined)
    const { script, response } = await open([page('[1]', { offset: '0_1', upToDate: false }), never])
    const result = response.json()
    await script.untilRequests(2)
    response.cancel('why')

    await expect(result).rejects.toBe('why')
    await response.closed
  })

  it.each(['json', 'text', 'body'] as const)(
    '%s() rejects with the reason, never with a part (C-070)',
    async (name) => {
      const controller = new AbortController()
      const { signal } = controller
      const { script, response } = await open([page('[1]', { offset: '0_1', upToDate: false }), hang], {
        signal,
      })
      const result = WAYS[name](response)
      await script.untilRequests(2)
      controller.abort('enough')

      await expect(result).rejects.toBe('enough')
      await response.closed
    },
  )

  it.each(['jsonStream', 'textStream', 'bodyStream'] as const)(
    '%s() closes on abort (C-070)',
    async (name) => {
      const controller = new AbortController()
      const { signal } = controller
      const { script, response } = await open([page('[1]', { offset: '0_1' }), hang], { signal })
      const reader = WAYS[name](response).getReader()
      await reader.read()
      const pending = reader.read()
      await script.untilRequests(2)
      controller.abort()

      expect(await pending).toEqual({ done: true, value: undefined })
      await response.closed
    },
  )

  it.each(['jsonStream', 'textStream', 'bodyStream'] as const)(
    'leaving a loop over %s() ends all requests (C-071)',
    async (name) => {
      const { script, response } = await open([page('[1]', { offset: '0_1' }), hang])
      for await (const _ of WAYS[name](response)) {
        await script.untilRequests(2)
        break
      }
      await response.closed

      expect(script.requests[1]?.signal?.aborted).toBe(true)
      expect(script.requests).toHaveLength(2)
    },
  )

  it('listeners are taken off the signal of the caller, however the session ends (C-075)', async () => {
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    const ends: ((response: StreamResponse) => unknown)[] = [
      (response) => response.cancel(),
      (response) => response.subscribeJson(() => response.cancel()),
      (response) => response.subscribeJson(() => Promise.reject(new Error('x'))),
    ]
    for (const end of ends) {
      const { response } = await open([page('[1]', { offset: '0_1' }), hang], { signal })
      const { closed } = response
      end(response)
      await closed.catch(() => undefined)
    }
    const finished = await open([page('[1]', { offset: '0_1' })], { signal, live: false })
    await finished.response.json()
    await expect(open([new Response('', { status: 404 })], { signal })).rejects.toThrow()

    expect(added).toHaveBeenCalledTimes(5)
    const taken = new Set(removed.mock.calls.map(([, listener]) => listener))
    expect(added.mock.calls.every(([, listener]) => taken.has(listener))).toBe(true)
  })
})

it('with jsonStream() the offset moves with the last item of a page, so that a checkpoint loses none', async () => {
  const { response } = await open(
    [page('[1,2]', { offset: '0_2', upToDate: false }), page('[3]', { offset: '0_3' })],
    {
      live: false,
      offset: '0_0',
    },
  )
  const seen: unknown[] = []
  const reader = response.jsonStream().getReader()
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    seen.push([read.value, response.offset])
  }

  expect(seen.slice(1)).toEqual([
    [2, '0_2'],
    [3, '0_3'],
  ])
})
