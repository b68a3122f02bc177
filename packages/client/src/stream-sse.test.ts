import { afterEach, describe, expect, it, vi } from 'vitest'
import { DurableStream } from './durable-stream.ts'
import type { StreamOptions } from './read-options.ts'
import {
  type Answer,
  controlEvent,
  dataEvent,
  eventStream,
  events,
  eventually,
  hang,
  PATIENCE_MS,
  page,
  scriptedFetch,
  timeout,
} from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'

vi.setConfig({ testTimeout: PATIENCE_MS })

const url = 'https://example.org/v1/stream/orders'
const backoffOptions = { initialDelay: 1, maxDelay: 1 }
const sseResilience = { backoffBaseDelay: 1, backoffMaxDelay: 1 }
const caughtUp = (): Response => page('[0]', { offset: '0_0', cursor: 'c0' })

afterEach(() => {
  vi.restoreAllMocks()
})

async function open(answers: readonly Answer[], options: Partial<StreamOptions> = {}) {
  const script = scriptedFetch(...answers)
  const response = await stream({
    url,
    fetch: script.fetch,
    live: 'sse',
    backoffOptions,
    sseResilience,
    ...options,
  })
  const batches: { readonly items: readonly unknown[] }[] = []
  const until = (count: number) => eventually(() => expect(batches.length).toBeGreaterThanOrEqual(count))
  const subscribe = () =>
    response.subscribeJson((batch) => {
      batches.push(batch)
    })
  return { script, response, batches, until, subscribe }
}

describe('events', () => {
  it('data up to a control event is one batch with its offset, cursor and flags (C-043, C-013)', async () => {
    const sse = eventStream()
    const { script, response, batches, until, subscribe } = await open([caughtUp(), sse.response])
    subscribe()
    sse.send(dataEvent('[1,2]') + dataEvent('[3]'))
    sse.send(controlEvent({ streamNextOffset: '0_3', streamCursor: 'c3', upToDate: true }))
    await until(2)

    expect(batches[1]).toEqual({
      items: [1, 2, 3],
      offset: '0_3',
      cursor: 'c3',
      upToDate: true,
      streamClosed: false,
    })
    expect(script.requests[1]?.query).toEqual({ offset: '0_0', live: 'sse', cursor: 'c0' })
    expect(response).toMatchObject({ offset: '0_3', cursor: 'c3', status: 200 })
    response.cancel()
    await sse.cancelled
  })

  it('payloads may be arrays, bare values or empty (C-048)', async () => {
    const body = [
      dataEvent('[[1],2]'),
      dataEvent('{"a":1}'),
      dataEvent('[]'),
      dataEvent(''),
      dataEvent('"x"'),
    ]
    const closed = controlEvent({ streamNextOffset: '0_9', streamClosed: true })
    const { response, batches, subscribe } = await open([caughtUp(), events(...body, closed)])
    subscribe()
    await response.closed

    expect(batches[1]?.items).toEqual([[1], 2, { a: 1 }, 'x'])
  })

  it('characters that the network cuts come through (C-041)', async () => {
    const sse = eventStream()
    const { response, batches, subscribe } = await open([caughtUp(), sse.response])
    const text = 'grün 🦆\u0085\u2028\u2029 '
    const closed = controlEvent({ streamNextOffset: '0_1', streamClosed: true })
    subscribe()
    for (const byte of new TextEncoder().encode(dataEvent(JSON.stringify([text])) + closed)) {
      sse.send(Uint8Array.of(byte))
    }
    sse.end()
    await response.closed

    expect(batches[1]?.items).toEqual([text])
  })

  it('jsonStream() is not stopped by empty batches (C-048)', async () => {
    const body = [dataEvent('[]'), controlEvent({ streamNextOffset: '0_1' }), dataEvent('[7]')]
    const closed = controlEvent({ streamNextOffset: '0_9', streamClosed: true })
    const { response } = await open([caughtUp(), events(...body, closed)])
    const items: unknown[] = []
    for await (const item of response.jsonStream()) items.push(item)

    expect(items).toEqual([0, 7])
    await response.closed
  })

  it('a control event without data: up to date is an empty batch, anything else none (C-044)', async () => {
    const sse = eventStream()
    const { response, batches, until, subscribe } = await open([caughtUp(), sse.response])
    subscribe()
    sse.send(controlEvent({ streamNextOffset: '0_1', streamCursor: 'c1' }))
    sse.send(controlEvent({ streamNextOffset: '0_1', upToDate: true }))
    await until(2)
    response.cancel()

    expect(batches.slice(1)).toEqual([
      { items: [], offset: '0_1', cursor: 'c1', upToDate: true, streamClosed: false },
    ])
  })

  it.each([
    ['without data', '', []],
    ['with data', dataEvent('[1]'), [1]],
  ])(
    'a closed control event %s is the last batch, with both flags (C-044, C-046)',
    async (_, data, items) => {
      const closed = controlEvent({ streamNextOffset: '0_1', streamClosed: true })
      const { script, response, batches, subscribe } = await open([caughtUp(), events(data, closed)])
      subscribe()
      await response.closed

      expect(batches.at(-1)).toMatchObject({ items, offset: '0_1', upToDate: true, streamClosed: true })
      expect(response).toMatchObject({ upToDate: true, streamClosed: true })
      expect(script.requests).toHaveLength(2)
    },
  )

  it.each(['', '{', 'null', '[]', '"x"'])('a control event of %j is a PARSE_ERROR (C-042)', async (data) => {
    const { script, response, subscribe } = await open([
      caughtUp(),
      events(`event: control\ndata: ${data}\n\n`),
    ])
    subscribe()

    await expect(response.closed).rejects.toMatchObject({ code: 'PARSE_ERROR' })
    expect(script.requests).toHaveLength(2)
  })

  it('the preview of a malformed control event is bounded, unknown events are ignored (C-042)', async () => {
    const body = `event: other\ndata: {\n\nevent: control\ndata: ${'x'.repeat(5000)}\n\n`
    const { response, subscribe } = await open([caughtUp(), events(body)])
    subscribe()
    const error = await response.closed.catch((reason) => reason)

    expect(error.message).toContain('xxx')
    expect(error.message.length).toBeLessThan(250)
  })

  it('a first answer that is SSE already is read as such', async () => {
    const first = events(dataEvent('[1]'), controlEvent({ streamNextOffset: '0_1', upToDate: true }))
    const { script, response } = await open([first], { live: false, json: true })

    expect(await response.json()).toEqual([1])
    expect(script.requests).toHaveLength(1)
  })
})

