import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ADAPTERS, type Reply, type Send, startTestServer, type TestServer } from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const PATH = '/v1/stream/polls'
const TEXT = { 'content-type': 'text/plain' }
const CLOSE = { 'stream-closed': 'true' }
/** Generous: it only ends a test that would fail anyway. */
const PATIENCE = { timeout: 10_000, interval: 5 }

const CURSOR_EPOCH_MS = Date.UTC(2024, 9, 9)

function currentInterval(): number {
  return Math.floor((Date.now() - CURSOR_EPOCH_MS) / 20_000)
}

/** Resolves when so many live readers are on the server. */
async function untilReaders(server: TestServer, count: number): Promise<void> {
  await vi.waitUntil(() => server.server.statistics()?.readers === count, PATIENCE)
}

describe.each(ADAPTERS)('that run out over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer({ longPollTimeoutMs: 40 })
    send = server.via(adapter)
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
  })

  afterEach(() => server.close())

  async function pollAtTail(query = ''): Promise<Reply> {
    return send('GET', `${PATH}?offset=now&live=long-poll${query}`)
  }

  test('R-169, R-164: a poll that runs out says where the tail is, and is not kept', async () => {
    const tail = (await send('HEAD', PATH)).headers.get('stream-next-offset')

    const reply = await send('GET', `${PATH}?offset=${tail}&live=long-poll`)

    expect([reply.status, reply.text]).toEqual([204, ''])
    expect(reply.headers.get('stream-next-offset')).toBe(tail)
    expect(reply.headers.get('stream-up-to-date')).toBe('true')
    expect(reply.headers.get('stream-cursor')).toMatch(/^\d+$/)
    expect(reply.headers.get('stream-closed')).toBeNull()
    expect(reply.headers.get('cache-control')).toBe('no-store')
  })

  test('R-171: the cursor counts intervals of 20 seconds since 9 October 2024', async () => {
    const before = currentInterval()

    const cursor = Number((await pollAtTail()).headers.get('stream-cursor'))

    expect(cursor).toBeGreaterThanOrEqual(before)
    expect(cursor).toBeLessThanOrEqual(currentInterval())
  })

  test('R-171, R-172: a client that is ahead moves on by 1 to 180 intervals', async () => {
    const ahead = currentInterval() + 1000
    const sent = Array.from({ length: 20 }, (_, index) => ahead + index)

    const replies = await Promise.all(sent.map((cursor) => pollAtTail(`&cursor=${cursor}`)))
    const jumps = replies.map((reply, at) => Number(reply.headers.get('stream-cursor')) - ahead - at)

    expect(Math.min(...jumps)).toBeGreaterThanOrEqual(1)
    expect(Math.max(...jumps)).toBeLessThanOrEqual(180)
    expect(new Set(jumps).size).toBeGreaterThan(1)
  })

  test('R-171: a client that is behind gets the current interval', async () => {
    const before = currentInterval()

    const cursor = Number((await pollAtTail(`&cursor=${before - 50}`)).headers.get('stream-cursor'))

    expect(cursor).toBeGreaterThanOrEqual(before)
    expect(cursor).toBeLessThanOrEqual(currentInterval())
  })

  test.each(['', 'abc', '-5', '1e3', '12.5', '0x10', '1'.repeat(19), '%D9%A3', '%00', '%FF'])(
    'R-172: a cursor of %j is as if it were not there',
    async (malformed) => {
      const before = currentInterval()

      const reply = await pollAtTail(`&cursor=${malformed}`)
      const cursor = Number(reply.headers.get('stream-cursor'))

      expect(reply.status).toBe(204)
      expect(cursor).toBeGreaterThanOrEqual(before)
      expect(cursor).toBeLessThanOrEqual(currentInterval())
    },
  )

  test('R-172: a cursor does not change which data is served', async () => {
    const reply = await send('GET', `${PATH}?offset=-1&live=long-poll&cursor=${currentInterval() + 7}`)

    expect([reply.status, reply.text]).toEqual([200, 'abc'])
    expect(Number(reply.headers.get('stream-cursor'))).toBeGreaterThan(currentInterval() + 7)
  })
})

