import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ADAPTERS, type Reply, type Send, startTestServer, type TestServer } from './test-server.fixture.ts'

const SOURCE = '/v1/stream/source'
const FORK = '/v1/stream/fork'
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const BINARY = { 'content-type': 'application/octet-stream' }
const CLOSE = { 'stream-closed': 'true' }
const FROM = { 'stream-forked-from': SOURCE }

function offset(position: number): string {
  return `0000000000000000_${String(position).padStart(16, '0')}`
}

function forkAt(position: number, subOffset?: number): Readonly<Record<string, string>> {
  const sub = subOffset === undefined ? {} : { 'stream-fork-sub-offset': String(subOffset) }
  return { ...FROM, 'stream-fork-offset': offset(position), ...sub }
}

function producer(seq: number): Readonly<Record<string, string>> {
  return { ...TEXT, 'producer-id': 'writer', 'producer-epoch': '3', 'producer-seq': String(seq) }
}

describe.each(ADAPTERS)('over %s', (adapter) => {
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    server = await startTestServer({ maxBodyBytes: 1000 })
    send = server.via(adapter)
  })

  afterEach(() => server.close())

  async function textOf(path: string): Promise<string> {
    return (await send('GET', path)).text
  }

  test.each([
    '-1',
    'now',
    '',
    ' ',
    'x',
    '0',
    '0_0',
    '000000000000000_0000000000000003',
    '0000000000000000_00000000000000003',
    '0000000000000000-0000000000000003',
    '0000000000000000_000000000000000a',
    '0000000000000000_0000000000000003, 0000000000000000_0000000000000003',
  ])('R-249: a Stream-Fork-Offset of %j is refused with 400', async (forkOffset) => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abcdef' })
    const reply = await send('PUT', FORK, { headers: { ...FROM, 'stream-fork-offset': forkOffset } })

    expect([reply.status, (await send('HEAD', FORK)).status]).toEqual([400, 404])
  })

  test.each([offset(7), offset(9_007_199_254_740_991), `${'9'.repeat(16)}_${'9'.repeat(16)}`])(
    'R-249: a Stream-Fork-Offset of %s, past the tail, is refused with 400',
    async (forkOffset) => {
      await send('PUT', SOURCE, { headers: TEXT, body: 'abcdef' })
      const reply = await send('PUT', FORK, { headers: { ...FROM, 'stream-fork-offset': forkOffset } })

      expect([reply.status, (await send('HEAD', FORK)).status]).toEqual([400, 404])
    },
  )

  test('R-249: an offset inside of a JSON message is refused with 400', async () => {
    await send('PUT', SOURCE, { headers: JSON_TYPE, body: '["abc","def"]' })
    const statuses: number[] = []
    for (let position = 0; position <= 14; position++) {
      const headers = { 'stream-forked-from': SOURCE, 'stream-fork-offset': offset(position) }
      statuses.push((await send('PUT', `${FORK}/${position}`, { headers })).status)
    }

    expect(statuses).toEqual(statuses.map((_, at) => (at % 7 === 0 ? 201 : 400)))
  })

  test.each([
    ['a good one', offset(0)],
    ['a sentinel', '-1'],
    ['nonsense', 'x'],
  ])('R-250: a Stream-Fork-Offset without a source is refused with 400: %s', async (_, forkOffset) => {
    const headers = { ...TEXT, 'stream-fork-offset': forkOffset }
    const reply = await send('PUT', FORK, { headers, body: 'abc' })

    expect([reply.status, (await send('HEAD', FORK)).status]).toEqual([400, 404])
  })

  test.each<[string, number, Readonly<Record<string, string>>, string]>([
    ['a malformed offset', 400, { ...FROM, 'stream-fork-offset': 'x' }, ''],
    ['a sentinel as offset', 400, { ...FROM, 'stream-fork-offset': 'now' }, ''],
    ['an offset past the tail', 400, forkAt(100), ''],
    ['an offset inside of a message', 400, forkAt(1), ''],
    ['a malformed sub-offset', 400, { ...forkAt(0), 'stream-fork-sub-offset': '01' }, ''],
    ['a sub-offset past the append', 400, forkAt(0, 4), ''],
    ['a sub-offset at the tail', 400, forkAt(9, 1), ''],
    ['a sub-offset without an offset', 400, { ...FROM, 'stream-fork-sub-offset': '1' }, ''],
    ['another content type', 409, { ...FROM, ...TEXT }, ''],
    ['a content type that is none', 400, { ...FROM, 'content-type': 'json' }, ''],
    ['a body that is no JSON', 400, FROM, '[1,'],
    ['a body that is too large', 413, FROM, `"${'x'.repeat(1000)}"`],
    ['an encoded body', 415, { ...FROM, 'content-encoding': 'gzip' }, '[1]'],
    ['a malformed TTL', 400, { ...FROM, 'stream-ttl': '1.5' }, ''],
    ['a malformed end', 400, { ...FROM, 'stream-expires-at': '2099-01-31' }, ''],
    [
      'both ways to expire',
      400,
      { ...FROM, 'stream-ttl': '9', 'stream-expires-at': '2099-01-31T12:00:00Z' },
      '',
    ],
  ])('R-254, R-255: a fork refused for %s holds nothing of its source', async (_, status, headers, body) => {
    await send('PUT', SOURCE, { headers: JSON_TYPE, body: '[1,2,3]' })
    const refused = await send('PUT', FORK, { headers, ...(body !== '' && { body }) })
    const removed = await send('DELETE', SOURCE)

    const [source, fork] = [await send('GET', SOURCE), await send('GET', FORK)]

    expect(refused.status).toBe(status)
    expect([removed.status, source.status, fork.status]).toEqual([204, 404, 404])
  })

  test('R-255: a fork refused because its path is in use holds nothing of its source', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', FORK, { headers: TEXT, body: 'here before' })
    const refused = await send('PUT', FORK, { headers: FROM })
    const removed = await send('DELETE', SOURCE)

    expect([refused.status, removed.status]).toEqual([409, 204])
    expect((await send('GET', SOURCE)).status).toBe(404)
    expect(await textOf(FORK)).toBe('here before')
  })

  test('R-255: a fork refused because its path is held by a deleted stream holds nothing of its source', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', FORK, { headers: TEXT, body: 'deleted' })
    await send('PUT', `${FORK}/of-it`, { headers: { 'stream-forked-from': FORK } })
    await send('DELETE', FORK)
    const refused = await send('PUT', FORK, { headers: FROM })
    const removed = await send('DELETE', SOURCE)

    expect([refused.status, removed.status]).toEqual([409, 204])
    expect((await send('GET', SOURCE)).status).toBe(404)
    expect(await textOf(`${FORK}/of-it`)).toBe('deleted')
  })

  test('R-255: a fork that repeats one that exists is counted once', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    const statuses: number[] = []
    for (let i = 0; i < 3; i++) statuses.push((await send('PUT', FORK, { headers: FROM })).status)
    await send('DELETE', FORK)
    const removed = await send('DELETE', SOURCE)

    expect([...statuses, removed.status]).toEqual([201, 200, 200, 204])
    expect((await send('GET', SOURCE)).status).toBe(404)
  })

  test('R-255: of forks that are asked for at once, those refused hold nothing of their source', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abcdef' })
    const asked = Array.from({ length: 20 }, (_, index) => forkAt(index % 7))
    const replies = await Promise.all(asked.map((headers) => send('PUT', FORK, { headers })))
    await send('DELETE', FORK)
    const removed = await send('DELETE', SOURCE)

    expect(replies.filter(({ status }) => status === 201).length).toBe(1)
    expect(removed.status).toBe(204)
    expect((await send('GET', SOURCE)).status).toBe(404)
  })

  test('R-257: a fork at the default offset is found again after its source went on', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    const created = await send('PUT', FORK, { headers: FROM })
    await send('POST', SOURCE, { headers: TEXT, body: 'def' })

    const again = await send('PUT', FORK, { headers: FROM })
    const explicit = await send('PUT', FORK, { headers: forkAt(3) })
    const elsewhere = await send('PUT', FORK, { headers: forkAt(6) })

    expect([created, again, explicit, elsewhere].map(({ status }) => status)).toEqual([201, 200, 200, 409])
    expect(again.headers.get('stream-next-offset')).toBe(offset(3))
    expect(await textOf(FORK)).toBe('abc')
  })

  test('R-257: a fork is found again after its source was deleted', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', FORK, { headers: FROM })
    await send('DELETE', SOURCE)

    const again = await send('PUT', FORK, { headers: FROM })
    const withType = await send('PUT', FORK, {
      headers: { ...FROM, 'content-type': 'Text/Plain; charset=utf-8' },
    })

    expect([again.status, withType.status]).toEqual([200, 200])
    expect(again.headers.get('content-type')).toBe('text/plain')
    expect(await textOf(FORK)).toBe('abc')
  })

  test('R-257: a fork with an inherited expiry is found again without one', async () => {
    await send('PUT', SOURCE, { headers: { ...TEXT, 'stream-ttl': '3600' }, body: 'abc' })
    await send('PUT', FORK, { headers: FROM })

    const again = await send('PUT', FORK, { headers: FROM })
    const same = await send('PUT', FORK, { headers: { ...FROM, 'stream-ttl': '3600' } })
    const other = await send('PUT', FORK, { headers: { ...FROM, 'stream-ttl': '60' } })

    expect([again.status, same.status, other.status]).toEqual([200, 200, 409])
  })

  test('R-256, R-257: a fork is not found as a plain stream, nor the other way round', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', FORK, { headers: FROM })
    await send('PUT', `${FORK}/plain`, { headers: TEXT })

    const plain = await send('PUT', FORK, { headers: TEXT })
    const fork = await send('PUT', `${FORK}/plain`, { headers: FROM })

    expect([plain.status, fork.status]).toEqual([409, 409])
  })

  test('R-262: a sub-offset of bytes that reaches into the next append is refused with 400', async () => {
    await send('PUT', SOURCE, { headers: BINARY, body: 'abc' })
    await send('POST', SOURCE, { headers: BINARY, body: 'defgh' })
    const replies: Reply[] = []
    for (let sub = 0; sub <= 9; sub++) {
      replies.push(await send('PUT', `${FORK}/${sub}`, { headers: forkAt(0, sub) }))
    }
    const second = await send('PUT', `${FORK}/second`, { headers: forkAt(3, 5) })
    const pastSecond = await send('PUT', `${FORK}/past`, { headers: forkAt(3, 6) })

    expect(replies.map(({ status }) => status)).toEqual([201, 201, 201, 201, 400, 400, 400, 400, 400, 400])
    expect([second.status, pastSecond.status]).toEqual([201, 400])
    expect(
      await Promise.all(['0', '1', '2', '3', 'second'].map((name) => textOf(`${FORK}/${name}`))),
    ).toEqual(['', 'a', 'ab', 'abc', 'abcdefgh'])
  })

  test('R-262: a sub-offset of messages that reaches into the next append is refused with 400', async () => {
    await send('PUT', SOURCE, { headers: JSON_TYPE, body: '[1,2]' })
    await send('POST', SOURCE, { headers: JSON_TYPE, body: '[3,4,5]' })
    const replies: Reply[] = []
    for (let sub = 0; sub <= 5; sub++) {
      replies.push(await send('PUT', `${FORK}/${sub}`, { headers: forkAt(0, sub) }))
    }

    expect(replies.map(({ status }) => status)).toEqual([201, 201, 201, 400, 400, 400])
    expect((await send('GET', `${FORK}/2`)).json()).toEqual([1, 2])
  })

  test('R-262: from the middle of an append a sub-offset counts to its end', async () => {
    await send('PUT', SOURCE, { headers: BINARY, body: 'abcde' })
    await send('POST', SOURCE, { headers: BINARY, body: 'fgh' })

    const toTheEnd = await send('PUT', FORK, { headers: forkAt(2, 3) })
    const beyond = await send('PUT', `${FORK}/beyond`, { headers: forkAt(2, 4) })

    expect([toTheEnd.status, beyond.status, await textOf(FORK)]).toEqual([201, 400, 'abcde'])
  })

  test('R-262: the prefix that a fork took is an append of its own for forks of it', async () => {
    await send('PUT', SOURCE, { headers: BINARY, body: 'abcde' })
    await send('PUT', FORK, { headers: forkAt(0, 3), body: 'XY' })
    const from = { 'stream-forked-from': FORK, 'stream-fork-offset': offset(0) }
    const replies: Reply[] = []
    for (const sub of [2, 3, 4]) {
      const headers = { ...from, 'stream-fork-sub-offset': String(sub) }
      replies.push(await send('PUT', `${FORK}/${sub}`, { headers }))
    }

    expect(replies.map(({ status }) => status)).toEqual([201, 201, 400])
    expect(await Promise.all([FORK, `${FORK}/2`, `${FORK}/3`].map(textOf))).toEqual(['abcXY', 'ab', 'abc'])
  })

  test('R-271: a fork starts without the Stream-Seq of its source, and keeps its own', async () => {
    await send('PUT', SOURCE, { headers: TEXT })
    await send('POST', SOURCE, { headers: { ...TEXT, 'stream-seq': '5' }, body: 'a' })
    await send('PUT', FORK, { headers: FROM })

    const lower = await send('POST', FORK, { headers: { ...TEXT, 'stream-seq': '3' }, body: 'b' })
    const repeated = await send('POST', FORK, { headers: { ...TEXT, 'stream-seq': '3' }, body: 'c' })
    const ofSource = await send('POST', SOURCE, { headers: { ...TEXT, 'stream-seq': '4' }, body: 'd' })

    expect([lower.status, repeated.status, ofSource.status]).toEqual([204, 409, 409])
    expect(await textOf(FORK)).toBe('ab')
  })

  test('R-271: a fork starts without the producers of its source, and keeps its own', async () => {
    await send('PUT', SOURCE, { headers: TEXT })
    await send('POST', SOURCE, { headers: producer(0), body: 'a' })
    await send('POST', SOURCE, { headers: producer(1), body: 'b' })
    await send('PUT', FORK, { headers: FROM })

    const gap = await send('POST', FORK, { headers: producer(2), body: 'x' })
    const first = await send('POST', FORK, { headers: producer(0), body: 'c' })
    const repeated = await send('POST', FORK, { headers: producer(0), body: 'c' })
    const ofSource = await send('POST', SOURCE, { headers: producer(2), body: 'd' })

    expect([gap.status, first.status, repeated.status, ofSource.status]).toEqual([409, 200, 204, 200])
    expect([await textOf(FORK), await textOf(SOURCE)]).toEqual(['abc', 'abd'])
  })

  test('R-271: the producer that closed the source has not closed the fork', async () => {
    await send('PUT', SOURCE, { headers: TEXT })
    await send('POST', SOURCE, { headers: { ...producer(0), ...CLOSE }, body: 'a' })
    await send('PUT', FORK, { headers: FROM })

    const appended = await send('POST', FORK, { headers: producer(0), body: 'b' })

    expect([appended.status, await textOf(FORK)]).toEqual([200, 'ab'])
    expect(appended.headers.get('stream-closed')).toBeNull()
  })

  test('a stream is not a fork of itself', async () => {
    const self = { 'stream-forked-from': FORK }
    const missing = await send('PUT', FORK, { headers: self })
    await send('PUT', FORK, { headers: TEXT, body: 'abc' })
    const existing = await send('PUT', FORK, { headers: self })

    expect([missing.status, existing.status, await textOf(FORK)]).toEqual([404, 409, 'abc'])
  })

  test('R-255: a fork that meets the deletion of its source gets all of it or none of it', async () => {
    const outcomes: string[] = []
    for (let round = 0; round < 60; round++) {
      const source = `${SOURCE}/${round}`
      const fork = `${FORK}/${round}`
      await send('PUT', source, { headers: TEXT, body: 'abc' })
      const ask = [
        () => send('PUT', fork, { headers: { 'stream-forked-from': source } }),
        () => send('DELETE', source),
      ]
      const replies = await Promise.all((round % 2 === 0 ? ask : ask.reverse()).map((one) => one()))
      const [forked, removed] = round % 2 === 0 ? replies : replies.reverse()
      const reads = await Promise.all([send('GET', fork), send('GET', source)])
      const seen = reads.map(({ status, text }) => (status === 200 ? text : status))
      outcomes.push([forked?.status, removed?.status, ...seen].join(' '))
    }

    const possible = ['201 204 abc 410', '404 204 404 404']
    expect(outcomes.filter((outcome) => !possible.includes(outcome))).toEqual([])
  })
})

