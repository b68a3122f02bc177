/** POST: what an append answers, which refusal comes first, and that a refusal changes nothing. */
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, membersOf, type Send, type SendHeaders, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
afterAll(() => server.close())

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const CLOSE = { 'stream-closed': 'true' }

function stamp(id: string, epoch: number, seq: number): Readonly<Record<string, string>> {
  return { 'producer-id': id, 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
}

async function textOf(request: Send, path: string): Promise<string> {
  return (await request('GET', path)).text
}

it('R-086: the documentation says what Stream-Seq is scoped to', () => {
  const notes = readFileSync(new URL('../../../docs/protocol-notes.md', import.meta.url), 'utf8')
  expect(notes).toMatch(/`Stream-Seq` is scoped to the stream/)
})

describe.each(ADAPTERS)('%s adapter', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/${adapter}`
  const post = (name: string, headers: SendHeaders, body = ''): ReturnType<Send> =>
    request('POST', `${path}/${name}`, { headers, body })

  it.each([
    ['an append', TEXT, 'more', 204, 7],
    ['a producer append', { ...TEXT, ...stamp('p', 0, 1) }, 'more', 200, 7],
    ['a duplicate', { ...TEXT, ...stamp('p', 0, 0) }, 'more', 204, 3],
    ['a close', CLOSE, '', 204, 3],
    ['an append that closes', { ...TEXT, ...CLOSE }, 'more', 204, 7],
    ['a producer close', { ...CLOSE, ...stamp('p', 0, 1) }, '', 204, 3],
    ['a producer append that closes', { ...TEXT, ...CLOSE, ...stamp('p', 0, 1) }, 'more', 200, 7],
  ])('R-073: answers %s with the offset after it', async (name, headers, body, status, tail) => {
    const target = `offset/${encodeURIComponent(name)}`
    await request('PUT', `${path}/${target}`, { headers: TEXT })
    await post(target, { ...TEXT, ...stamp('p', 0, 0) }, 'abc')
    const reply = await post(target, headers, body)
    const found = await request('HEAD', `${path}/${target}`)
    expect(reply.status).toBe(status)
    expect(reply.headers.get('stream-next-offset')).toBe(`0000000000000000_${String(tail).padStart(16, '0')}`)
    expect(found.headers.get('stream-next-offset')).toBe(reply.headers.get('stream-next-offset'))
    expect(reply.headers.get('stream-closed')).toBe('stream-closed' in headers ? 'true' : null)
  })

  it('R-073: answers a close that finds the stream closed, and a refused append, with the final offset', async () => {
    await request('PUT', `${path}/final`, { headers: { ...TEXT, ...CLOSE }, body: 'abc' })
    const again = await post('final', CLOSE)
    const refused = await post('final', TEXT, 'x')
    expect([again.status, refused.status]).toEqual([204, 409])
    const offsets = [again, refused].map(({ headers }) => headers.get('stream-next-offset'))
    expect(offsets).toEqual(['0000000000000000_0000000000000003', '0000000000000000_0000000000000003'])
  })

  it('R-073: answers concurrent appends with offsets that each name the end of one of them', async () => {
    await request('PUT', `${path}/offsets`, { headers: TEXT })
    const bodies = Array.from({ length: 20 }, (_, index) => `<${index}>`)
    const replies = await Promise.all(bodies.map((body) => post('offsets', TEXT, body)))
    const all = await textOf(request, `${path}/offsets`)
    const ends = replies.map(({ headers }) => Number(headers.get('stream-next-offset')?.slice(17)))
    expect(bodies.map((body, index) => all.slice(0, ends[index]).endsWith(body))).toEqual(
      bodies.map(() => true),
    )
  })

  it('R-009: closes for exactly the value true, whatever its case', async () => {
    for (const [index, value] of ['true', 'TRUE', 'True', 'tRuE', ' true\t'].entries()) {
      const target = `closing/${index}`
      await request('PUT', `${path}/${target}`, { headers: TEXT })
      const reply = await post(target, { 'stream-closed': value })
      const created = await request('PUT', `${path}/${target}/new`, {
        headers: { ...TEXT, 'stream-closed': value },
      })
      expect([value, reply.status, reply.headers.get('stream-closed')]).toEqual([value, 204, 'true'])
      expect([value, created.status, created.headers.get('stream-closed')]).toEqual([value, 201, 'true'])
    }
  })

  it.each(['false', 'FALSE', '1', 'yes', '', 'truee', '"true"', 'true;', 'true, true', 'Ture', '\xeb'])(
    'R-009: takes Stream-Closed: %s for no such header',
    async (value) => {
      const target = `ignoring/-${encodeURIComponent(value)}`
      const headers = { ...TEXT, 'stream-closed': value }
      const created = await request('PUT', `${path}/${target}`, { headers })
      const appended = await post(target, headers, 'x')
      const empty = await post(target, headers)
      const found = await request('HEAD', `${path}/${target}`)
      expect([created.status, appended.status, empty.status]).toEqual([201, 204, 400])
      expect(empty.json()).toMatchObject({ code: 'EMPTY_BODY' })
      const closed = [created, appended, found].map((reply) => reply.headers.get('stream-closed'))
      expect(closed).toEqual([null, null, null])
    },
  )

  it('R-009: takes a repeated Stream-Closed for no such header', async () => {
    await request('PUT', `${path}/repeated`, { headers: TEXT })
    const reply = await post('repeated', { ...TEXT, 'stream-closed': ['true', 'true'] }, 'x')
    expect([reply.status, reply.headers.get('stream-closed')]).toEqual([204, null])
  })

  it('R-080: names closure before type, and type before sequence', async () => {
    const wrong = { 'content-type': 'text/html', 'stream-seq': '1' }
    await request('PUT', `${path}/order`, { headers: TEXT })
    await post('order', { ...TEXT, 'stream-seq': '5' }, 'x')
    const sequence = await post('order', { ...TEXT, 'stream-seq': '1' }, 'y')
    const type = await post('order', wrong, 'y')
    await post('order', CLOSE)
    const closed = await post('order', wrong, 'y')
    const closing = await post('order', { ...wrong, ...CLOSE }, 'y')
    const inOrder = await post('order', { ...TEXT, 'stream-seq': '1' }, 'y')
    const codes = [sequence, type, closed, closing, inOrder].map((reply) =>
      membersOf(reply.json()).get('code'),
    )
    expect(codes).toEqual([
      'SEQUENCE_CONFLICT',
      'CONTENT_TYPE_MISMATCH',
      'STREAM_CLOSED',
      'STREAM_CLOSED',
      'STREAM_CLOSED',
    ])
    const flags = [sequence, type, closed, closing].map(({ headers }) => headers.get('stream-closed'))
    expect(flags).toEqual([null, null, 'true', 'true'])
    expect(new Set([sequence, type, closed, closing].map(({ status }) => status))).toEqual(new Set([409]))
  })

  it('R-080: names a bad body of a closed stream as closed', async () => {
    await request('PUT', `${path}/order-json`, { headers: { ...JSON_TYPE, ...CLOSE } })
    const invalid = await post('order-json', JSON_TYPE, '{')
    const empty = await post('order-json', JSON_TYPE, '[]')
    expect([invalid.status, empty.status]).toEqual([409, 409])
    expect([invalid, empty].map((reply) => membersOf(reply.json()).get('code'))).toEqual([
      'STREAM_CLOSED',
      'STREAM_CLOSED',
    ])
  })

  it('R-084: accepts exactly one of 20 concurrent appends with the same Stream-Seq', async () => {
    await request('PUT', `${path}/rivals`, { headers: TEXT })
    for (const seq of ['a', 'b', 'c']) {
      const bodies = Array.from({ length: 20 }, (_, index) => `${seq}${index};`)
      const before = await textOf(request, `${path}/rivals`)
      const replies = await Promise.all(
        bodies.map((body) => post('rivals', { ...TEXT, 'stream-seq': seq }, body)),
      )
      const accepted = bodies.filter((_, index) => replies[index]?.status === 204)
      expect(accepted).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 409)).toHaveLength(19)
      expect(await textOf(request, `${path}/rivals`)).toBe(before + accepted[0])
    }
  })

  it('R-086: keeps one Stream-Seq for each stream, whoever writes it, and none for a fork', async () => {
    await request('PUT', `${path}/scope`, { headers: TEXT })
    await request('PUT', `${path}/scope-other`, { headers: TEXT })
    const first = await post('scope', { ...TEXT, 'stream-seq': 'm' }, 'x')
    const other = await post('scope-other', { ...TEXT, 'stream-seq': 'a' }, 'x')
    const producer = await post('scope', { ...TEXT, ...stamp('p', 0, 0), 'stream-seq': 'm' }, 'y')
    await request('PUT', `${path}/scope-fork`, { headers: { 'stream-forked-from': `${path}/scope` } })
    const forked = await post('scope-fork', { ...TEXT, 'stream-seq': 'a' }, 'z')
    expect([first, other, producer, forked].map(({ status }) => status)).toEqual([204, 204, 409, 204])
  })

  it.each([
    ['another type', { 'content-type': 'text/plain' }, '{"a":1}', 409],
    ['a missing type', {}, '{"a":1}', 400],
    ['invalid JSON', JSON_TYPE, '{"a":', 400],
    ['JSON that is not UTF-8', JSON_TYPE, Uint8Array.of(0x22, 0xff, 0x22), 400],
    ['an empty array', JSON_TYPE, '[]', 400],
    ['no body', JSON_TYPE, '', 400],
    ['a Stream-Seq that is not greater', { ...JSON_TYPE, 'stream-seq': 'm' }, '{"a":1}', 409],
    ['an empty Stream-Seq', { ...JSON_TYPE, 'stream-seq': '' }, '{"a":1}', 400],
    ['a body in gzip', { ...JSON_TYPE, 'content-encoding': 'gzip' }, '{"a":1}', 415],
  ])('R-087: an append refused for %s changes nothing', async (name, headers, body, status) => {
    const target = `${path}/refused/${encodeURIComponent(name)}`
    const send = (extra: SendHeaders, data: string | Uint8Array): ReturnType<Send> =>
      request('POST', target, { headers: extra, body: data })
    await request('PUT', target, { headers: JSON_TYPE })
    await send({ ...JSON_TYPE, ...stamp('p', 3, 0), 'stream-seq': 'm' }, '[0]')
    const refusals = [
      await send({ 'stream-seq': 'z', ...headers, ...stamp('p', 3, 1), ...closeUnlessEmpty(body) }, body),
      await send({ 'stream-seq': 'z', ...headers, ...stamp('p', 4, 0) }, body),
      await send({ 'stream-seq': 'z', ...headers, ...stamp('q', 0, 0) }, body),
    ]
    expect(refusals.map((reply) => reply.status)).toEqual([status, status, status])
    expect(await textOf(request, target)).toBe('[0]')
    const next = await send({ ...JSON_TYPE, ...stamp('p', 3, 1), 'stream-seq': 'n' }, '[1]')
    const other = await send({ ...JSON_TYPE, ...stamp('q', 0, 0), 'stream-seq': 'o' }, '[2]')
    expect([next.status, other.status]).toEqual([200, 200])
    expect(await textOf(request, target)).toBe('[0,1,2]'.replaceAll(',', ',\n'))
  })

  it.each([
    ['a gap', stamp('p', 3, 5), 409],
    ['a stale epoch', stamp('p', 2, 1), 403],
    ['a new epoch that does not start at 0', stamp('p', 4, 1), 400],
  ])('R-087: an append refused for %s of its producer changes nothing', async (name, headers, status) => {
    const target = `${path}/refused-producer/${encodeURIComponent(name)}`
    const send = (extra: SendHeaders, body: string): ReturnType<Send> =>
      request('POST', target, { headers: { ...TEXT, ...extra }, body })
    await request('PUT', target, { headers: TEXT })
    await send({ ...stamp('p', 3, 0), 'stream-seq': 'm' }, 'a')
    const refused = await send({ ...headers, ...CLOSE, 'stream-seq': 'z' }, 'x')
    const next = await send({ ...stamp('p', 3, 1), 'stream-seq': 'n' }, 'b')
    expect([refused.status, next.status]).toEqual([status, 200])
    expect(refused.headers.get('stream-closed')).toBeNull()
    expect(await textOf(request, target)).toBe('ab')
  })

  it('keeps every digit of {"n": 12345678901234567890}', async () => {
    const body = '{"n": 12345678901234567890}'
    await request('PUT', `${path}/digits`, { headers: JSON_TYPE, body })
    await post('digits', JSON_TYPE, `[${body},1e400,-0.10]`)
    expect(await textOf(request, `${path}/digits`)).toBe(`[${body},\n${body},\n1e400,\n-0.10]`)
    const sse = await server.openSse(`${path}/digits?offset=-1&live=sse`, adapter)
    const [data] = await sse.take(1)
    sse.abort()
    expect(data?.data).toBe(`[${body},\n${body},\n1e400,\n-0.10]`)
  })
})

/** Close as well where that would not turn an empty append into a close. */
function closeUnlessEmpty(body: string | Uint8Array): SendHeaders {
  return body.length === 0 ? {} : CLOSE
}
