import { memoryStorage } from '@millrace/engine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  ADAPTERS,
  type Reply,
  type Send,
  type SendOptions,
  startTestServer,
  type TestServer,
} from './test-server.fixture.ts'

const PATH = '/v1/stream/reads'
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }

describe.each(ADAPTERS)('over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer({ limits: { chunkBytes: 10 } })
    send = server.via(adapter)
  })

  afterEach(() => server.close())

  /** All answers of a reader that follows `Stream-Next-Offset` from the beginning until it is up to date. */
  async function readAll(): Promise<readonly Reply[]> {
    const replies: Reply[] = []
    for (let offset = '-1'; ; ) {
      const reply = await send('GET', `${PATH}?offset=${offset}`)
      replies.push(reply)
      const next = reply.headers.get('stream-next-offset')
      if (reply.headers.has('stream-up-to-date') || next === null || next === offset) return replies
      offset = next
    }
  }

  test('R-149: a chunk that stops before the tail is not up to date, the one that reaches it is', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abcdefghijKLMNOPQRSTuvwxy' })

    const replies = await readAll()

    expect(replies.map((reply) => reply.text)).toEqual(['abcdefghij', 'KLMNOPQRST', 'uvwxy'])
    expect(replies.map((reply) => reply.headers.get('stream-up-to-date'))).toEqual([null, null, 'true'])
  })

  test('R-155: of a closed stream only the chunk that reaches the tail says that it is closed', async () => {
    const headers = { ...TEXT, 'stream-closed': 'true' }
    await send('PUT', PATH, { headers, body: 'abcdefghijKLMNOPQRSTuvwxy' })

    const replies = await readAll()

    expect(replies.map((reply) => reply.text)).toEqual(['abcdefghij', 'KLMNOPQRST', 'uvwxy'])
    expect(replies.map((reply) => reply.headers.get('stream-closed'))).toEqual([null, null, 'true'])
  })

  test('R-155: a closed stream whose chunk ends exactly at the tail is closed there', async () => {
    await send('PUT', PATH, { headers: { ...TEXT, 'stream-closed': 'true' }, body: 'abcdefghijKLMNOPQRST' })

    const replies = await readAll()

    expect(replies.map((reply) => reply.text)).toEqual(['abcdefghij', 'KLMNOPQRST'])
    expect(replies.map((reply) => reply.headers.get('stream-closed'))).toEqual([null, 'true'])
  })

  test('a JSON chunk ends at a message, and a message that is longer than a chunk comes alone', async () => {
    const long = `"${'x'.repeat(35)}"`
    await send('PUT', PATH, { headers: JSON_TYPE, body: `[1,22,333,${long},4444,5]` })

    const replies = await readAll()
    const messages = replies.flatMap((reply) => reply.json())

    expect(messages).toEqual([1, 22, 333, 'x'.repeat(35), 4444, 5])
    expect(replies.map((reply) => reply.text)).toContain(`[${long}]`)
  })

  test('R-209: a chunk of text ends between characters, wherever the chunk size falls', async () => {
    const text = '日本語のテキスト, ελληνικά, 😀😁😂🤣😃😄😅😆, plain ascii between, naïve café'
    await send('PUT', PATH, { headers: TEXT, body: text })

    const replies = await readAll()

    expect(replies.map((reply) => reply.text).join('')).toBe(text)
    expect(replies.length).toBeGreaterThan(5)
  })

  test('R-161: the ETag changes when the stream is closed without data', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const open = await send('GET', `${PATH}?offset=-1`)
    const tail = open.headers.get('stream-next-offset')
    const openAtTail = await send('GET', `${PATH}?offset=${tail}`)
    await send('POST', PATH, { headers: { 'stream-closed': 'true' } })
    const ifNoneMatch = { headers: { 'if-none-match': open.headers.get('etag') ?? '' } }

    const closed = await send('GET', `${PATH}?offset=-1`, ifNoneMatch)
    const closedAtTail = await send('GET', `${PATH}?offset=${tail}`)

    expect(open.headers.get('etag')).toMatch(/^".+"$/)
    expect([closed.status, closed.text, closed.headers.get('stream-closed')]).toEqual([200, 'abc', 'true'])
    expect(closed.headers.get('etag')).toMatch(/^".+"$/)
    expect(closed.headers.get('etag')).not.toBe(open.headers.get('etag'))
    expect(closedAtTail.headers.get('etag')).not.toBe(openAtTail.headers.get('etag'))
  })

  test('R-162: a stream made again at the same URL never answers 304 for its predecessor', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const first = await send('GET', `${PATH}?offset=-1`)
    await send('DELETE', PATH)
    await send('PUT', PATH, { headers: TEXT, body: 'xyz' })

    const second = await send('GET', `${PATH}?offset=-1`, {
      headers: { 'if-none-match': first.headers.get('etag') ?? '' },
    })

    expect(first.headers.get('etag')).toMatch(/^".+"$/)
    expect([second.status, second.text]).toEqual([200, 'xyz'])
    expect(second.headers.get('etag')).not.toBe(first.headers.get('etag'))
  })

  test.each([
    ['the tag', (tag: string) => tag],
    ['a weak form', (tag: string) => `W/${tag}`],
    ['a list', (tag: string) => `"other", ${tag}, "third"`],
    ['a list of weak forms', (tag: string) => `W/"other",W/${tag}`],
    ['a star', () => '*'],
  ])('R-162: If-None-Match honours %s', async (_, listOf) => {
    await send('PUT', PATH, { headers: { ...TEXT, 'stream-closed': 'true' }, body: 'abc' })
    const full = await send('GET', `${PATH}?offset=-1`)
    const tag = full.headers.get('etag') ?? ''

    const reply = await send('GET', `${PATH}?offset=-1`, { headers: { 'if-none-match': listOf(tag) } })

    expect([reply.status, reply.text]).toEqual([304, ''])
    const repeated = ['etag', 'cache-control', 'stream-next-offset', 'stream-up-to-date', 'stream-closed']
    expect(repeated.map((name) => reply.headers.get(name))).toEqual(
      repeated.map((name) => full.headers.get(name)),
    )
    expect(reply.headers.get('stream-closed')).toBe('true')
  })

  test.each([
    ['another tag', '"other"'],
    ['a list of others', '"a", W/"b"'],
    ['a quoted star', '"*"'],
    ['no tag at all', 'rubbish'],
  ])('R-162: If-None-Match with %s is answered in full', async (_, ifNoneMatch) => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })

    const reply = await send('GET', PATH, { headers: { 'if-none-match': ifNoneMatch } })

    expect([reply.status, reply.text]).toEqual([200, 'abc'])
  })

  test('R-163: an answer with data may be kept by shared caches for a minute', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abcdefghijklm' })

    const replies = await readAll()

    expect(replies.map((reply) => reply.headers.get('cache-control'))).toEqual([
      'public, max-age=60, stale-while-revalidate=300',
      'public, max-age=60, stale-while-revalidate=300',
    ])
  })

  test('R-163: an answer without data is kept only where no data can follow', async () => {
    const { headers } = await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const atTail = `${PATH}?offset=${headers.get('stream-next-offset')}`
    const open = await send('GET', atTail)
    const now = await send('GET', `${PATH}?offset=now`)
    await send('POST', PATH, { headers: { 'stream-closed': 'true' } })

    const closed = await send('GET', atTail)

    expect(open.headers.get('cache-control')).toBe('no-cache')
    expect(now.headers.get('cache-control')).toBe('no-store')
    expect(closed.headers.get('cache-control')).toBe('public, max-age=60, stale-while-revalidate=300')
  })

  test.each<[string, number, string, string, SendOptions]>([
    ['PUT that creates', 201, 'PUT', '/v1/stream/new', { headers: TEXT }],
    ['PUT that finds', 200, 'PUT', PATH, { headers: TEXT }],
    ['PUT that conflicts', 409, 'PUT', PATH, { headers: JSON_TYPE }],
    ['PUT that is malformed', 400, 'PUT', PATH, { headers: { ...TEXT, 'stream-ttl': 'x' } }],
    ['POST', 204, 'POST', PATH, { headers: TEXT, body: 'd' }],
    [
      'POST of a producer',
      200,
      'POST',
      PATH,
      { headers: { ...TEXT, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }, body: 'd' },
    ],
    ['POST that closes', 204, 'POST', PATH, { headers: { 'stream-closed': 'true' } }],
    ['POST without a body', 400, 'POST', PATH, { headers: TEXT }],
    ['POST of another type', 409, 'POST', PATH, { headers: JSON_TYPE, body: '1' }],
    ['POST to a missing stream', 404, 'POST', '/v1/stream/none', { headers: TEXT, body: 'd' }],
    ['GET of a missing stream', 404, 'GET', '/v1/stream/none', {}],
    ['GET with a bad offset', 400, 'GET', `${PATH}?offset=x`, {}],
    ['HEAD', 200, 'HEAD', PATH, {}],
    ['DELETE', 204, 'DELETE', PATH, {}],
    ['DELETE of a missing stream', 404, 'DELETE', '/v1/stream/none', {}],
    ['a method that streams do not have', 405, 'PATCH', PATH, {}],
  ])('R-164: the answer to %s is never kept', async (_, status, method, path, options) => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })

    const reply = await send(method, path, options)

    expect(reply.status).toBe(status)
    expect(reply.headers.get('cache-control')).toBe('no-store')
  })

  test.each([
    ['a window of 30 seconds', 30, { 'stream-ttl': '30' }],
    ['a window of 100 seconds', 100, { 'stream-ttl': '100' }],
    ['an end in 40 seconds', 40, { 'stream-expires-at': () => new Date(Date.now() + 40_000).toISOString() }],
    ['an end in an hour', 3600, { 'stream-expires-at': () => new Date(Date.now() + 3.6e6).toISOString() }],
  ])('R-164: with %s a cached answer does not outlive the stream', async (_, seconds, expiry) => {
    const headers: Record<string, string> = { ...TEXT }
    for (const [name, value] of Object.entries(expiry)) {
      headers[name] = typeof value === 'string' ? value : value()
    }
    await send('PUT', PATH, { headers, body: 'abc' })

    const reply = await send('GET', PATH)
    const lifetimes = cacheLifetimes(reply)

    expect(lifetimes.length).toBeGreaterThan(0)
    expect(lifetimes[0]).toBeLessThanOrEqual(60)
    expect(lifetimes.reduce((sum, lifetime) => sum + lifetime, 0)).toBeLessThanOrEqual(Math.min(seconds, 360))
  })
})

