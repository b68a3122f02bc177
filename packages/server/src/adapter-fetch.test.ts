/** The web-standard adapter: what it makes of a Request, what it makes a Response of, and how live bodies flow. */
import type { LiveReader, LiveSink, WireRequest, WireResponse } from '@millrace/protocol'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createFetchHandler } from './fetch-adapter.ts'
import { startTestServer } from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const LIMIT = 1000
const server = await startTestServer({
  maxBodyBytes: LIMIT,
  longPollTimeoutMs: 60_000,
  sseReconnectIntervalMs: 0,
})
afterAll(() => server.close())

const { handler } = server.server
const TEXT = { 'content-type': 'text/plain' }
const PATIENCE = { timeout: 10_000, interval: 5 }
const KIB = 1024
let streams = 0
let url = ''

beforeEach(async () => {
  url = `http://localhost:1234/v1/stream/fetched/${streams++}`
  await handler.fetch(new Request(url, { method: 'PUT', headers: TEXT, body: 'abc' }))
})

function get(suffix = '', init: RequestInit = {}): Promise<Response> {
  return handler.fetch(new Request(url + suffix, init))
}

async function untilReaders(count: number): Promise<void> {
  await vi.waitUntil(() => server.server.statistics()?.readers === count, PATIENCE)
}

/** What the adapter hands over for a request. */
async function wireOf(request: Request, platform?: unknown): Promise<WireRequest> {
  const seen: WireRequest[] = []
  const adapter = createFetchHandler(async (wire) => {
    seen.push(wire)
    return { status: 204, headers: [], body: undefined }
  })
  await adapter(request, platform)
  const [wire] = seen
  if (wire === undefined) throw new Error('the handler was not called')
  return wire
}

describe('the client of a request', () => {
  test.each<[string, unknown, string | undefined]>([
    ['is unknown without a platform', undefined, undefined],
    ['is who the server of Bun says', { requestIP: () => ({ address: '10.0.0.1' }) }, '10.0.0.1'],
    ['is unknown to Bun once it has gone', { requestIP: () => null }, undefined],
    ['is the remote address of Deno', { remoteAddr: { transport: 'tcp', hostname: '10.0.0.2' } }, '10.0.0.2'],
    ['is what the caller says', { clientAddress: '10.0.0.3', requestIP: () => null }, '10.0.0.3'],
    ['is unknown where a framework hands over something else', { params: { clientAddress: 'a' } }, undefined],
    ['is unknown where there is no text', { clientAddress: 1, remoteAddr: 'b' }, undefined],
  ])('%s', async (_, platform, client) => {
    const wire = await wireOf(new Request(url), platform)
    expect([wire.client, wire.hasClientCertificate]).toEqual([client, false])
  })

  test('has shown a certificate if the caller says so', async () => {
    const wire = await wireOf(new Request(url), { clientAddress: '10.0.0.1', hasClientCertificate: true })
    expect(wire.hasClientCertificate).toBe(true)
  })
})

describe('a request', () => {
  test.each([
    ['a path', 'http://localhost/v1/stream/a', '/v1/stream/a'],
    ['a query', 'http://localhost/v1/stream/a?offset=-1&live=sse', '/v1/stream/a?offset=-1&live=sse'],
    ['a fragment', 'http://localhost/v1/stream/a#part', '/v1/stream/a'],
    ['a query and a fragment', 'http://localhost/a?offset=-1#part', '/a?offset=-1'],
    ['a question mark in a fragment', 'http://localhost/a#part?offset=-1', '/a'],
    ['an escaped number sign', 'http://localhost/a%23b?x=%23', '/a%23b?x=%23'],
    ['a second question mark', 'http://localhost/a?b?c', '/a?b?c'],
    ['a slash in the query', 'http://localhost/a?b=/c/../d', '/a?b=/c/../d'],
    ['escapes', 'http://localhost/a%2Fb%20c', '/a%2Fb%20c'],
    ['dot segments', 'http://localhost/a/../b/./c', '/b/c'],
    ['escaped dot segments', 'http://localhost/a/%2e%2e/b', '/b'],
    ['no path', 'http://localhost', '/'],
    ['no path but a query', 'http://localhost?a=b', '/?a=b'],
    ['an IPv6 host', 'http://[::1]:8080/a', '/a'],
  ])('with %s has the target that the platform leaves of it', async (_, given, target) => {
    expect((await wireOf(new Request(given))).target).toBe(target)
  })

  test.each([
    ['http://localhost/a', 'localhost', 'http'],
    ['http://localhost:8080/a', 'localhost:8080', 'http'],
    ['https://streams.example/a', 'streams.example', 'https'],
    ['http://[::1]:8080/a', '[::1]:8080', 'http'],
  ])('to %s takes host and scheme from the URL', async (given, host, scheme) => {
    const wire = await wireOf(new Request(given))

    expect([wire.header('host'), wire.scheme, wire.header('x-nothing')]).toEqual([host, scheme, undefined])
  })

  test('with a Host header keeps it', async () => {
    const wire = await wireOf(new Request('http://localhost/a', { headers: { host: 'streams.example' } }))

    expect(wire.header('host')).toBe('streams.example')
  })

  test('to a host that is not ours is refused', async () => {
    const foreign = await handler.fetch(new Request(url.replace('localhost', 'streams.example')))
    const named = await get('', { headers: { host: 'streams.example' } })

    expect([foreign.status, named.status]).toEqual([421, 421])
  })

  test('that creates a stream gets its absolute URL, in the scheme that was used', async () => {
    const secure = 'https://localhost/v1/stream/secure'
    const response = await handler.fetch(new Request(secure, { method: 'PUT' }))

    expect([response.status, response.headers.get('location')]).toEqual([201, secure])
  })

  test('names the stream that the platform has normalised its URL to', async () => {
    const response = await handler.fetch(new Request(`${url}/x/../../${url.split('/').at(-1)}#part`))

    expect([response.status, await response.text()]).toEqual([200, 'abc'])
  })
})