describe.each(ADAPTERS)('that wait over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer({ longPollTimeoutMs: 60_000 })
    send = server.via(adapter)
  })

  afterEach(() => server.close())

  /** A poll at the tail that is known to wait. */
  async function waitingPoll(path = PATH): Promise<{ readonly reply: Promise<Reply> }> {
    const readers = server.server.statistics()?.readers ?? 0
    const reply = send('GET', `${path}?offset=now&live=long-poll`)
    await untilReaders(server, readers + 1)
    return { reply }
  }

  test('R-163: an answer with data may be kept, and carries an ETag as catch-up does', async () => {
    const { headers } = await send('PUT', PATH, { headers: TEXT })
    const poll = send('GET', `${PATH}?offset=${headers.get('stream-next-offset')}&live=long-poll`)
    await untilReaders(server, 1)
    await send('POST', PATH, { headers: TEXT, body: 'abc' })

    const reply = await poll

    expect([reply.status, reply.text]).toEqual([200, 'abc'])
    expect(reply.headers.get('cache-control')).toBe('public, max-age=60, stale-while-revalidate=300')
    expect(reply.headers.get('etag')).toMatch(/^".+"$/)
  })

  test('R-164: an answer to now is not kept: it is another one for whoever asks next', async () => {
    await send('PUT', PATH, { headers: TEXT })
    const poll = await waitingPoll()
    await send('POST', PATH, { headers: TEXT, body: 'abc' })

    const reply = await poll.reply

    expect([reply.status, reply.text]).toEqual([200, 'abc'])
    expect(reply.headers.get('cache-control')).toBe('no-store')
    expect(reply.headers.get('etag')).toBeNull()
  })

  test('R-175: closing without data answers a waiting poll at once', async () => {
    const created = await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const poll = await waitingPoll()
    await send('POST', PATH, { headers: CLOSE })

    const reply = await poll.reply

    expect([reply.status, reply.text]).toEqual([204, ''])
    expect(reply.headers.get('stream-closed')).toBe('true')
    expect(reply.headers.get('stream-up-to-date')).toBe('true')
    expect(reply.headers.get('stream-next-offset')).toBe(created.headers.get('stream-next-offset'))
  })

  test('R-176: an append that closes answers a waiting poll with the data and the end', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const poll = await waitingPoll()
    const closed = await send('POST', PATH, { headers: { ...TEXT, ...CLOSE }, body: 'final' })

    const reply = await poll.reply

    expect([reply.status, reply.text]).toEqual([200, 'final'])
    expect(reply.headers.get('stream-closed')).toBe('true')
    expect(reply.headers.get('stream-up-to-date')).toBe('true')
    expect(reply.headers.get('stream-next-offset')).toBe(closed.headers.get('stream-next-offset'))
  })

  test('R-176: a last append and a close right after it never look like an end without the data', async () => {
    const paths = Array.from({ length: 30 }, (_, index) => `${PATH}/${index}`)
    await Promise.all(paths.map((path) => send('PUT', path, { headers: TEXT })))
    const polls = paths.map((path) => send('GET', `${path}?offset=-1&live=long-poll`))
    await untilReaders(server, paths.length)

    const writes = paths.map(async (path) => {
      await send('POST', path, { headers: TEXT, body: 'final' })
      await send('POST', path, { headers: CLOSE })
    })
    const replies = await Promise.all(polls)
    await Promise.all(writes)

    expect(replies.map((reply) => [reply.status, reply.text])).toEqual(paths.map(() => [200, 'final']))
  })

  test('R-177: an append that meets a poll is never missed, whichever comes first', async () => {
    await send('PUT', PATH, { headers: TEXT })
    const received: string[] = []

    for (let i = 0, offset = '-1'; i < 150; i++) {
      const poll = send('GET', `${PATH}?offset=${offset}&live=long-poll`)
      // The pause differs from round to round, so that the two meet in every order.
      for (let turns = i % 5; turns > 0; turns--) await new Promise(setImmediate)
      const append = await send('POST', PATH, { headers: TEXT, body: `${i};` })
      const reply = await poll
      received.push(`${reply.status} ${reply.text}`)
      offset = append.headers.get('stream-next-offset') ?? ''
    }

    expect(received).toEqual(Array.from({ length: 150 }, (_, i) => `200 ${i};`))
  })

  test('R-177: one append answers every poll that waits', async () => {
    await send('PUT', PATH, { headers: TEXT })
    const polls = Array.from({ length: 600 }, () => send('GET', `${PATH}?offset=now&live=long-poll`))
    await untilReaders(server, 600)
    await send('POST', PATH, { headers: TEXT, body: 'abc' })

    const replies = await Promise.all(polls)

    expect(new Set(replies.map((reply) => `${reply.status} ${reply.text}`))).toEqual(new Set(['200 abc']))
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('R-178: a poll of a soft-deleted stream is answered 410', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    await send('PUT', `${PATH}/fork`, { headers: { 'stream-forked-from': PATH } })
    await send('DELETE', PATH)

    const reply = await send('GET', `${PATH}?offset=-1&live=long-poll`)

    expect(reply.status).toBe(410)
    expect(reply.headers.get('cache-control')).toBe('no-store')
  })

  test('R-178, R-135: soft deletion answers a waiting poll with 410', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    await send('PUT', `${PATH}/fork`, { headers: { 'stream-forked-from': PATH } })
    const poll = await waitingPoll()
    await send('DELETE', PATH)

    expect((await poll.reply).status).toBe(410)
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('R-135: deletion answers a waiting poll with 404', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const poll = await waitingPoll()
    await send('DELETE', PATH)

    expect((await poll.reply).status).toBe(404)
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('R-135: a poll of a deleted stream does not go on with the one that takes its place', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const poll = await waitingPoll()
    const removed = send('DELETE', PATH)
    const created = send('PUT', PATH, { headers: TEXT, body: 'somebody else' })
    await Promise.all([removed, created])

    expect((await poll.reply).status).toBe(404)
  })

  test('a fork that ends its source does not disturb the polls of the fork', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    await send('PUT', `${PATH}/fork`, { headers: { 'stream-forked-from': PATH } })
    const poll = await waitingPoll(`${PATH}/fork`)
    await send('DELETE', PATH)
    await send('POST', `${PATH}/fork`, { headers: TEXT, body: 'own' })

    const reply = await poll.reply

    expect([reply.status, reply.text]).toEqual([200, 'own'])
  })
})

