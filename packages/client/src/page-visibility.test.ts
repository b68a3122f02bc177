import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Answer,
  controlEvent,
  dataEvent,
  eventStream,
  eventually,
  hang,
  PATIENCE_MS,
  page,
  scriptedFetch,
} from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'

vi.setConfig({ testTimeout: PATIENCE_MS })

const url = 'https://example.org/v1/stream/orders'

class FakeDocument extends EventTarget {
  hidden = false

  show(hidden: boolean): void {
    this.hidden = hidden
    this.dispatchEvent(new Event('visibilitychange'))
  }
}

let page1: FakeDocument

beforeEach(() => {
  page1 = new FakeDocument()
  vi.stubGlobal('document', page1)
})

afterEach(() => {
  vi.unstubAllGlobals()
})

async function open(answers: readonly Answer[], live: 'long-poll' | 'sse' | false = 'long-poll') {
  const script = scriptedFetch(...answers)
  const response = await stream({
    url,
    fetch: script.fetch,
    live,
    backoffOptions: { initialDelay: 1, maxDelay: 1 },
    sseResilience: { maxShortConnections: 2, backoffBaseDelay: 1 },
  })
  return { script, response }
}

function collect(response: Awaited<ReturnType<typeof open>>['response']): unknown[] {
  const items: unknown[] = []
  response.subscribeJson((batch) => void items.push(...batch.items))
  return items
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5))
const first = () => page('[1]', { offset: '0_1' })

describe('a hidden page', () => {
  it('ends the request quietly; shown, one request without live, then live again (C-090)', async () => {
    const { script, response } = await open([first(), hang, page('[2]', { offset: '0_2' })])
    const items = collect(response)
    await script.untilRequests(2)
    page1.show(true)
    await settled()
    expect(script.requests).toHaveLength(2)
    expect(script.requests[1]?.signal?.aborted).toBe(true)
    page1.show(false)
    await script.untilRequests(4)
    response.cancel()
    await response.closed

    expect(items).toEqual([1, 2])
    expect(script.requests.slice(1).map(({ query }) => [query.offset, query.live])).toEqual([
      ['0_1', 'long-poll'],
      ['0_1', undefined],
      ['0_2', 'long-poll'],
    ])
  })

  it('may be shown before the abort has settled, and several times (C-091)', async () => {
    const slow: Answer = ({ signal }) =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => setTimeout(() => reject(signal.reason), 3))
      })
    const turns = [2, 3, 4, 5].flatMap((i) => [slow, page(`[${i}]`, { offset: `0_${i}` })])
    const { script, response } = await open([first(), ...turns])
    const items = collect(response)
    for (let turn = 0; turn < 4; turn++) {
      await script.untilRequests(2 + 2 * turn)
      page1.show(true)
      page1.show(true)
      page1.show(false)
    }
    await script.untilRequests(10)
    response.cancel()
    await response.closed

    expect(items).toEqual([1, 2, 3, 4, 5])
  })

  it('that is hidden from the start gets the first answer and waits (C-091)', async () => {
    page1.hidden = true
    const { script, response } = await open([first(), page('[2]', { offset: '0_2' })])
    const items = collect(response)
    await settled()
    expect([items, script.requests.length]).toEqual([[1], 1])
    page1.show(false)
    await eventually(() => expect(items).toEqual([1, 2]))
    response.cancel()
  })

  it('ends an SSE connection, shown, another is opened, and none counts as short (C-090, C-052)', async () => {
    const one = eventStream()
    const two = eventStream()
    const three = eventStream()
    const { script, response } = await open([first(), one.response, two.response, three.response], 'sse')
    const items = collect(response)
    for (const [i, connection] of [one, two, three].entries()) {
      await script.untilRequests(i + 2)
      connection.send(dataEvent(`[${i}]`) + controlEvent({ streamNextOffset: `1_${i}` }))
      await eventually(() => expect(items).toHaveLength(i + 2))
      if (connection === three) break
      page1.show(true)
      await connection.cancelled
      page1.show(false)
    }
    response.cancel()

    expect(items).toEqual([1, 0, 1, 2])
    expect(script.requests.slice(1).map(({ query }) => query)).toEqual([
      { offset: '0_1', live: 'sse' },
      { offset: '1_0', live: 'sse' },
      { offset: '1_1', live: 'sse' },
    ])
  })

  it('does not hold up a read that ends (C-090)', async () => {
    page1.hidden = true
    const pages = [page('[1]', { offset: '0_1', upToDate: false }), page('[2]', { offset: '0_2' })]
    const { response } = await open(pages)

    expect(await response.json()).toEqual([1, 2])
  })

  it('can be cancelled, and is not resumed afterwards (C-069, C-091)', async () => {
    const { script, response } = await open([first(), hang])
    collect(response)
    await script.untilRequests(2)
    page1.show(true)
    response.cancel()
    await response.closed
    page1.show(false)
    await settled()

    expect(script.requests).toHaveLength(2)
  })
})

describe('the listener (C-092)', () => {
  it.each([
    ['cancel', [first(), hang]],
    ['the end', [first(), page('[2]', { offset: '0_2', closed: 'true' })]],
    ['an error', [first(), new Response('', { status: 404 })]],
  ] as const)('is added once and removed at %s', async (how, answers) => {
    const added = vi.spyOn(page1, 'addEventListener')
    const removed = vi.spyOn(page1, 'removeEventListener')
    const { script, response } = await open(answers)
    const { closed } = response
    collect(response)
    await script.untilRequests(2)
    if (how === 'cancel') response.cancel()
    await closed.catch(() => undefined)

    expect(added).toHaveBeenCalledOnce()
    expect(removed).toHaveBeenCalledOnce()
  })

  it.each([
    ['no document', undefined],
    ['one that can not be hidden', { addEventListener: () => undefined }],
    ['one without events', { hidden: true }],
  ])('is not needed outside browsers: %s', async (_, document) => {
    vi.stubGlobal('document', document)
    const { script, response } = await open([first(), hang])
    const items = collect(response)
    await script.untilRequests(2)
    response.cancel()

    expect(items).toEqual([1])
  })
})
