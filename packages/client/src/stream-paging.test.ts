import { describe, expect, it, vi } from 'vitest'
import type { StreamOptions } from './read-options.ts'
import { eventually, hang, PATIENCE_MS, page, scriptedFetch, timeout } from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'

vi.setConfig({ testTimeout: PATIENCE_MS })

const url = 'https://example.org/v1/stream/orders'
const backoffOptions = { initialDelay: 1, maxDelay: 1 }
const text = { type: 'text/plain' }

function threePages(): ReturnType<typeof scriptedFetch> {
  return scriptedFetch(
    page('[{"id":1},{"id":2}]', { offset: '0_2', cursor: 'c2', upToDate: false }),
    page('[{"id":3}]', { offset: '0_3', upToDate: false }),
    page('[{"id":4}]', { offset: '0_4' }),
  )
}

describe('catch-up', () => {
  it.each([false, true, 'long-poll', 'sse'] as const)(
    'json() pages to the end and asks nothing live when live is %s (C-020, C-012, C-024)',
    async (live) => {
      const { fetch, requests } = threePages()
      const response = await stream({ url, fetch, live })

      expect(await response.json()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }])
      expect(requests.map(({ query }) => query)).toEqual([
        { offset: '-1' },
        { offset: '0_2', cursor: 'c2' },
        { offset: '0_3', cursor: 'c2' },
      ])
      expect(response).toMatchObject({ offset: '0_4', upToDate: true, streamClosed: false })
      await response.closed
    },
  )

  it.each([false, true, 'long-poll', 'sse'] as const)(
    'text() and body() ask nothing live when live is %s (C-024)',
    async (live) => {
      for (const method of ['text', 'body'] as const) {
        const script = threePages()
        const response = await stream({ url, fetch: script.fetch, live })
        const read = await response[method]()
        await response.closed

        const whole = '[{"id":1},{"id":2}][{"id":3}][{"id":4}]'
        expect(read).toEqual(method === 'text' ? whole : new TextEncoder().encode(whole))
        expect(script.requests.map(({ query }) => query.live)).toEqual([undefined, undefined, undefined])
      }
    },
  )

  it('subscribers get every page under live: false (C-020)', async () => {
    const { fetch } = threePages()
    const response = await stream({ url, fetch, live: false })
    const offsets: string[] = []
    response.subscribeJson(({ offset, items }) => {
      offsets.push(`${offset} ${items.length}`)
    })
    await response.closed

    expect(offsets).toEqual(['0_2 2', '0_3 1', '0_4 1'])
  })

  it('stops where the stream is closed, though it does not say up to date (C-021)', async () => {
    const { fetch, requests } = scriptedFetch(page('[1]', { offset: '0_1', upToDate: false, closed: 'true' }))
    const response = await stream({ url, fetch })

    expect(await response.json()).toEqual([1])
    expect(requests).toHaveLength(1)
    expect(response).toMatchObject({ streamClosed: true, upToDate: true })
  })

  it.each([
    ['json', '[]', []],
    ['json', '', []],
    ['json', ' \n', []],
    ['text', '', ''],
    ['body', '', new Uint8Array(0)],
  ] as const)('an empty stream: %s() of %j (C-021, C-062)', async (method, body, expected) => {
    const { fetch } = scriptedFetch(page(body, { offset: '0_0' }))

    expect(await (await stream({ url, fetch, live: false }))[method]()).toEqual(expected)
  })

  it('without an offset header the offset stays (C-022)', async () => {
    const { fetch } = scriptedFetch(page('[1]'))
    const response = await stream({ url, fetch, live: false, offset: '0_7' })

    expect(await response.json()).toEqual([1])
    expect(response.offset).toBe('0_7')
  })

  it.each([
    ['more follows', { upToDate: false }],
    ['the session goes on live', { upToDate: true }],
  ])('data without an offset header can not be read on from: %s (C-022)', async (_, fields) => {
    const { fetch, requests } = scriptedFetch(page('[1]', fields))
    const response = await stream({ url, fetch })
    const batches: unknown[] = []
    response.subscribeJson((batch) => {
      batches.push(batch)
    })
    const error = await response.closed.catch((reason) => reason)

    expect(error).toMatchObject({ code: 'MISSING_HEADERS' })
    expect(error.message).toContain('Stream-Next-Offset')
    expect(batches).toEqual([])
    expect(requests).toHaveLength(1)
  })

  it('a server that never gets further is given up, after one try past all caches (C-023)', async () => {
    const stale = (): Response => page('[1]', { offset: '0_1', upToDate: false })
    const { fetch, requests } = scriptedFetch(stale(), stale, stale, stale, stale, stale, stale)
    const response = await stream({ url, fetch, live: false })

    await expect(response.json()).rejects.toMatchObject({ code: 'NO_PROGRESS' })
    expect(requests).toHaveLength(6)
    expect(requests.map(({ query }) => 'cache-buster' in query)).toEqual([
      false,
      false,
      true,
      false,
      false,
      false,
    ])
  })

  it('data that does not move the offset is not handed over twice (C-023)', async () => {
    const { fetch } = scriptedFetch(
      page('[1]', { offset: '0_1', upToDate: false }),
      page('[1]', { offset: '0_1', upToDate: false }),
      page('[2]', { offset: '0_2' }),
    )

    expect(await (await stream({ url, fetch, live: false })).json()).toEqual([1, 2])
  })

  it('a body that breaks off is fetched again, from the same offset', async () => {
    const broken = (): Response =>
      page(new ReadableStream({ start: (controller) => controller.error(new TypeError('terminated')) }), {
        offset: '0_9',
      })
    const { fetch, requests } = scriptedFetch(
      broken(),
      broken,
      page('[1]', { offset: '0_1', upToDate: false }),
      broken,
      page('[2]', { offset: '0_2' }),
    )

    expect(await (await stream({ url, fetch, live: false, backoffOptions })).json()).toEqual([1, 2])
    expect(requests.map(({ query }) => query.offset)).toEqual(['-1', '-1', '-1', '0_1', '0_1'])
  })

  it('resumes from a stored offset (C-025)', async () => {
    const { fetch, requests } = scriptedFetch(page('[3]', { offset: '0_3' }))
    const response = await stream({ url, fetch, offset: '0_2', live: false })

    expect(await response.json()).toEqual([3])
    expect(requests[0]?.query.offset).toBe('0_2')
  })

  it('now becomes the real offset, also when the first body has to be fetched again (C-026)', async () => {
    const broken = new ReadableStream({
      start: (controller) => controller.error(new TypeError('terminated')),
    })
    const { fetch, requests, untilRequests } = scriptedFetch(
      page(broken, { offset: '0_5' }),
      page('[]', { offset: '0_5' }),
    )
    const response = await stream({ url, fetch, offset: 'now' })
    expect(response).toMatchObject({ startOffset: 'now', offset: '0_5' })
    response.subscribeJson(() => undefined)
    await untilRequests(3)
    response.cancel()

    expect(requests.map(({ query }) => query)).toEqual([
      { offset: 'now' },
      { offset: '0_5' },
      { offset: '0_5', live: 'long-poll' },
    ])
    expect(response.startOffset).toBe('now')
  })
})

