/**
 * Sliding and absolute expiry. Only `Date` is replaced here, so the tests move the clock instead of waiting;
 * timers and sockets are real.
 */
import { memoryStorage, type StreamStorage } from '@millrace/engine'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ADAPTERS,
  type Reply,
  type Send,
  SseReader,
  startTestServer,
  type TestServer,
} from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const PATH = '/v1/stream/windows'
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const CLOSE = { 'stream-closed': 'true' }
const TTL_60 = { ...TEXT, 'stream-ttl': '60' }
const PATIENCE = { timeout: 10_000, interval: 5 }

function passSeconds(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000)
}

describe.each(ADAPTERS)('over %s', (adapter) => {
  let storage: StreamStorage
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    storage = memoryStorage()
    server = await startTestServer({ storage, longPollTimeoutMs: 50, sseReconnectIntervalMs: 0 })
    send = server.via(adapter)
  })

  afterEach(async () => {
    await server.close()
    vi.useRealTimers()
  })

  async function statusOf(path = PATH): Promise<number> {
    return (await send('HEAD', path)).status
  }

  async function untilReaders(count: number): Promise<void> {
    await vi.waitUntil(() => server.server.statistics()?.readers === count, PATIENCE)
  }

  test.each([
    ['a read', () => send('GET', PATH)],
    ['a read of nothing new', () => send('GET', `${PATH}?offset=0000000000000000_0000000000000003`)],
    ['a read of now', () => send('GET', `${PATH}?offset=now`)],
    ['a read that is not modified', () => send('GET', PATH, { headers: { 'if-none-match': '*' } })],
    ['a poll that gets data', () => send('GET', `${PATH}?offset=-1&live=long-poll`)],
    ['a poll that runs out', () => send('GET', `${PATH}?offset=now&live=long-poll`)],
    ['an append', () => send('POST', PATH, { headers: TEXT, body: 'def' })],
    ['a close', () => send('POST', PATH, { headers: CLOSE })],
  ])('R-237, R-238, R-239, R-240, R-243: the window starts again with %s', async (_, use) => {
    await send('PUT', PATH, { headers: TTL_60, body: 'abc' })
    passSeconds(50)
    const used = await use()
    passSeconds(50)
    const kept = await statusOf()
    passSeconds(11)

    expect(used.status).toBeLessThan(400)
    expect([kept, await statusOf()]).toEqual([200, 404])
  })

  test.each([
    ['HEAD', 200, () => send('HEAD', PATH)],
    ['a PUT that finds the stream', 200, () => send('PUT', PATH, { headers: TTL_60 })],
    ['a PUT that conflicts', 409, () => send('PUT', PATH, { headers: TEXT })],
    ['a read with a bad offset', 400, () => send('GET', `${PATH}?offset=x`)],
    ['a poll without an offset', 400, () => send('GET', `${PATH}?live=long-poll`)],
    ['an append of another type', 409, () => send('POST', PATH, { headers: JSON_TYPE, body: '1' })],
    ['an append without a body', 400, () => send('POST', PATH, { headers: TEXT })],
    ['a preflight', 204, () => send('OPTIONS', PATH)],
  ])('R-241, R-087: the window does not start again with %s', async (_, status, use) => {
    await send('PUT', PATH, { headers: TTL_60, body: 'abc' })
    passSeconds(50)
    const used = await use()
    passSeconds(11)

    expect([used.status, await statusOf()]).toEqual([status, 404])
  })

  test('R-243: an open SSE reader keeps its stream alive, and its end starts the window again', async () => {
    await send('PUT', PATH, { headers: TTL_60, body: 'abc' })
    const reader = await server.openSse(`${PATH}?offset=now&live=sse`, adapter)
    await reader.take(1)
    passSeconds(3600)
    const whileOpen = await statusOf()
    passSeconds(3600)
    await send('POST', PATH, { headers: TEXT, body: 'late' })
    const [data] = await reader.take(1)
    passSeconds(3600)
    reader.abort()
    await untilReaders(0)
    const afterwards = await statusOf()
    passSeconds(50)
    const later = await statusOf()
    passSeconds(11)

    expect([whileOpen, data?.data, afterwards, later, await statusOf()]).toEqual([200, 'late', 200, 200, 404])
  })

  test('R-243: a poll that waits keeps its stream alive, and its end starts the window again', async () => {
    const patient = await startTestServer({ storage: memoryStorage(), longPollTimeoutMs: 60_000 })
    const sendTo = patient.via(adapter)
    await sendTo('PUT', PATH, { headers: TTL_60, body: 'abc' })
    const poll = sendTo('GET', `${PATH}?offset=now&live=long-poll`)
    await vi.waitUntil(() => patient.server.statistics()?.readers === 1, PATIENCE)
    passSeconds(3600)
    const whileWaiting = await sendTo('HEAD', PATH)
    passSeconds(3600)
    await sendTo('POST', PATH, { headers: TEXT, body: 'late' })
    const reply = await poll
    passSeconds(50)
    const later = await sendTo('HEAD', PATH)
    passSeconds(11)
    const over = await sendTo('HEAD', PATH)
    await patient.close()

    expect([reply.status, reply.text]).toEqual([200, 'late'])
    expect([whileWaiting, later, over].map(({ status }) => status)).toEqual([200, 200, 404])
  })

  test('R-243: a poll that waits longer than the window runs out with 204', async () => {
    await send('PUT', PATH, { headers: TTL_60, body: 'abc' })
    const replies: Reply[] = []
    // The sweep may or may not come along while a poll waits: several rounds have both.
    for (let round = 0; round < 10; round++) {
      const poll = send('GET', `${PATH}?offset=now&live=long-poll`)
      await untilReaders(1)
      passSeconds(61)
      replies.push(await poll)
    }

    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 204))
  })

  test('R-243: a reader that wakes after its window is served, not ended', async () => {
    await send('PUT', PATH, { headers: TTL_60 })
    const polls: Promise<Reply>[] = []
    const received: string[] = []
    for (let round = 0; round < 10; round++) {
      const reader = await server.openSse(`${PATH}?offset=now&live=sse`, adapter)
      await reader.take(1)
      passSeconds(61)
      polls.push(send('POST', PATH, { headers: TEXT, body: String(round) }))
      const [data] = await reader.take(1)
      received.push(data?.data ?? 'nothing')
      reader.abort()
    }
    const statuses = (await Promise.all(polls)).map(({ status }) => status)

    expect(statuses).toEqual(statuses.map(() => 204))
    expect(received).toEqual(received.map((_, round) => String(round)))
  })

  test('R-242: neither readers nor writers move a Stream-Expires-At', async () => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString()
    await send('PUT', PATH, { headers: { ...TEXT, 'stream-expires-at': expiresAt }, body: 'abc' })
    const reader = await server.openSse(`${PATH}?offset=now&live=sse`, adapter)
    passSeconds(50)
    const read = await send('GET', PATH)
    const written = await send('POST', PATH, { headers: TEXT, body: 'def' })
    passSeconds(11)

    expect([read.status, written.status, await statusOf()]).toEqual([200, 204, 404])
    expect(await reader.ended).toBe('complete')
  })

  test('R-244: a stream is there until the instant at which it expires, and not at it', async () => {
    const now = Date.now()
    await send('PUT', `${PATH}/sliding`, { headers: TTL_60, body: 'abc' })
    const expiresAt = new Date(now + 60_000).toISOString()
    await send('PUT', `${PATH}/fixed`, { headers: { ...TEXT, 'stream-expires-at': expiresAt }, body: 'abc' })
    vi.setSystemTime(now + 59_999)
    const before = await Promise.all([statusOf(`${PATH}/sliding`), statusOf(`${PATH}/fixed`)])
    vi.setSystemTime(now + 60_000)

    const after = await Promise.all([statusOf(`${PATH}/sliding`), statusOf(`${PATH}/fixed`)])

    expect([before, after]).toEqual([
      [200, 200],
      [404, 404],
    ])
  })

  test('R-244: what has expired is removed although nobody asks for it', async () => {
    for (let i = 0; i < 20; i++) await send('PUT', `${PATH}/${i}`, { headers: TTL_60, body: 'abc' })
    await send('PUT', `${PATH}/lasting`, { headers: TEXT, body: 'abc' })
    passSeconds(61)
    await vi.waitUntil(async () => (await storage.list('', undefined, 100)).length === 1, PATIENCE)

    const left = await storage.list('', undefined, 100)

    expect(left.map(({ path }) => path)).toEqual(['windows/lasting'])
    expect(server.errors).toEqual([])
  })

  test('R-236, R-244: the path of an expired stream is free for another one, at once', async () => {
    await send('PUT', PATH, { headers: TTL_60, body: 'abc' })
    passSeconds(60)

    const created = await send('PUT', PATH, { headers: JSON_TYPE, body: '[1]' })
    const read = await send('GET', PATH)
    passSeconds(3600)

    expect([created.status, read.text, await statusOf()]).toEqual([201, '[1]', 200])
  })
})