test('a message is read in a few steps, however close to the end of a chunk it begins', async () => {
  const memory = memoryStorage()
  let reads = 0
  const storage = new Proxy(memory, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...given: readonly unknown[]): unknown => {
        if (name === 'read') reads++
        return value.apply(target, given)
      }
    },
  })
  const chunkBytes = 64 * 1024
  const server = await startTestServer({ storage, limits: { chunkBytes } })
  const long = `"${'y'.repeat(1024 * 1024)}"`
  const replies: Reply[] = []
  // Quotes, comma and line feed of the first message are stored with it.
  for (const left of [1, 3, 4, 5, 6, 8, 20]) {
    const path = `${PATH}/${left}`
    const body = `["${'x'.repeat(chunkBytes - left - 4)}",${long},1]`
    const headers = { ...JSON_TYPE, 'stream-closed': 'true' }
    await server.request('PUT', path, { headers, body })
    const first = await server.request('GET', path)
    replies.push(await server.request('GET', `${path}?offset=${first.headers.get('stream-next-offset')}`))
  }
  await server.close()

  expect(replies.map(({ text }) => text.slice(0, 3))).toEqual(replies.map(() => '["y'))
  expect(replies.map(({ text }) => text.includes(long))).toEqual(replies.map(() => true))
  expect(reads).toBeLessThan(1000)
})

/** The numbers of `max-age` and, if there is one, `stale-while-revalidate`. */
function cacheLifetimes(reply: Reply): readonly number[] {
  return [...(reply.headers.get('cache-control') ?? '').matchAll(/=(\d+)/g)].map((match) => Number(match[1]))
}