describe('long-poll', () => {
  async function batchesOf(
    script: ReturnType<typeof scriptedFetch>,
    count: number,
    options: Partial<StreamOptions> = {},
  ) {
    const response = await stream({ url, fetch: script.fetch, ...options })
    const batches: unknown[] = []
    response.subscribeJson((batch) => {
      batches.push(batch)
    })
    await eventually(() => expect(batches.length).toBeGreaterThanOrEqual(count))
    return { response, batches }
  }

  it.each([true, 'long-poll'] as const)(
    'follows catch-up when live is %s, never as SSE (C-013)',
    async (live) => {
      const script = scriptedFetch(page('[1]', { offset: '0_1' }), page('[2]', { offset: '0_2' }))
      const { response } = await batchesOf(script, 2, { live })
      await script.untilRequests(3)
      response.cancel()

      expect(script.requests.map(({ query }) => query.live)).toEqual([undefined, 'long-poll', 'long-poll'])
    },
  )

  it('a 204 is an empty batch, and its cursor is echoed (C-030, C-031)', async () => {
    const script = scriptedFetch(page('[1]', { offset: '0_1' }), timeout({ cursor: 'c9', upToDate: false }))
    const { response, batches } = await batchesOf(script, 2)
    await script.untilRequests(3)

    expect(batches[1]).toEqual({
      items: [],
      offset: '0_1',
      upToDate: true,
      streamClosed: false,
      cursor: 'c9',
    })
    expect(script.requests[2]?.query).toEqual({ offset: '0_1', live: 'long-poll', cursor: 'c9' })
    expect(response).toMatchObject({ status: 204, ok: true, upToDate: true })
    expect(response.headers.get('stream-cursor')).toBe('c9')
    response.cancel()
  })

  it('status, statusText, headers and ok are those of the latest answer (C-031)', async () => {
    const answer = (status: number, statusText: string, offset: string): Response =>
      new Response(status === 204 ? null : '[1]', {
        status,
        statusText,
        headers: {
          'content-type': 'application/json',
          'stream-next-offset': offset,
          'stream-up-to-date': 'true',
        },
      })
    const script = scriptedFetch(answer(200, 'First', '0_1'), answer(204, 'Nothing yet', '0_1'))
    const response = await stream({ url, fetch: script.fetch })
    const seen = () => [response.status, response.statusText, response.ok, response.headers]
    expect(seen()).toEqual([200, 'First', true, expect.any(Headers)])
    let batches = 0
    response.subscribeJson(() => {
      batches++
    })
    await eventually(() => expect(batches).toBe(2))
    response.cancel()

    expect(seen().slice(0, 3)).toEqual([204, 'Nothing yet', true])
  })

  it.each(['true', 'TRUE', ' True '])('Stream-Closed: %j ends after delivery (C-032)', async (closed) => {
    const script = scriptedFetch(page('[1]', { offset: '0_1' }), page('[2]', { offset: '0_2', closed }))
    const { response, batches } = await batchesOf(script, 2)
    await response.closed

    expect(batches[1]).toEqual({ items: [2], offset: '0_2', upToDate: true, streamClosed: true })
    expect(response.streamClosed).toBe(true)
    expect(script.requests).toHaveLength(2)
  })

  it.each(['false', '1', ''])('Stream-Closed: %j closes nothing (C-032)', async (closed) => {
    const script = scriptedFetch(page('[1]', { offset: '0_1', closed }))
    const { response, batches } = await batchesOf(script, 1)
    await script.untilRequests(2)
    response.cancel()

    expect(batches).toEqual([{ items: [1], offset: '0_1', upToDate: true, streamClosed: false }])
  })

  it('upToDate follows each answer, and what is behind is caught up without live (C-033, C-034)', async () => {
    const script = scriptedFetch(
      page('[1]', { offset: '0_1' }),
      page('[2]', { offset: '0_2', upToDate: false }),
      page('[3]', { offset: '0_3' }),
    )
    const { response, batches } = await batchesOf(script, 3)
    await script.untilRequests(4)
    response.cancel()

    expect(batches).toMatchObject([{ upToDate: true }, { upToDate: false }, { upToDate: true }])
    expect(batches).toMatchObject([{ items: [1] }, { items: [2] }, { items: [3] }])
    expect(script.requests.map(({ query }) => query.live)).toEqual([
      undefined,
      'long-poll',
      undefined,
      'long-poll',
    ])
  })

  it('order is that of the stream over many polls (C-034)', async () => {
    const polls = Array.from({ length: 200 }, (_, i) => page(`[${i}]`, { offset: `0_${i}` }))
    const { fetch } = scriptedFetch(...polls, page('[]', { offset: '0_x', closed: 'true' }))
    const response = await stream<number>({ url, fetch })
    const items: number[] = []
    for await (const item of response.jsonStream()) items.push(item)

    expect(items).toEqual(polls.map((_, i) => i))
  })

  it('answers at once without news are slowed down, not given up (C-023)', async () => {
    const eager = Array.from({ length: 6 }, () => timeout())
    const script = scriptedFetch(page('[1]', { offset: '0_1' }), ...eager, page('[2]', { offset: '0_2' }))
    const { response, batches } = await batchesOf(script, 8)
    response.cancel()

    expect(batches[7]).toMatchObject({ items: [2] })
  })
})

