import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  ADAPTERS,
  type Send,
  type SseReader,
  startTestServer,
  type TestServer,
} from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const PATH = '/v1/stream/lives'
const TEXT = { 'content-type': 'text/plain' }
const CLOSE = { 'stream-closed': 'true' }
const PATIENCE = { timeout: 10_000, interval: 5 }

async function untilReaders(server: TestServer, count: number): Promise<void> {
  await vi.waitUntil(() => server.server.statistics()?.readers === count, PATIENCE)
}

describe.each(ADAPTERS)('a reader over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer()
    send = server.via(adapter)
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
  })

  afterEach(() => server.close())

  /** A reader that has caught up. */
  async function caughtUp(path = PATH): Promise<SseReader> {
    const reader = await server.openSse(`${path}?offset=now&live=sse`, adapter)
    await reader.take(1)
    return reader
  }

  test('R-135: ends cleanly when its stream is deleted, without being told that it was closed', async () => {
    const reader = await caughtUp()
    await send('DELETE', PATH)

    expect(await reader.rest()).toEqual([])
    expect(await reader.ended).toBe('complete')
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('R-135: ends when its stream is soft-deleted, while a reader of the fork goes on', async () => {
    await send('PUT', `${PATH}/fork`, { headers: { 'stream-forked-from': PATH } })
    const reader = await caughtUp()
    const ofFork = await caughtUp(`${PATH}/fork`)
    await send('DELETE', PATH)
    await send('POST', `${PATH}/fork`, { headers: { ...TEXT, ...CLOSE }, body: 'own' })

    const [data] = await ofFork.rest()

    expect(await reader.rest()).toEqual([])
    expect(await reader.ended).toBe('complete')
    expect(data?.data).toBe('own')
  })

  test('R-135: does not go on with the stream that takes the place of its own', async () => {
    const reader = await caughtUp()
    const removed = send('DELETE', PATH)
    const created = send('PUT', PATH, { headers: TEXT, body: 'somebody else' })
    await Promise.all([removed, created])

    expect(await reader.rest()).toEqual([])
    expect(await reader.ended).toBe('complete')
  })

  test('ends when its stream reaches its Stream-Expires-At', async () => {
    const expiresAt = new Date(Date.now() + 1500).toISOString()
    await send('PUT', `${PATH}/brief`, { headers: { ...TEXT, 'stream-expires-at': expiresAt } })
    const reader = await caughtUp(`${PATH}/brief`)

    expect(await reader.rest()).toEqual([])
    expect(await reader.ended).toBe('complete')
    expect((await send('GET', `${PATH}/brief`)).status).toBe(404)
  })

  test('is forgotten when the client goes away', async () => {
    const idle = server.server.statistics()
    const reader = await caughtUp()
    const open = server.server.statistics()?.readers
    reader.abort()
    await untilReaders(server, 0)

    expect(open).toBe(1)
    expect(server.server.statistics()).toEqual(idle)
    expect(server.errors).toEqual([])
  })

  test('sees what is appended by others, each exactly once', async () => {
    const reader = await caughtUp()
    for (let i = 0; i < 50; i++) await send('POST', PATH, { headers: TEXT, body: `${i};` })
    await send('POST', PATH, { headers: CLOSE })

    const events = await reader.rest()
    const data = events.filter(({ kind }) => kind === 'data').map((event) => event.data)

    expect(data.join('')).toBe(Array.from({ length: 50 }, (_, i) => `${i};`).join(''))
  })
})

describe.each(ADAPTERS)('a connection that lasts a moment over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer({ sseReconnectIntervalMs: 60, sseHeartbeatIntervalMs: 0 })
    send = server.via(adapter)
  })

  afterEach(() => server.close())

  test('R-211: is ended cleanly and without an event of its own', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })

    const reader = await server.openSse(`${PATH}?offset=-1&live=sse`, adapter)
    const events = await reader.rest()

    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect(await reader.ended).toBe('complete')
    expect(server.server.statistics()?.readers).toBe(0)
  })

  test('R-211, R-195: a client that always comes back misses nothing and sees nothing twice', async () => {
    await send('PUT', PATH, { headers: { 'content-type': 'application/json' } })
    const count = 120
    const writing = (async () => {
      for (let i = 0; i < count; i++) {
        await send('POST', PATH, { headers: { 'content-type': 'application/json' }, body: String(i) })
        // Spread over several connections.
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      await send('POST', PATH, { headers: CLOSE })
    })()

    const messages: unknown[] = []
    let offset = '-1'
    let connections = 0
    for (let isOver = false; !isOver; ) {
      const reader = await server.openSse(`${PATH}?offset=${offset}&live=sse`, adapter)
      connections++
      for (const event of await reader.rest()) {
        const content: unknown = JSON.parse(event.data)
        if (event.kind === 'data' && Array.isArray(content)) messages.push(...content)
        else if (typeof content === 'object' && content !== null && 'streamNextOffset' in content) {
          offset = String(content.streamNextOffset)
          isOver = 'streamClosed' in content
        }
      }
    }
    await writing

    expect(messages).toEqual(Array.from({ length: count }, (_, i) => i))
    expect(connections).toBeGreaterThan(1)
  })
})

describe.each(ADAPTERS)('a quiet connection over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer({ sseReconnectIntervalMs: 0, sseHeartbeatIntervalMs: 30 })
    send = server.via(adapter)
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
  })

  afterEach(() => server.close())

  test('carries comments, which are no events', async () => {
    const reader = await server.openSse(`${PATH}?offset=now&live=sse`, adapter)
    const [first, ...beats] = await reader.take(4)
    await send('POST', PATH, { headers: { ...TEXT, ...CLOSE }, body: 'end' })
    const rest = await reader.rest()
    const events = rest.filter(({ kind }) => kind !== 'comment')

    expect(first?.kind).toBe('control')
    expect(beats.map(({ raw }) => Buffer.from(raw).toString())).toEqual([':\n\n', ':\n\n', ':\n\n'])
    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect(events[0]?.data).toBe('end')
  })

  test('never has a comment between data and its control event', async () => {
    const reader = await server.openSse(`${PATH}?offset=-1&live=sse`, adapter)
    const kinds: (string | undefined)[] = []
    for (let i = 0; i < 8; i++) {
      await send('POST', PATH, { headers: TEXT, body: String(i) })
      do kinds.push((await reader.next())?.kind)
      while (kinds.at(-1) !== 'comment' && kinds.at(-1) !== undefined)
    }
    const afterData = kinds.filter((_, at) => kinds[at - 1] === 'data')

    expect(afterData.length).toBeGreaterThanOrEqual(8)
    expect(new Set(afterData)).toEqual(new Set(['control']))
    expect(kinds.filter((kind) => kind === 'comment').length).toBe(8)
  })
})
