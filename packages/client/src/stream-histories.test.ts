/** Whatever happens on the way, every item is handed over once, in order, and each batch says where it ends. */
import * as fc from 'fast-check'
import { afterEach, expect, it, vi } from 'vitest'
import { controlEvent, dataEvent, eventStream, page } from './scripted-fetch.fixture.ts'
import { stream } from './stream.ts'

/** What a request meets. A cut is where the answer breaks off, in characters. */
type Fate =
  | { readonly kind: 'refused' | 'network' | 'stall' | 'timeout' | 'hide' }
  | {
      readonly kind: 'data'
      readonly items: number
      readonly cut: number | undefined
      readonly clean: boolean
    }

const ITEMS = 12
const fate: fc.Arbitrary<Fate> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('refused', 'network', 'stall', 'timeout', 'hide') }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('data' as const),
      items: fc.nat(3),
      cut: fc.option(fc.nat(150), { nil: undefined }),
      clean: fc.boolean(),
    }),
  },
)

/** A server with numbers in a stream, whose answers follow the fates and then are good ones up to a closed end. */
class FatedServer {
  readonly #fates: Fate[]
  readonly #document: FakeDocument

  constructor(fates: readonly Fate[], document: FakeDocument) {
    this.#fates = [...fates]
    this.#document = document
  }

  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const query = Object.fromEntries(new URL(String(input)).searchParams)
    const from = query.offset === '-1' ? 0 : Number(query.offset)
    const next = this.#fates.shift() ?? { kind: 'data', items: 4, cut: undefined, clean: true }
    const isStalled = next.kind === 'stall' && this.#fates[0]?.kind !== 'stall' && query.live === undefined
    if (next.kind === 'refused') return new Response('', { status: 503 })
    if (next.kind === 'network') throw new TypeError('fetch failed')
    if (next.kind === 'timeout' && query.live !== undefined) return page(null, { status: 204 })
    if (next.kind === 'hide' && query.live !== undefined)
      return this.#document.blink(init.signal ?? undefined)
    if (isStalled && query.offset !== '-1') return page('[99]', { offset: String(from), upToDate: false })
    const answer = next.kind === 'data' ? next : { items: 2, cut: undefined, clean: true }
    return query.live === 'sse' ? sseAnswer(from, answer) : pageAnswer(from, answer)
  }
}

function numbers(from: number, count: number): readonly number[] {
  return Array.from({ length: Math.min(count, ITEMS - from) }, (_, i) => from + i)
}

interface Given {
  readonly items: number
  readonly cut: number | undefined
  readonly clean: boolean
}

function pageAnswer(from: number, { items, cut }: Given): Response {
  const given = numbers(from, Math.max(items, 1))
  const end = from + given.length
  const fields = { offset: String(end), upToDate: end % 3 === 0 || end === ITEMS }
  const closed = end === ITEMS ? { closed: 'true' } : {}
  const text = JSON.stringify(given)
  if (cut === undefined || cut >= text.length) return page(text, { ...fields, ...closed })
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(text.slice(0, cut))),
    pull: (controller) => controller.error(new TypeError('terminated')),
  })
  return page(body, { ...fields, ...closed })
}

function sseAnswer(from: number, { items, cut, clean }: Given): Response {
  const connection = eventStream()
  let text = ''
  let at = from
  for (const n of numbers(from, items)) {
    at = n + 1
    const closed = at === ITEMS && { streamClosed: true }
    text += dataEvent(JSON.stringify([n])) + controlEvent({ streamNextOffset: String(at), ...closed })
  }
  connection.send(text.slice(0, cut))
  if (clean) connection.end()
  else setTimeout(connection.fail)
  return connection.response
}

class FakeDocument extends EventTarget {
  hidden = false

  /** Hides the page while a request is under way, and shows it again. */
  blink(signal: AbortSignal | undefined): Promise<Response> {
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason))
      this.#set(true)
      setTimeout(() => this.#set(false))
    })
  }

  #set(hidden: boolean): void {
    this.hidden = hidden
    this.dispatchEvent(new Event('visibilitychange'))
  }
}

afterEach(() => {
  vi.unstubAllGlobals()
})

async function readAll(live: 'long-poll' | 'sse', fates: readonly Fate[]) {
  const document = new FakeDocument()
  vi.stubGlobal('document', document)
  const { fetch } = new FatedServer(fates, document)
  const response = await stream<number>({
    url: 'https://example.org/s',
    fetch,
    live,
    backoffOptions: { initialDelay: 0, maxDelay: 0 },
    sseResilience: { backoffBaseDelay: 0, backoffMaxDelay: 0, logWarnings: false },
  })
  const batches: { readonly items: readonly number[]; readonly offset: string }[] = []
  response.subscribeJson((batch) => {
    batches.push(batch)
    expect(response.offset).toBe(batch.offset)
  })
  await response.closed
  return batches
}

it.each(['long-poll', 'sse'] as const)(
  'over %s, through lost answers, refusals and hidden pages (C-034, C-045, C-051, C-091)',
  { timeout: 60_000 },
  async (live) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fate, { maxLength: 25 }), async (fates) => {
        const batches = await readAll(live, fates)

        expect(batches.flatMap(({ items }) => items)).toEqual(numbers(0, ITEMS))
        for (const { items, offset } of batches)
          if (items.length > 0) expect(Number(offset)).toBe((items.at(-1) ?? 0) + 1)
        expect(batches.at(-1)).toMatchObject({ streamClosed: true, upToDate: true })
      }),
      { numRuns: 200 },
    )
  },
)
