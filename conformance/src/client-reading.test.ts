/** The reading half of the client against a real server, on this runtime's own `fetch`. */
import { DurableStream, DurableStreamError, FetchError, stream } from '@millrace/client'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { SERVERS, type ServerUnderTest } from './both-servers.fixture.ts'
import { startCuttingProxy } from './cutting-proxy.ts'

const json = { 'content-type': 'application/json' }
const LIVE = ['long-poll', 'sse'] as const
const PATIENT = { timeout: 30_000 }

vi.setConfig({ testTimeout: 30_000 })

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

describe.each(SERVERS)('with $name', ({ start, pages, endsEventStreams, keepsFirstSpace }) => {
  let server: ServerUnderTest
  let count = 0

  beforeAll(async () => {
    server = await start()
  })

  afterAll(() => server.close())

  afterEach(() => {
    vi.restoreAllMocks()
  })

  async function create(headers: Readonly<Record<string, string>> = json, body = ''): Promise<string> {
    const url = `${server.url}/v1/stream/client/${++count}`
    await request(url, 'PUT', headers, body)
    return url
  }

  function append(url: string, body: string | Uint8Array<ArrayBuffer>, headers = json): Promise<void> {
    return request(url, 'POST', headers, body)
  }

  describe('catch-up', () => {
    it('takes all pages (C-020)', async () => {
      const url = await create()
      await append(url, JSON.stringify(numbers(0, 200).map(event)))
      const offsets: string[] = []
      const response = await stream({ url, live: false })
      response.subscribeJson(({ offset }) => void offsets.push(offset))
      await response.closed

      expect(offsets.length > 5).toBe(pages)
      expect(await (await stream({ url, live: false })).json()).toEqual(numbers(0, 200).map(event))
      for (const offset of offsets) {
        const rest = await (await stream<{ n: number }>({ url, live: false, offset })).json()
        expect(rest.map(({ n }) => n)).toEqual(numbers(200 - rest.length, 200))
      }
    })

    it('resumes exactly where it was, in items and in bytes (C-025)', async () => {
      const octets = { 'content-type': 'application/octet-stream' }
      const [items, bytes] = [await create(), await create(octets)]
      const chunk = (n: number) => Uint8Array.from({ length: 700 }, (_, i) => (n * 7 + i) % 256)
      const places: { readonly item: string; readonly byte: string }[] = []
      const end = async (url: string) => {
        const head = await DurableStream.head({ url })
        return (head.exists && head.offset) || 'none'
      }
      for (const n of numbers(0, 10)) {
        places.push({ item: await end(items), byte: await end(bytes) })
        await append(items, JSON.stringify([event(2 * n), event(2 * n + 1)]))
        await append(bytes, chunk(n), octets)
      }

      for (const [n, { item, byte }] of places.entries()) {
        const rest = await stream({ url: items, live: false, offset: item })
        expect(await rest.json()).toEqual(numbers(2 * n, 20).map(event))
        const tail = await stream({ url: bytes, live: false, offset: byte })
        const expected = numbers(n, 10).map((at) => chunk(at))
        expect(Buffer.from(await tail.body()).equals(Buffer.concat(expected))).toBe(true)
      }
      expect(await (await stream({ url: items, live: false, offset: await end(items) })).json()).toEqual([])
    })

    it('from now on nothing is there, and the real offset is known (C-026)', async () => {
      const url = await create(json, '[1]')
      const response = await stream({ url, live: false, offset: 'now' })
      expect(await response.json()).toEqual([])
      expect(response.startOffset).toBe('now')
      await append(url, '2')
      const next = await stream({ url, live: false, offset: response.offset })
      expect(await next.json()).toEqual([2])
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

    it('text arrives as it is (C-041)', PATIENT, async () => {
      const type = { 'content-type': 'text/plain' }
      const url = await create(type)
      const response = await stream({ url, live })
      let text = ''
      response.subscribeText((chunk) => {
        text += chunk.text
      })
      const lines = ['  two spaces', ' one\n\n', 'data: x\u0085\u2028\u2029🦆', 'end']
      for (const line of lines) await append(url, line, type)
      const sent = live === 'sse' && !keepsFirstSpace ? lines.map((line) => line.replace(/^ /, '')) : lines
      await vi.waitFor(() => expect(text.endsWith('end')).toBe(true), { timeout: 15_000 })
      response.cancel()

      expect(text).toBe(sent.join(''))
    })

    it('leaving a loop lets the server go (C-071)', PATIENT, async () => {
      const url = await create(json, '[1]')
      const proxy = await startCuttingProxy(server.port, () => undefined)
      const response = await stream({ url: url.replace(server.url, proxy.url), live })
      for await (const item of response.jsonStream()) {
        expect(item).toBe(1)
        expect(proxy.connections).toBeGreaterThan(0)
        break
      }
      await response.closed
      // Idle connections that the published server keeps end by themselves after a few seconds.
      const busy = () => server.readers() ?? proxy.connections
      await vi.waitFor(() => expect(busy()).toBe(0), { timeout: 15_000 })
      await proxy.close()
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
      const log = vi.spyOn(console, 'error').mockImplementation(() => undefined)
      await fetch(url, { method: 'DELETE' })

      if (live === 'long-poll' || endsEventStreams) {
        await expect(closed).rejects.toMatchObject({ status: 404, code: 'NOT_FOUND' })
        return
      }
      // Its last act on this connection: it can neither answer nor end it.
      await vi.waitFor(() => expect(log.mock.calls.join()).toContain('Request error'), { timeout: 15_000 })
      expect(await Promise.race([closed, 'still open'])).toBe('still open')
      response.cancel()
      await closed
    })
  })
})