describe('text', () => {
  const bytes = new TextEncoder().encode('grün 🦆!')
  // Inside ü, and inside the duck.
  const cut = (): Response[] => [
    page(bytes.slice(0, 3), { ...text, offset: '0_3', upToDate: false }),
    page(bytes.slice(3, 8), { ...text, offset: '0_8', upToDate: false }),
    page(bytes.slice(8), { ...text, offset: '0_11' }),
  ]

  it('characters cut by pages survive in text(), textStream() and subscribeText() (C-072)', async () => {
    const open = () => stream({ url, live: false, fetch: scriptedFetch(...cut()).fetch })
    const chunks: string[] = []
    for await (const chunk of (await open()).textStream()) chunks.push(chunk)
    const subscribed = await open()
    let received = ''
    subscribed.subscribeText((chunk) => {
      received += chunk.text
    })
    await subscribed.closed

    expect(await (await open()).text()).toBe('grün 🦆!')
    expect(chunks.join('')).toBe('grün 🦆!')
    expect(chunks).toEqual(['gr', 'ün ', '🦆!'])
    expect(received).toBe('grün 🦆!')
  })

  it('an incomplete character at the very end is replaced, a byte order mark is kept', async () => {
    const { fetch } = scriptedFetch(page(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xc3]), text))

    expect(await (await stream({ url, fetch, live: false })).text()).toBe('\ufeffa\ufffd')
  })

  it('bytes are joined as they are', async () => {
    const open = () => stream({ url, live: false, fetch: scriptedFetch(...cut()).fetch })
    const chunks: Uint8Array[] = []
    for await (const chunk of (await open()).bodyStream()) chunks.push(chunk)

    expect(await (await open()).body()).toEqual(bytes)
    expect(chunks).toHaveLength(3)
  })
})

it('an abort while the body is read ends the request (C-070)', async () => {
  const script = scriptedFetch(page('[1]', { offset: '0_1', upToDate: false }), hang)
  const controller = new AbortController()
  const response = await stream({ url, fetch: script.fetch, live: false, signal: controller.signal })
  const result = response.json()
  await script.untilRequests(2)
  const reason = new Error('enough')
  controller.abort(reason)

  await expect(result).rejects.toBe(reason)
  expect(script.requests[1]?.signal?.aborted).toBe(true)
  await response.closed
})
