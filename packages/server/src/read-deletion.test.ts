import { memoryStorage } from '@millrace/engine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ADAPTERS, type Send, startTestServer, type TestServer } from './test-server.fixture.ts'

const PATH = '/v1/stream/shelf/one'
const TEXT = { 'content-type': 'text/plain' }
const CLOSE = { 'stream-closed': 'true' }
const ROOM_BYTES = 1024 * 1024

function producer(epoch: number, seq: number): Readonly<Record<string, string>> {
  return { ...TEXT, 'producer-id': 'writer', 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
}

describe.each(ADAPTERS)('over %s', (adapter) => {
  let storage: ReturnType<typeof memoryStorage>
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    storage = memoryStorage({ maxBytes: ROOM_BYTES })
    server = await startTestServer({ storage })
    send = server.via(adapter)
  })

  afterEach(() => server.close())

  test('R-132, R-133: a deleted stream is missing for every request', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'abc' })
    const removed = await send('DELETE', PATH)

    const after = await Promise.all([
      send('GET', PATH),
      send('GET', `${PATH}?offset=x`),
      send('GET', `${PATH}?offset=-1&live=long-poll`),
      send('GET', `${PATH}?offset=-1&live=sse`),
      send('HEAD', PATH),
      send('POST', PATH, { headers: TEXT, body: 'abc' }),
      send('DELETE', PATH),
    ])

    expect([removed.status, removed.text]).toEqual([204, ''])
    expect(after.map((reply) => reply.status)).toEqual([404, 404, 404, 404, 404, 404, 404])
  })

  test('R-134: a closed stream can be deleted', async () => {
    await send('PUT', PATH, { headers: { ...TEXT, ...CLOSE }, body: 'abc' })

    expect((await send('DELETE', PATH)).status).toBe(204)
    expect((await send('GET', PATH)).status).toBe(404)
  })

  test('R-136: the room that a deleted stream took is free again', async () => {
    const body = 'x'.repeat(ROOM_BYTES * 0.75)
    const statuses: number[] = []
    for (let i = 0; i < 10; i++) {
      const created = await send('PUT', PATH, { headers: TEXT, body })
      const removed = await send('DELETE', PATH)
      statuses.push(created.status, removed.status)
    }

    expect(statuses).toEqual(Array(10).fill([201, 204]).flat())
    expect(await storage.list('', undefined, 10)).toEqual([])
    expect(server.server.statistics()?.entities).toBe(0)
  })

  test('R-136: the room counts appends of every size', async () => {
    const statuses = new Set<number>()
    for (let round = 0; round < 4; round++) {
      await send('PUT', PATH, { headers: TEXT })
      for (const size of [1, 100, 5_000, 9_000, 70_000, 300_000]) {
        statuses.add((await send('POST', PATH, { headers: TEXT, body: 'x'.repeat(size) })).status)
      }
      await send('DELETE', PATH)
    }

    expect(statuses).toEqual(new Set([204]))
  })

  test('R-136: a store that is full says so, and has room again after a deletion', async () => {
    const body = 'x'.repeat(ROOM_BYTES * 0.75)
    await send('PUT', PATH, { headers: TEXT, body })
    const full = await send('PUT', `${PATH}/more`, { headers: TEXT, body })
    await send('DELETE', PATH)

    const retried = await send('PUT', `${PATH}/more`, { headers: TEXT, body })

    expect([full.status, retried.status]).toEqual([507, 201])
  })

  test('R-136: producers of a deleted stream are forgotten', async () => {
    await send('PUT', PATH, { headers: TEXT })
    await send('POST', PATH, { headers: producer(5, 0), body: 'a' })
    await send('POST', PATH, { headers: producer(5, 1), body: 'b' })
    await send('DELETE', PATH)
    await send('PUT', PATH, { headers: TEXT })

    const older = await send('POST', PATH, { headers: producer(0, 0), body: 'c' })
    const read = await send('GET', PATH)

    expect([older.status, read.text]).toEqual([200, 'c'])
  })

  test('R-136: Stream-Seq, closure and configuration of a deleted stream are forgotten', async () => {
    const lasting = { 'content-type': 'application/json', 'stream-ttl': '3600' }
    await send('PUT', PATH, { headers: lasting })
    await send('POST', PATH, { headers: { ...lasting, ...CLOSE, 'stream-seq': 'zzz' }, body: '1' })
    await send('DELETE', PATH)

    const created = await send('PUT', PATH, { headers: TEXT })
    const appended = await send('POST', PATH, { headers: { ...TEXT, 'stream-seq': 'a' }, body: 'new' })
    const head = await send('HEAD', PATH)

    expect([created.status, appended.status]).toEqual([201, 204])
    expect(created.headers.get('stream-next-offset')).toBe('0000000000000000_0000000000000000')
    expect(head.headers.get('stream-closed')).toBeNull()
    expect(head.headers.get('stream-ttl')).toBeNull()
    expect(head.headers.get('content-type')).toBe('text/plain')
  })

  test('a deletion takes only the stream it names', async () => {
    await send('PUT', PATH, { headers: TEXT, body: 'one' })
    await send('PUT', `${PATH}/below`, { headers: TEXT, body: 'below' })
    await send('PUT', `${PATH}-beside`, { headers: TEXT, body: 'beside' })
    await send('DELETE', PATH)

    const left = await Promise.all([send('GET', `${PATH}/below`), send('GET', `${PATH}-beside`)])

    expect(left.map((reply) => reply.text)).toEqual(['below', 'beside'])
  })

  test.each(['soft-deleted', 'active forks', 'gone', '410'])(
    'a missing stream whose path says %j is missing, not gone',
    async (words) => {
      const path = `/v1/stream/${encodeURIComponent(words)}/${encodeURIComponent(words)}`
      const replies = await Promise.all([send('GET', path), send('HEAD', path), send('DELETE', path)])

      expect(replies.map((reply) => reply.status)).toEqual([404, 404, 404])
    },
  )

  test.each(['2099-01-31T12:00:00Z', '2099-01-31t12:00:00.250z', '2099-06-30T23:59:59.123456+02:00'])(
    'R-142: HEAD repeats the Stream-Expires-At %s as it was given',
    async (expiresAt) => {
      await send('PUT', PATH, { headers: { ...TEXT, 'stream-expires-at': expiresAt } })

      const head = await send('HEAD', PATH)

      expect(head.status).toBe(200)
      expect(head.headers.get('stream-expires-at')).toBe(expiresAt)
      expect(head.headers.get('stream-ttl')).toBeNull()
    },
  )

  test('R-137, R-141: HEAD tells what GET would, without a body', async () => {
    await send('PUT', PATH, { headers: { ...TEXT, 'stream-ttl': '3600' }, body: 'abc' })
    const read = await send('GET', PATH)

    const head = await send('HEAD', PATH)

    expect([head.status, head.bytes.length]).toEqual([200, 0])
    const told = ['content-type', 'stream-next-offset']
    expect(told.map((name) => head.headers.get(name))).toEqual(told.map((name) => read.headers.get(name)))
    expect(head.headers.get('stream-ttl')).toBe('3600')
    expect(head.headers.get('stream-up-to-date')).toBeNull()
  })
})