describe('base64', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i)
  const encoded = Buffer.from(all).toString('base64')
  const binary = { type: 'application/octet-stream', offset: '0_0' }
  const flagged = { 'Stream-SSE-Data-Encoding': 'base64' }

  it('each event is a unit of its own, lines inside it are joined, every byte comes through (C-047)', async () => {
    const sse = eventStream(flagged)
    const { response } = await open([page('', binary), sse.response])
    const lines = `event: data\ndata: ${encoded.slice(0, 77)}\ndata: ${encoded.slice(77)}\n\n`
    sse.send(
      lines + dataEvent('YQ==') + dataEvent('') + controlEvent({ streamNextOffset: '1', streamClosed: true }),
    )
    const chunks: Uint8Array[] = []
    for await (const chunk of response.bodyStream()) chunks.push(chunk)

    expect(chunks).toEqual([Uint8Array.of(...all, 0x61)])
  })

  it('the flag is that of each answer (C-047)', async () => {
    const control = (offset: string) => controlEvent({ streamNextOffset: offset })
    const plain = events(dataEvent('YQ=='), control('2'), controlEvent({ streamClosed: true }))
    const coded = eventStream(flagged)
    const { response } = await open([page('', { ...binary, type: 'text/plain' }), coded.response, plain])
    coded.send(dataEvent('YQ==') + control('1'))
    coded.end()

    const chunks: string[] = []
    for await (const chunk of response.textStream()) chunks.push(chunk)
    expect(chunks).toEqual(['a', 'YQ=='])
  })

  it.each(['YQ=', '!!!!'])('%s is a PARSE_ERROR (C-047)', async (data) => {
    const sse = eventStream(flagged)
    const { response } = await open([page('', binary), sse.response])
    sse.send(dataEvent(data) + controlEvent({ streamNextOffset: '1' }))

    await expect(response.bodyStream().getReader().read()).rejects.toMatchObject({ code: 'PARSE_ERROR' })
    await expect(response.closed).rejects.toMatchObject({ code: 'PARSE_ERROR' })
  })
})