describe('a body', () => {
  function bodyOf(chunks: readonly (string | Error)[], onCancel = (): void => undefined): RequestInit {
    let at = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const chunk = chunks[at++]
        if (chunk instanceof Error) controller.error(chunk)
        else if (chunk === undefined) controller.close()
        else controller.enqueue(Buffer.from(chunk))
      },
      cancel: onCancel,
    })
    return { method: 'POST', headers: TEXT, body, duplex: 'half' }
  }

  test('in pieces is appended whole', async () => {
    const response = await get('', bodyOf(['d', '', 'efg', 'h'.repeat(100)]))

    expect([response.status, await (await get()).text()]).toEqual([204, `abcdefg${'h'.repeat(100)}`])
  })

  test.each([
    ['of a known length', { method: 'POST', headers: TEXT, body: 'x'.repeat(LIMIT + 1) }],
    ['in pieces', bodyOf(['x'.repeat(LIMIT), 'y'])],
    [
      'that says so itself',
      { method: 'POST', headers: { ...TEXT, 'content-length': String(LIMIT + 1) }, body: 'short' },
    ],
  ])('that is too large, %s, is answered 413 and not appended', async (_, init) => {
    const response = await get('', init)

    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    expect(await (await get()).text()).toBe('abc')
  })

  test('as large as it may be is appended', async () => {
    const response = await get('', { method: 'POST', headers: TEXT, body: 'x'.repeat(LIMIT) })

    expect([response.status, (await (await get()).text()).length]).toEqual([204, LIMIT + 3])
  })

  test('without an end is answered 413, and its source is told to stop', async () => {
    let cancelled = 0
    const endless: string[] = Array(1000).fill('x'.repeat(LIMIT))
    const response = await get(
      '',
      bodyOf(endless, () => cancelled++),
    )

    expect([response.status, cancelled]).toEqual([413, 1])
  })

  test('that breaks off is not appended', async () => {
    await get('', bodyOf(['def', new Error('connection lost')]))

    expect(await (await get()).text()).toBe('abc')
    expect(server.errors).toEqual([])
  })
})

