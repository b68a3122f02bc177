/** The reading half of the client against a real server, on this runtime's own `fetch`. */
import { DurableStreamError, FetchError, stream } from '@millrace/client'
import { memoryStorage } from '@millrace/engine'
import { createServer, type MillraceServer } from '@millrace/server'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startCuttingProxy } from './cutting-proxy.ts'

const json = { 'content-type': 'application/json' }
const LIVE = ['long-poll', 'sse'] as const
const PATIENT = { timeout: 30_000 }

vi.setConfig({ testTimeout: 30_000 })

let server: MillraceServer
let count = 0

beforeAll(async () => {
  // Small pages, so that catching up takes several.
  server = await createServer({
    storage: memoryStorage(),
    port: 0,
    longPollTimeoutMs: 300,
    shutdownGraceMs: 500,
    limits: { chunkBytes: 2000 },
  })
})

afterAll(() => server.close())

async function create(headers: Readonly<Record<string, string>> = json, body = ''): Promise<string> {
  const url = `${server.url}/v1/stream/client/${++count}`
  await request(url, 'PUT', headers, body)
  return url
}

function append(url: string, body: string | Uint8Array<ArrayBuffer>, headers = json): Promise<void> {
  return request(url, 'POST', headers, body)
}

async function request(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array<ArrayBuffer>,
): Promise<void> {
  const response = await fetch(url, { method, headers, body })
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`)
}

const event = (n: number) => ({ n, text: 'grün 🦆'.repeat(5) })
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

describe('catch-up', () => {
  it('takes all pages, and resumes exactly where it was (C-020, C-025)', async () => {
    const url = await create()
    await append(url, JSON.stringify(numbers(0, 200).map(event)))
    const pages: string[] = []
    const response = await stream({ url, live: false })
    response.subscribeJson(({ offset }) => void pages.push(offset))
    await response.closed
    await append(url, JSON.stringify(numbers(200, 210).map(event)))

    expect(pages.length).toBeGreaterThan(5)
    expect(await (await stream({ url, live: false })).json()).toEqual(numbers(0, 210).map(event))
    for (const offset of [pages[1], pages.at(-1)]) {
      const rest = await (await stream<{ n: number }>({ url, live: false, offset })).json()
      expect(rest.map(({ n }) => n)).toEqual(numbers(210 - rest.length, 210))
    }
    expect(await (await stream({ url, live: false, offset: pages.at(-1) })).json()).toHaveLength(10)
    const none = await stream({ url, live: false, offset: 'now' })
    expect(await none.json()).toEqual([])
    expect(none.startOffset).toBe('now')
    expect(none.offset).not.toBe('now')
  })

  it('text and bytes come back as they were (C-072)', async () => {
    const body = 'grün 🦆\r\n'.repeat(2000)
    const text = await create({ 'content-type': 'text/plain' }, body)
    const bytes = await create({ 'content-type': 'application/octet-stream' }, body)

    expect(await (await stream({ url: text, live: false })).text()).toBe(body)
    expect(await (await stream({ url: bytes, live: false })).body()).toEqual(new TextEncoder().encode(body))
    expect(await (await stream({ url: bytes, live: false })).text()).toBe(body)
  })

  it('an empty stream and a missing one (C-021, C-018)', async () => {
    const url = await create()
    const error = await stream({ url: `${url}/missing` }).catch((reason) => reason)

    expect(await (await stream({ url, live: false })).json()).toEqual([])
    expect(error).toBeInstanceOf(FetchError)
    expect(error).toBeInstanceOf(DurableStreamError)
    expect(error).toMatchObject({ status: 404, code: 'NOT_FOUND' })
    expect(error.message).toContain('/missing')
  })
})

describe.each(LIVE)('live by %s', (live) => {
  it(
    'everything arrives once and in order, up to the end of the stream (C-034, C-049)',
    PATIENT,
    async () => {
      const url = await create()
      await append(url, JSON.stringify(numbers(0, 50).map(event)))
      const response = await stream<{ n: number }>({ url, live })
      const seen: number[] = []
      const offsets: string[] = []
      response.subscribeJson(({ items, offset }) => {
        for (const { n } of items) seen.push(n)
        offsets.push(offset)
      })
      for (let n = 50; n < 80; n++) await append(url, JSON.stringify(event(n)))
      await request(url, 'POST', { ...json, 'Stream-Closed': 'true' }, JSON.stringify(event(80)))
      await response.closed

      expect(seen).toEqual(numbers(0, 81))
      expect(response).toMatchObject({ streamClosed: true, upToDate: true, offset: offsets.at(-1) })
      expect([...offsets].sort()).toEqual(offsets)
    },
  )

  it('an idle session goes on over many time-outs (C-030)', PATIENT, async () => {
    const url = await create()
    const response = await stream({ url, live })
    let batches = 0
    const items: unknown[] = []
    response.subscribeJson((batch) => {
      batches++
      items.push(...batch.items)
    })
    await vi.waitFor(() => expect(batches).toBeGreaterThan(live === 'sse' ? 1 : 3), { timeout: 15_000 })
    await append(url, '7')
    await vi.waitFor(() => expect(items).toEqual([7]), { timeout: 15_000 })
    response.cancel()
    await response.closed
  })

  it('bytes of every value arrive as they are (C-047)', PATIENT, async () => {
    const type = { 'content-type': 'application/octet-stream' }
    const url = await create(type)
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    const response = await stream({ url, live })
    let received = 0
    const chunks: Uint8Array[] = []
    response.subscribeBytes(({ data }) => {
      received += data.length
      chunks.push(data)
    })
    for (let i = 0; i < 3; i++) await append(url, all.slice(0, 256 - i), type)
    await vi.waitFor(() => expect(received).toBe(256 + 255 + 254), { timeout: 15_000 })
    response.cancel()

    expect(new Uint8Array(Buffer.concat(chunks))).toEqual(
      Uint8Array.of(...all, ...all.slice(0, 255), ...all.slice(0, 254)),
    )
  })

  it('leaving a loop lets the server go (C-071)', PATIENT, async () => {
    const url = await create(json, '[1]')
    const response = await stream({ url, live })
    for await (const item of response.jsonStream()) {
      expect(item).toBe(1)
      break
    }
    await response.closed
    await vi.waitFor(() => expect(server.statistics()?.readers).toBe(0), { timeout: 15_000 })
  })

  it('connections that are reset lose nothing and repeat nothing (C-051)', PATIENT, async () => {
    const url = await create()
    let connections = 0
    // Shorter and longer than a head, an event, a page; every fifth lives.
    const proxy = await startCuttingProxy(server.port, () => {
      connections++
      return connections % 5 === 0 ? undefined : 150 + ((connections * 397) % 2600)
    })
    await append(url, JSON.stringify(numbers(0, 100).map(event)))
    const response = await stream<{ n: number }>({
      url: url.replace(server.url, proxy.url),
      live,
      backoffOptions: { initialDelay: 5, maxDelay: 20 },
      sseResilience: { backoffBaseDelay: 5, backoffMaxDelay: 20, maxShortConnections: 1000 },
    })
    const seen: number[] = []
    response.subscribeJson(({ items }) => {
      for (const { n } of items) seen.push(n)
    })
    for (let n = 100; n < 200; n++) await append(url, JSON.stringify(event(n)))
    await request(url, 'POST', { ...json, 'Stream-Closed': 'true' }, JSON.stringify(event(200)))
    await response.closed
    await proxy.close()

    expect(proxy.cuts).toBeGreaterThan(3)
    expect(seen).toEqual(numbers(0, 201))
  })

  it('a stream that is deleted ends the session with an error (C-085)', PATIENT, async () => {
    const url = await create(json, '[1]')
    const response = await stream({ url, live })
    let seen = 0
    const { closed } = response
    response.subscribeJson(({ items }) => {
      seen += items.length
    })
    await vi.waitFor(() => expect(seen).toBe(1), { timeout: 15_000 })
    await fetch(url, { method: 'DELETE' })

    await expect(closed).rejects.toMatchObject({ status: 404, code: 'NOT_FOUND' })
  })
})