describe('a client that goes away', () => {
  let server: TestServer

  beforeEach(async () => {
    server = await startTestServer({ longPollTimeoutMs: 60_000 })
    await server.request('PUT', PATH, { headers: TEXT, body: 'abc' })
  })

  afterEach(() => server.close())

  test('R-177: over node: its poll is forgotten', async () => {
    const idle = server.server.statistics()?.deadlines
    const outgoing = request(`${server.url}${PATH}?offset=now&live=long-poll`, { agent: false })
    outgoing.on('error', () => undefined)
    outgoing.end()
    await untilReaders(server, 1)
    outgoing.destroy()
    await untilReaders(server, 0)

    expect(server.server.statistics()?.deadlines).toBe(idle)
    expect(server.errors).toEqual([])
  })

  test('R-177: over fetch: its poll is forgotten', async () => {
    const idle = server.server.statistics()?.deadlines
    const gone = new AbortController()
    const url = `${server.url}${PATH}?offset=now&live=long-poll`
    const answer = server.server.handler.fetch(new Request(url, { signal: gone.signal }))
    await untilReaders(server, 1)
    gone.abort()
    await answer

    expect(server.server.statistics()?.readers).toBe(0)
    expect(server.server.statistics()?.deadlines).toBe(idle)
    expect(server.errors).toEqual([])
  })
})