describe.each([1, 2, 3, 5, 8, 13, 64])('in chunks of %i bytes', (chunkBytes) => {
  let server: TestServer

  beforeEach(async () => {
    server = await startTestServer({ limits: { chunkBytes } })
  })

  afterEach(() => server.close())

  /** A stream, a fork of its beginning, and a fork of that one, each with a body of its own. */
  async function createChain(
    headers: Readonly<Record<string, string>>,
    bodies: readonly string[],
  ): Promise<void> {
    const [first, second, third] = bodies
    const closed = { ...headers, ...CLOSE }
    await server.request('PUT', SOURCE, { headers, body: first ?? '' })
    await server.request('PUT', FORK, { headers: { ...headers, ...FROM }, body: second ?? '' })
    await server.request('POST', SOURCE, { headers: closed, body: second ?? '' })
    const from = { ...closed, 'stream-forked-from': FORK }
    await server.request('PUT', `${FORK}/of-it`, { headers: from, body: third ?? '' })
  }

  async function readAll(): Promise<readonly Reply[]> {
    const replies: Reply[] = []
    for (let at: string | null = '-1'; at !== null; ) {
      const reply = await server.request('GET', `${FORK}/of-it?offset=${at}`)
      replies.push(reply)
      at = reply.headers.has('stream-closed') ? null : reply.headers.get('stream-next-offset')
    }
    return replies
  }

  test('R-273, R-279: a chain of forks reads as one stream of bytes', async () => {
    await createChain(BINARY, ['abcdefg', 'HIJ', 'klmnopqrstu'])
    const reader = await server.openSse(`${FORK}/of-it?offset=-1&live=sse`)

    const read = (await readAll()).map(({ text }) => text)
    const events = (await reader.rest()).filter(({ kind }) => kind === 'data')

    expect(read.join('')).toBe('abcdefgHIJklmnopqrstu')
    expect(events.map(({ data }) => Buffer.from(data, 'base64').toString()).join('')).toBe(read.join(''))
  })

  test('R-273, R-296: a chain of JSON forks reads as whole messages', async () => {
    await createChain(JSON_TYPE, ['[1,"two",[3]]', '[{"four":4}]', '[5,"six"]'])
    const reader = await server.openSse(`${FORK}/of-it?offset=-1&live=sse`)

    const read = (await readAll()).flatMap((reply) => reply.json())
    const events = (await reader.rest()).filter(({ kind }) => kind === 'data')

    expect(read).toEqual([1, 'two', [3], { four: 4 }, 5, 'six'])
    expect(events.flatMap(({ data }) => JSON.parse(data))).toEqual(read)
  })
})
