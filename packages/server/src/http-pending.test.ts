/** Requests whose commit is still on its way: every answer waits for the facts it rests on. */
import { memoryStorage, type StreamStorage } from '@millrace/engine'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  type Reply,
  rawExchange,
  type Send,
  type SendHeaders,
  startTestServer,
  type TestServer,
} from './test-server.fixture.ts'

const PATH = '/v1/stream/held'
const TEXT = { 'content-type': 'text/plain' }
const CLOSE = { 'stream-closed': 'true' }

function stamp(id: string, epoch: number, seq: number): Readonly<Record<string, string>> {
  return { 'producer-id': id, 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
}

/** A memory store whose commits, once held, take until they are released. */
interface HeldStorage {
  readonly storage: StreamStorage
  readonly batches: readonly Parameters<StreamStorage['commit']>[0][]
  hold(): void
  release(): void
}

function heldStorage(): HeldStorage {
  const inner = memoryStorage()
  const batches: Parameters<StreamStorage['commit']>[0][] = []
  let gate = Promise.resolve()
  let open = (): void => undefined
  const storage: StreamStorage = {
    traits: { ...inner.traits, gathersCommits: true },
    generation: inner.generation,
    load: (paths) => inner.load(paths),
    async commit(batch) {
      batches.push(batch)
      await gate
      return inner.commit(batch)
    },
    read: (range) => inner.read(range),
    unitAt: (id, position) => inner.unitAt(id, position),
    touch: (touches) => inner.touch(touches),
    list: (prefix, after, limit) => inner.list(prefix, after, limit),
    due: (atOrBeforeMs, limit) => inner.due(atOrBeforeMs, limit),
    close: () => inner.close(),
  }
  return {
    storage,
    batches,
    hold() {
      gate = new Promise((resolve) => {
        open = resolve
      })
    },
    release: () => open(),
  }
}

const opened: TestServer[] = []
afterEach(() => Promise.all(opened.splice(0).map((server) => server.close())))

interface Held extends HeldStorage {
  readonly server: TestServer
  readonly request: Send
  post(headers: SendHeaders, body?: string): Promise<Reply>
  /** Resolves when this many commits are decided but not durable. */
  untilPending(count: number): Promise<void>
}

async function start(): Promise<Held> {
  const held = heldStorage()
  const server = await startTestServer({ storage: held.storage, longPollTimeoutMs: 600_000 })
  opened.push(server)
  const { request } = server
  return {
    ...held,
    server,
    request,
    post: (headers, body = '') => request('POST', PATH, { headers, body }),
    untilPending: (count) =>
      vi.waitFor(() => expect(server.server.statistics()?.pendingCommits).toBe(count), { interval: 2 }),
  }
}

/** How many of these are answered by now. */
function countAnswers(replies: readonly Promise<Reply>[]): () => number {
  let answers = 0
  for (const reply of replies) {
    reply.then(
      () => answers++,
      () => answers++,
    )
  }
  return () => answers
}

describe('while commits are on their way', () => {
  it('a close acknowledged while four appends are in flight stays closed', async () => {
    const { request, post, hold, release, untilPending } = await start()
    await request('PUT', PATH, { headers: TEXT })
    hold()
    const appends = ['a', 'b', 'c', 'd'].map((body) => post(TEXT, body))
    await untilPending(4)
    const closing = post(CLOSE)
    await untilPending(5)
    const answered = countAnswers([...appends, closing])
    const late = post(TEXT, 'late')
    const found = await request('HEAD', PATH)
    expect([answered(), found.headers.get('stream-closed')]).toEqual([0, null])
    release()
    const replies = await Promise.all([...appends, closing, late])
    expect(replies.map(({ status }) => status)).toEqual([204, 204, 204, 204, 204, 409])
    const after = await post(TEXT, 'x')
    const read = await request('GET', PATH)
    expect([after.status, read.headers.get('stream-closed')]).toEqual([409, 'true'])
    expect([...read.text].sort().join('')).toBe('abcd')
  })

  it('R-068: the PUTs that find a stream wait until it is there', async () => {
    const { request, hold, release, untilPending } = await start()
    hold()
    const puts = Array.from({ length: 20 }, (_, index) =>
      request('PUT', PATH, { headers: TEXT, body: `body ${index}` }),
    )
    await untilPending(1)
    const answered = countAnswers(puts)
    const missing = await request('GET', PATH)
    expect([answered(), missing.status]).toEqual([0, 404])
    release()
    const statuses = (await Promise.all(puts)).map(({ status }) => status)
    expect([...statuses].sort()).toEqual([...Array.from({ length: 19 }, () => 200), 201])
    const read = await request('GET', PATH)
    expect(read.text).toBe(`body ${statuses.indexOf(201)}`)
  })

  it('R-084: an append with the Stream-Seq of one in flight is refused once that one is stored', async () => {
    const { request, post, hold, release, untilPending } = await start()
    await request('PUT', PATH, { headers: TEXT })
    hold()
    const rivals = ['x', 'y', 'z'].map((body) => post({ ...TEXT, 'stream-seq': '7' }, body))
    await untilPending(1)
    const answered = countAnswers(rivals)
    const found = await request('HEAD', PATH)
    expect([answered(), found.headers.get('stream-next-offset')]).toEqual([
      0,
      '0000000000000000_0000000000000000',
    ])
    release()
    const statuses = (await Promise.all(rivals)).map(({ status }) => status)
    expect([...statuses].sort()).toEqual([204, 409, 409])
    const read = await request('GET', PATH)
    expect(read.text).toBe(['x', 'y', 'z'][statuses.indexOf(204)])
  })

  it('R-111: a duplicate of an append in flight is answered together with it', async () => {
    const { request, post, hold, release, untilPending } = await start()
    await request('PUT', PATH, { headers: TEXT })
    hold()
    const first = post({ ...TEXT, ...stamp('p', 0, 0) }, 'a')
    await untilPending(1)
    const duplicates = [1, 2, 3].map(() => post({ ...TEXT, ...stamp('p', 0, 0) }, 'a'))
    const second = post({ ...TEXT, ...stamp('p', 0, 1) }, 'b')
    await untilPending(2)
    const answered = countAnswers([first, ...duplicates, second])
    const read = await request('GET', PATH)
    expect([answered(), read.text]).toEqual([0, ''])
    release()
    const replies = await Promise.all([first, ...duplicates, second])
    expect(replies.map(({ status }) => status)).toEqual([200, 204, 204, 204, 200])
    expect((await request('GET', PATH)).text).toBe('ab')
  })

  it('R-112: bytes, producer, Stream-Seq and closure reach the store in one change', async () => {
    const { request, post, batches } = await start()
    await request('PUT', PATH, { headers: TEXT })
    const before = batches.length
    await post({ ...TEXT, ...CLOSE, ...stamp('p', 3, 0), 'stream-seq': 'a' }, 'all')
    const changes = batches.slice(before).flatMap((batch) => batch.flatMap((commit) => commit.changes))
    expect(changes).toHaveLength(1)
    const [change] = changes
    expect(Buffer.from(change?.payload ?? []).toString()).toBe('all')
    expect(change?.next?.producers.get('p')).toMatchObject({ epoch: 3, lastSeq: 0 })
    expect(change?.next).toMatchObject({
      tail: 3,
      streamSeq: 'a',
      closed: true,
      closedBy: { id: 'p', epoch: 3, seq: 0 },
    })
  })

  it('R-130: readers are woken by a close when it is stored, and not before', async () => {
    const { server, request, post, hold, release, untilPending } = await start()
    await request('PUT', PATH, { headers: TEXT, body: 'data' })
    const waiting = request('GET', `${PATH}?offset=now&live=long-poll`)
    const sse = await server.openSse(`${PATH}?offset=now&live=sse`)
    await server.untilReaders(2)
    await sse.take(1)
    hold()
    const closing = post({ ...TEXT, ...CLOSE }, 'final')
    await untilPending(1)
    const answered = countAnswers([waiting, closing])
    await request('GET', PATH)
    expect([answered(), server.server.statistics()?.readers]).toEqual([0, 2])
    release()
    const [polled, events] = [await waiting, await sse.rest()]
    expect([polled.status, polled.text, polled.headers.get('stream-closed')]).toEqual([200, 'final', 'true'])
    expect(events.map(({ kind }) => kind)).toEqual(['data', 'control'])
    expect(events[0]?.data).toBe('final')
    expect((await closing).status).toBe(204)
  })

  it('an append that gets stored is not answered with the refusal of the bytes after it', async () => {
    const { server, request, hold, release, untilPending } = await start()
    await request('PUT', PATH, { headers: TEXT })
    hold()
    const append = `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx`
    const exchange = rawExchange(server.port, `${append}nonsense\r\n\r\n`)
    await untilPending(1)
    release()
    const { replies } = await exchange
    const read = await request('GET', PATH)
    expect(read.text).toBe('x')
    expect(replies.map(({ status }) => status)).toEqual([204, 400])
  })

  it('refuses with 503 and Retry-After what would wait behind too many commits', async () => {
    const held = heldStorage()
    const server = await startTestServer({ storage: held.storage, limits: { maxPendingCommits: 2 } })
    opened.push(server)
    await server.request('PUT', PATH, { headers: TEXT })
    held.hold()
    const first = [1, 2].map(() => server.request('POST', PATH, { headers: TEXT, body: 'x' }))
    await vi.waitFor(() => expect(server.server.statistics()?.pendingCommits).toBe(2), { interval: 2 })
    const refused = await server.request('POST', PATH, { headers: TEXT, body: 'y' })
    held.release()
    const replies = await Promise.all(first)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(refused.json()).toMatchObject({ code: 'UNAVAILABLE' })
    expect(replies.map(({ status }) => status)).toEqual([204, 204])
    const again = await server.request('POST', PATH, { headers: TEXT, body: 'y' })
    expect([again.status, (await server.request('GET', PATH)).text]).toEqual([204, 'xxy'])
  })
})

describe('while there is too much of something', () => {
  it('refuses one live reader too many with 503 and Retry-After, and admits the next when one has gone', async () => {
    const server = await startTestServer({ longPollTimeoutMs: 600_000, limits: { maxReadersPerStream: 1 } })
    opened.push(server)
    await server.request('PUT', PATH, { headers: TEXT })
    const sse = await server.openSse(`${PATH}?offset=now&live=sse`)
    await server.untilReaders(1)
    for (const live of ['long-poll', 'sse']) {
      const refused = await server.request('GET', `${PATH}?offset=now&live=${live}`)
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
      expect(refused.json()).toMatchObject({ code: 'UNAVAILABLE' })
    }
    sse.abort()
    await server.untilReaders(0)
    const waiting = server.request('GET', `${PATH}?offset=now&live=long-poll`)
    await server.untilReaders(1)
    await server.request('POST', PATH, { headers: TEXT, body: 'x' })
    expect((await waiting).text).toBe('x')
  })
})