describe('connections', () => {
  const one = dataEvent('[1]') + controlEvent({ streamNextOffset: '0_1', streamCursor: 'c1' })
  const two = dataEvent('[2]') + controlEvent({ streamNextOffset: '0_2', streamClosed: true })

  it.each(['end', 'fail'] as const)(
    'one that %ss goes on where it was, with fresh headers (C-049, C-051)',
    async (how) => {
      const first = eventStream()
      let turn = 0
      const headers = { turn: () => String(++turn) }
      const { script, response, batches, until, subscribe } = await open(
        [caughtUp(), first.response, events(two)],
        { headers },
      )
      subscribe()
      // The second event is cut off: the next connection brings it again.
      first.send(one + dataEvent('[2]'))
      await until(2)
      first[how]()
      await response.closed

      expect(batches.map(({ items }) => items)).toEqual([[0], [1], [2]])
      expect(script.requests[2]?.query).toEqual({ offset: '0_1', live: 'sse', cursor: 'c1' })
      expect(script.requests.map((request) => request.headers.turn)).toEqual(['1', '2', '3'])
    },
  )

  it('data that no control event follows is not delivered twice, also at a clean end (C-045)', async () => {
    const { response, batches, subscribe } = await open([
      caughtUp(),
      events(dataEvent('[1]')),
      events(one, two),
    ])
    subscribe()
    await response.closed

    expect(batches.map(({ items }) => items)).toEqual([[0], [1], [2]])
  })

  it('a control event that the end cuts off is not an error', async () => {
    const { response, batches, subscribe } = await open([
      caughtUp(),
      events('event: control\ndata: {"streamNext'),
      events(two),
    ])
    subscribe()
    await response.closed

    expect(batches.map(({ items }) => items)).toEqual([[0], [2]])
  })

  it('three short ones: one warning, then long-poll delivers what is new (C-050)', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { script, response, batches, until, subscribe } = await open([
      caughtUp(),
      events(),
      events(),
      events(),
      page('[1]', { offset: '0_1' }),
      timeout(),
      page('[2]', { offset: '0_2', closed: 'true' }),
    ])
    subscribe()
    await until(2)
    await response.closed

    expect(script.requests.map(({ query }) => query.live)).toEqual([
      undefined,
      ...['sse', 'sse', 'sse'],
      ...['long-poll', 'long-poll', 'long-poll'],
    ])
    expect(batches.map(({ items }) => items)).toEqual([[0], [1], [], [2]])
    expect(warn).toHaveBeenCalledOnce()
    expect(warn.mock.calls[0]?.[0]).toMatch(/long-poll.*proxy/)
  })

  it('one that the caller ends is no short one: nothing is warned of (C-050)', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const sse = eventStream()
    const { script, response, until, subscribe } = await open([caughtUp(), events(), events(), sse.response])
    subscribe()
    await script.untilRequests(4)
    sse.send(dataEvent('[1]') + controlEvent({ streamNextOffset: '0_1', upToDate: true }))
    await until(2)
    response.cancel()
    await sse.cancelled
    await new Promise((resolve) => setImmediate(resolve))

    expect(script.requests).toHaveLength(4)
    expect(warn).not.toHaveBeenCalled()
  })

  it('the options decide when it is enough and whether to warn (C-053, C-050)', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { script, subscribe, response } = await open([caughtUp(), events(), hang], {
      sseResilience: { maxShortConnections: 1, logWarnings: false },
    })
    subscribe()
    await script.untilRequests(3)
    response.cancel()

    expect(script.requests[2]?.query.live).toBe('long-poll')
    expect(warn).not.toHaveBeenCalled()
  })

  it('the options decide the same when a handle opens the session (C-053)', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const script = scriptedFetch(caughtUp(), events(), hang)
    const response = await new DurableStream({ url, fetch: script.fetch }).stream({
      live: 'sse',
      sseResilience: { maxShortConnections: 1, logWarnings: false },
    })
    response.subscribeJson(() => undefined)
    await script.untilRequests(3)
    response.cancel()

    expect(script.requests.map(({ query }) => query.live)).toEqual([undefined, 'sse', 'long-poll'])
    expect(warn).not.toHaveBeenCalled()
  })

  it('one that lasted resets the count (C-050)', async () => {
    const answers = [events(), events(), events(), events(), events(), events()]
    const { script, subscribe, response } = await open([caughtUp(), ...answers], {
      sseResilience: { ...sseResilience, minConnectionDuration: 0 },
    })
    subscribe()
    await script.untilRequests(8)
    response.cancel()

    expect(script.requests.slice(1).every(({ query }) => query.live === 'sse')).toBe(true)
  })

  it('cancelling ends the wait for the next one (C-052, C-069)', async () => {
    const { script, response, subscribe } = await open([caughtUp(), events()], {
      sseResilience: { backoffBaseDelay: 3_600_000, backoffMaxDelay: 3_600_000 },
    })
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    subscribe()
    await script.untilRequests(2)
    await new Promise((resolve) => setTimeout(resolve, 5))
    response.cancel()
    await response.closed

    expect(script.requests).toHaveLength(2)
  })

  it('an answer that is no event stream is taken as a page, and long-poll follows', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { script, batches, until, subscribe, response } = await open([
      caughtUp(),
      page('[1]', { offset: '0_1' }),
      page('[2]', { offset: '0_2' }),
    ])
    subscribe()
    await until(3)
    response.cancel()

    expect(batches.map(({ items }) => items)).toEqual([[0], [1], [2]])
    expect(script.requests.map(({ query }) => query.live)).toContain('long-poll')
    expect(warn).toHaveBeenCalledOnce()
  })
})