describe('a reader that does not read for longer than the window', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  test('R-243: gets the rest when it goes on', async () => {
    const server = await startTestServer({
      sseReconnectIntervalMs: 0,
      limits: { followChunkBytes: 128 * 1024 },
    })
    const text = 'x'.repeat(1024 * 1024)
    await server.request('PUT', PATH, { headers: { ...TTL_60, ...CLOSE }, body: text })
    const received: string[] = []
    for (let round = 0; round < 5; round++) {
      const url = `${server.url}${PATH}?offset=-1&live=sse`
      const { status, headers, body } = await server.server.handler.fetch(new Request(url))
      passSeconds(61)
      const events = await new SseReader(status, headers, body ?? emptyBody(), () => undefined).rest()
      received.push(events.map(({ kind, data }) => (kind === 'data' ? data : '')).join(''))
    }
    await server.close()

    expect(received.map(({ length }) => length)).toEqual(received.map(() => text.length))
  })
})

async function* emptyBody(): AsyncIterable<Uint8Array> {}

describe('with the real clock', () => {
  test('R-244: a stream of one second is gone a moment after it', async () => {
    const server = await startTestServer()
    await server.request('PUT', PATH, { headers: { ...TEXT, 'stream-ttl': '1' }, body: 'abc' })
    const early = (await server.request('HEAD', PATH)).status
    await vi.waitUntil(async () => (await server.request('HEAD', PATH)).status === 404, PATIENCE)
    const late = (await server.request('GET', PATH)).status
    await server.close()

    expect([early, late]).toEqual([200, 404])
  })

  test('R-243: a reader keeps a stream of one second alive for longer', async () => {
    const server = await startTestServer({ longPollTimeoutMs: 2600 })
    const ttl = { ...TEXT, 'stream-ttl': '1' }
    await server.request('PUT', `${PATH}/sse`, { headers: ttl })
    await server.request('PUT', `${PATH}/poll`, { headers: ttl })
    const reader = await server.openSse(`${PATH}/sse?offset=now&live=sse`)

    const polled = await server.request('GET', `${PATH}/poll?offset=now&live=long-poll`)
    const append = await server.request('POST', `${PATH}/sse`, { headers: TEXT, body: 'late' })
    const [, data] = await reader.take(2)
    await server.close()

    expect([polled.status, append.status, data?.data]).toEqual([204, 204, 'late'])
  })
})
