/** Closing over HTTP: whom it wakes, what it outlasts, and what does not close. */
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, type Reply, type Send, type SendHeaders, startTestServer } from './test-server.fixture.ts'

/** Nobody gets an answer from it because the time is over. */
const server = await startTestServer({ longPollTimeoutMs: 600_000, sseReconnectIntervalMs: 0 })
afterAll(() => server.close())

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const CLOSE = { 'stream-closed': 'true' }

function stamp(id: string, epoch: number, seq: number): Readonly<Record<string, string>> {
  return { 'producer-id': id, 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
}

function offsetOf({ headers }: Reply): string {
  return headers.get('stream-next-offset') ?? ''
}

describe.each(ADAPTERS)('%s adapter', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/${adapter}`
  const post = (name: string, headers: SendHeaders, body = ''): ReturnType<Send> =>
    request('POST', `${path}/${name}`, { headers, body })
  const poll = (name: string, offset: string): Promise<Reply> =>
    request('GET', `${path}/${name}?offset=${offset}&live=long-poll`)

  it.each([
    ['its producer', 'closer'],
    ['another producer', 'other'],
    ['a producer it has never seen', 'unknown'],
  ])('R-128: refuses a stale epoch of %s on a closed stream as closed', async (_, id) => {
    const target = `stale/${id}`
    await request('PUT', `${path}/${target}`, { headers: TEXT })
    await post(target, { ...TEXT, ...stamp('other', 5, 0) }, 'a')
    await post(target, { ...TEXT, ...CLOSE, ...stamp('closer', 5, 0) }, 'b')
    for (const extra of [TEXT, { ...TEXT, ...CLOSE }]) {
      const refused = await post(target, { ...extra, ...stamp(id, 4, 0) }, 'x')
      expect(refused.status).toBe(409)
      expect(refused.headers.get('stream-closed')).toBe('true')
      expect(offsetOf(refused)).toBe('0000000000000000_0000000000000002')
      expect(refused.json()).toMatchObject({ code: 'STREAM_CLOSED' })
    }
    const read = await request('GET', `${path}/${target}`)
    expect(read.text).toBe('ab')
  })

  it('R-130: a close without data wakes every long-poll at once', async () => {
    const created = await request('PUT', `${path}/wake`, { headers: TEXT, body: 'data' })
    const waiting = ['now', 'now', 'now', offsetOf(created), offsetOf(created)].map((at) => poll('wake', at))
    await server.untilReaders(waiting.length)
    await post('wake', CLOSE)
    const replies = await Promise.all(waiting)
    for (const reply of replies) {
      expect([reply.status, reply.text]).toEqual([204, ''])
      expect(reply.headers.get('stream-closed')).toBe('true')
      expect(reply.headers.get('stream-up-to-date')).toBe('true')
      expect(offsetOf(reply)).toBe(offsetOf(created))
    }
  })

  it('R-130: a close without data ends every SSE reader at once', async () => {
    const created = await request('PUT', `${path}/wake-sse`, { headers: TEXT, body: 'data' })
    const target = `${path}/wake-sse`
    const readers = await Promise.all([
      server.openSse(`${target}?offset=-1&live=sse`, adapter),
      server.openSse(`${target}?offset=now&live=sse`, adapter),
      server.openSse(`${target}?offset=${offsetOf(created)}&live=sse`, adapter),
    ])
    await server.untilReaders(readers.length)
    await post('wake-sse', CLOSE)
    const last = await Promise.all(readers.map(async (reader) => (await reader.rest()).at(-1)))
    const ended = await Promise.all(readers.map((reader) => reader.ended))
    const closing = `{"streamNextOffset":"${offsetOf(created)}","upToDate":true,"streamClosed":true}`
    expect(last.map((event) => [event?.kind, event?.data])).toEqual(readers.map(() => ['control', closing]))
    expect(ended).toEqual(readers.map(() => 'complete'))
  })

  it.each([
    ['a producer', { ...CLOSE, ...stamp('p', 0, 0) }],
    ['nobody in particular', CLOSE],
  ])(
    'R-130: a close by %s is seen by a reader of the waiting kind and by the next one',
    async (who, headers) => {
      const target = `wake-next/${encodeURIComponent(who)}`
      await request('PUT', `${path}/${target}`, { headers: TEXT })
      const waiting = poll(target, 'now')
      await server.untilReaders(1)
      const closed = await post(target, headers)
      const [first, next] = [await waiting, await poll(target, 'now')]
      expect([closed.status, first.status, next.status]).toEqual([204, 204, 204])
      expect([first, next].map((reply) => reply.headers.get('stream-closed'))).toEqual(['true', 'true'])
    },
  )

  it('a long-poll that waits while somebody appends "final" and closes gets "final"', async () => {
    await request('PUT', `${path}/final`, { headers: TEXT, body: 'start' })
    const waiting = [poll('final', 'now'), poll('final', '0000000000000000_0000000000000005')]
    await server.untilReaders(waiting.length)
    await post('final', { ...TEXT, ...CLOSE }, 'final')
    for (const reply of await Promise.all(waiting)) {
      expect([reply.status, reply.text]).toEqual([200, 'final'])
      expect(reply.headers.get('stream-closed')).toBe('true')
      expect(reply.headers.get('stream-up-to-date')).toBe('true')
    }
  })

  it('a long-poll that waits while "final" and the close come right after each other gets "final"', async () => {
    for (let round = 0; round < 20; round++) {
      const target = `final-pair/${round}`
      await request('PUT', `${path}/${target}`, { headers: TEXT, body: 'start' })
      const waiting = poll(target, 'now')
      await server.untilReaders(1)
      const appended = post(target, TEXT, 'final')
      const closed = appended.then(() => post(target, CLOSE))
      const reply = await waiting
      expect([reply.status, reply.text]).toEqual([200, 'final'])
      expect((await closed).status).toBe(204)
      const end = await poll(target, offsetOf(reply))
      expect([end.status, end.headers.get('stream-closed')]).toEqual([204, 'true'])
    }
  })

  it.each([
    ['an old one', 0],
    ['the last one', 1],
  ])('R-131: a duplicate of %s that carries Stream-Closed does not close', async (name, seq) => {
    const target = `duplicate/${encodeURIComponent(name)}`
    await request('PUT', `${path}/${target}`, { headers: TEXT })
    await post(target, { ...TEXT, ...stamp('p', 0, 0) }, 'a')
    await post(target, { ...TEXT, ...stamp('p', 0, 1) }, 'b')
    const withBody = await post(target, { ...TEXT, ...CLOSE, ...stamp('p', 0, seq) }, 'x')
    const closeOnly = await post(target, { ...CLOSE, ...stamp('p', 0, seq) })
    for (const reply of [withBody, closeOnly]) {
      expect([reply.status, reply.headers.get('stream-closed')]).toEqual([204, null])
      expect(reply.headers.get('producer-seq')).toBe('1')
    }
    const found = await request('HEAD', `${path}/${target}`)
    const next = await post(target, { ...TEXT, ...stamp('p', 0, 2) }, 'c')
    const read = await request('GET', `${path}/${target}`)
    expect([found.headers.get('stream-closed'), next.status, read.text]).toEqual([null, 200, 'abc'])
  })

  it('no request opens a closed stream again', async () => {
    await request('PUT', `${path}/for-good`, { headers: TEXT })
    await post('for-good', { ...TEXT, ...CLOSE, ...stamp('p', 3, 0) }, 'all')
    const open = { 'stream-closed': 'false' }
    await request('PUT', `${path}/for-good`, { headers: { ...TEXT, ...open } })
    await post('for-good', { ...TEXT, ...open }, 'x')
    await post('for-good', { ...TEXT, ...open, ...stamp('p', 3, 0) }, 'x')
    await post('for-good', { ...TEXT, ...open, ...stamp('p', 3, 1) }, 'x')
    await post('for-good', { ...TEXT, ...open, ...stamp('p', 4, 0) }, 'x')
    await post('for-good', { ...TEXT, ...open, 'stream-seq': 'z' }, 'x')
    const found = await request('HEAD', `${path}/for-good`)
    const read = await request('GET', `${path}/for-good`)
    expect([found.headers.get('stream-closed'), read.text]).toEqual(['true', 'all'])
  })

  it('leaves no reader behind', async () => {
    await server.untilReaders(0)
    expect(server.server.statistics()?.readers).toBe(0)
    expect(server.errors).toEqual([])
  })
})