describe('an answer', () => {
  test('to HEAD has no body', async () => {
    const found = await get('', { method: 'HEAD' })
    const missing = await get('/missing', { method: 'HEAD' })

    expect([found.status, found.body, missing.status, missing.body]).toEqual([200, null, 404, null])
    expect(found.headers.get('stream-next-offset')).toMatch(/^\d{16}_\d{16}$/)
  })

  test('without a body has none, and no length', async () => {
    const { headers } = await get()
    const responses = [
      await get('', { method: 'POST', headers: TEXT, body: 'x' }),
      await get('', { method: 'PUT', headers: TEXT }),
      await get('?offset=-1', { headers: { 'if-none-match': '*' } }),
      await get('', { method: 'OPTIONS' }),
      await get('', { method: 'DELETE' }),
    ]

    expect(headers.get('etag')).toMatch(/^"/)
    expect(responses.map(({ status }) => status)).toEqual([204, 200, 304, 204, 204])
    expect(responses.map(({ body }) => body)).toEqual(responses.map(() => null))
  })

  test('is a copy: what its receiver does to it does not reach the stream', async () => {
    const bytes = new Uint8Array(await (await get()).arrayBuffer())
    bytes.fill(0)

    expect(await (await get()).text()).toBe('abc')
  })

  test('is independent of the body that was sent', async () => {
    const sent = Buffer.alloc(900, 'x')
    await get('', { method: 'POST', headers: TEXT, body: sent })
    sent.fill('y')

    expect(await (await get()).text()).toBe(`abc${'x'.repeat(900)}`)
  })

  test('to a method that is not of streams names those that are', async () => {
    const response = await get('', { method: 'PATCH', body: 'x' })

    expect([response.status, response.headers.get('allow')]).toEqual([
      405,
      'GET, HEAD, POST, PUT, DELETE, OPTIONS',
    ])
  })
})

describe('a live body', () => {
  /** A reader whose bytes the test makes up. */
  class Source implements LiveReader {
    sink: LiveSink | undefined
    resumed = 0
    stopped = 0

    start(sink: LiveSink): LiveReader {
      this.sink = sink
      return this
    }

    resume(): void {
      this.resumed++
    }

    stop(): void {
      this.stopped++
    }
  }

  async function open(): Promise<{ readonly source: Source; readonly response: Response }> {
    const source = new Source()
    const answer: WireResponse = { status: 200, headers: ['Content-Type', 'text/event-stream'], body: source }
    const response = await createFetchHandler(async () => answer)(new Request('http://localhost/a'))
    return { source, response }
  }

  function piece(size: number): Uint8Array {
    return new Uint8Array(size).fill(0x61)
  }

  test('takes bytes until nobody has read 64 KiB of them, and more once they are read', async () => {
    const { source, response } = await open()
    let accepted = 0
    while (source.sink?.write(piece(KIB)) === true && accepted < 1000) accepted++
    const resumedBefore = source.resumed
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.read()
    await vi.waitUntil(() => source.resumed > resumedBefore, PATIENCE)
    const acceptsMore = source.sink?.write(piece(KIB - 1))

    expect(accepted).toBe(63)
    expect(acceptsMore).toBe(true)
  })

  test('that ends after a full buffer is read to its last byte', async () => {
    const { source, response } = await open()
    source.sink?.write(piece(200 * KIB))
    source.sink?.write(piece(1))
    source.sink?.end()

    expect((await response.arrayBuffer()).byteLength).toBe(200 * KIB + 1)
  })

  test('that is cancelled stops its reader, and takes what still comes without a failure', async () => {
    const { source, response } = await open()
    source.sink?.write(piece(10))
    await response.body?.cancel()
    const taken = source.sink?.write(piece(10))
    source.sink?.end()
    source.sink?.abort()

    expect([source.stopped, taken]).toEqual([1, true])
  })

  test('that is broken off does not look complete', async () => {
    const { source, response } = await open()
    source.sink?.write(piece(10))
    source.sink?.abort()
    source.sink?.end()

    await expect(response.text()).rejects.toThrow()
  })

  test('can end before anybody reads it', async () => {
    const { source, response } = await open()
    source.sink?.end()
    source.sink?.end()

    expect([response.status, await response.text()]).toEqual([200, ''])
  })
})

describe('a reader that goes away', () => {
  test('by cancelling its events is forgotten', async () => {
    const response = await get('?offset=-1&live=sse')
    const open = server.server.statistics()?.readers
    await response.body?.cancel()

    expect([open, server.server.statistics()?.readers]).toEqual([1, 0])
  })

  test('in the middle of its events is forgotten', async () => {
    const response = await get('?offset=-1&live=sse')
    const reader = response.body?.getReader()
    const first = await reader?.read()
    await reader?.cancel()

    expect(Buffer.from(first?.value ?? []).toString()).toContain('data:abc')
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('by aborting its poll is forgotten', async () => {
    const gone = new AbortController()
    const answer = get('?offset=now&live=long-poll', { signal: gone.signal })
    await untilReaders(1)
    gone.abort()
    await answer

    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('before its poll is looked at is forgotten', async () => {
    await get('?offset=now&live=long-poll', { signal: AbortSignal.abort() })

    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('by aborting the request whose events it reads is forgotten', async () => {
    const gone = new AbortController()
    await get('?offset=-1&live=sse', { signal: gone.signal })
    gone.abort()
    await untilReaders(0)

    expect(server.errors).toEqual([])
  })

  test('before its events are looked at is forgotten', async () => {
    await get('?offset=-1&live=sse', { signal: AbortSignal.abort() })
    await untilReaders(0)

    expect(server.errors).toEqual([])
  })
})
