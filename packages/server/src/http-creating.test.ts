/** PUT: what a stream is created with, and when another PUT finds it to be as described. */
import { afterAll, describe, expect, it } from 'vitest'
import { DEFAULT_PORT } from './index.ts'
import { ADAPTERS, type Send, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
afterAll(() => server.close())

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const CLOSED = { 'stream-closed': 'true' }

function nextOffset({ headers }: { readonly headers: Headers }): string {
  return headers.get('stream-next-offset') ?? 'none'
}

async function textOf(request: Send, path: string): Promise<string> {
  return (await request('GET', path)).text
}

it('R-024: listens on port 4437 unless told otherwise', () => {
  expect(DEFAULT_PORT).toBe(4437)
})

describe.each(ADAPTERS)('%s adapter', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/${adapter}`

  it.each([
    ['nothing', 'text/plain', '', 0],
    ['text', 'text/plain', 'hello', 5],
    ['bytes', 'application/octet-stream', '\0\x01', 2],
    ['an empty array', 'application/json', '[]', 0],
  ])('R-056: answers 201 and 200 with the offset after %s', async (name, type, body, size) => {
    const target = `${path}/offset/${encodeURIComponent(name)}`
    const headers = { 'content-type': type }
    const created = await request('PUT', target, { headers, body })
    const again = await request('PUT', target, { headers })
    const found = await request('HEAD', target)
    expect([created.status, again.status]).toEqual([201, 200])
    const offset = `0000000000000000_${String(size).padStart(16, '0')}`
    expect([nextOffset(created), nextOffset(again), nextOffset(found)]).toEqual([offset, offset, offset])
  })

  it('R-056: answers with the tail of that moment, which later appends have moved', async () => {
    const target = `${path}/moved`
    const created = await request('PUT', target, { headers: JSON_TYPE, body: '[1,2]' })
    const appended = await request('POST', target, { headers: JSON_TYPE, body: '3' })
    const again = await request('PUT', target, { headers: JSON_TYPE })
    expect(nextOffset(created) < nextOffset(appended)).toBe(true)
    expect(nextOffset(again)).toBe(nextOffset(appended))
    const rest = await request('GET', `${target}?offset=${nextOffset(created)}`)
    expect(rest.text).toBe('[3]')
  })

  it('R-056: says so when the stream is closed, created so or not', async () => {
    const headers = { ...TEXT, ...CLOSED }
    const created = await request('PUT', `${path}/closed-at-once`, { headers, body: 'all' })
    const again = await request('PUT', `${path}/closed-at-once`, { headers })
    expect([created.status, again.status]).toEqual([201, 200])
    expect([created, again].map((reply) => reply.headers.get('stream-closed'))).toEqual(['true', 'true'])
    expect(nextOffset(again)).toBe(nextOffset(created))
  })

  it('a PUT of text/plain finds a stream of text/plain; charset=utf-8', async () => {
    const created = await request('PUT', `${path}/charset`, {
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    })
    const again = await request('PUT', `${path}/charset`, { headers: TEXT })
    expect([created.status, again.status]).toEqual([201, 200])
    expect(again.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  })

  it.each([
    ['text/plain', 'text/plain; charset=utf-8'],
    ['text/plain;charset=utf-8', 'TEXT/Plain; Charset="latin1"; x=y'],
    ['application/json; charset=utf-8', 'application/json'],
    ['multipart/mixed; boundary="a;b,c=\\"d\\""', 'multipart/mixed'],
    ['text/plain;', 'text/plain'],
  ])('R-061: ignores parameters when %s meets %s', async (stored, given) => {
    const target = `${path}/parameters/${encodeURIComponent(stored)}`
    await request('PUT', target, { headers: { 'content-type': stored } })
    const again = await request('PUT', target, { headers: { 'content-type': given } })
    const appended = await request('POST', target, { headers: { 'content-type': given }, body: '1' })
    const read = await request('GET', target)
    expect([again.status, appended.status]).toEqual([200, 204])
    expect(read.headers.get('content-type')).toBe(stored)
    const other = await request('PUT', target, { headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(other.status).toBe(409)
  })

  it('R-061: frames a stream of application/json with parameters as JSON', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    await request('PUT', `${path}/json`, { headers, body: '[1, 2]' })
    await request('POST', `${path}/json`, { headers: JSON_TYPE, body: '{"a": 3}' })
    const read = await request('GET', `${path}/json`)
    expect(read.json()).toEqual([1, 2, { a: 3 }])
  })

  it.each([
    ['another body', 'text/plain', 'first', 'second'],
    ['the same body', 'text/plain', 'first', 'first'],
    ['no body', 'text/plain', 'first', ''],
    ['a body that is not JSON', 'application/json', '[1]', '{"a":'],
    ['an empty array', 'application/json', '[1]', '[]'],
  ])('R-064: ignores %s for a stream that exists', async (name, type, first, second) => {
    const target = `${path}/ignored/${encodeURIComponent(name)}`
    const headers = { 'content-type': type }
    const created = await request('PUT', target, { headers, body: first })
    const again = await request('PUT', target, { headers, body: second })
    expect([created.status, again.status]).toEqual([201, 200])
    expect(nextOffset(again)).toBe(nextOffset(created))
    expect(again.headers.get('location')).toBeNull()
    expect(await textOf(request, target)).toBe(first)
  })

  it('R-064: ignores the body for a closed stream', async () => {
    const headers = { ...TEXT, ...CLOSED }
    await request('PUT', `${path}/ignored-closed`, { headers, body: 'all' })
    const again = await request('PUT', `${path}/ignored-closed`, { headers, body: 'more' })
    expect(again.status).toBe(200)
    expect(await textOf(request, `${path}/ignored-closed`)).toBe('all')
  })

  it.each([
    ['open', 'open', 200],
    ['open', 'closed', 409],
    ['closed', 'open', 409],
    ['closed', 'closed', 200],
  ])('R-065: compares closure: an %s stream, asked for as %s, is %i', async (is, asked, status) => {
    for (const how of ['created', 'closed later']) {
      const target = `${path}/closure/${is}/${asked}/${encodeURIComponent(how)}`
      const atOnce = is === 'closed' && how === 'created'
      await request('PUT', target, { headers: { ...TEXT, ...(atOnce ? CLOSED : {}) } })
      const later = is === 'closed' && !atOnce
      const change = await request('POST', target, {
        headers: { ...TEXT, ...(later ? CLOSED : {}) },
        body: 'x',
      })
      const reply = await request('PUT', target, {
        headers: { ...TEXT, ...(asked === 'closed' ? CLOSED : {}) },
      })
      const found = await request('HEAD', target)
      expect([change.status, reply.status]).toEqual([atOnce ? 409 : 204, status])
      expect(found.headers.get('stream-closed')).toBe(is === 'closed' ? 'true' : null)
    }
  })

  it.each([
    ['2999-01-01T00:00:00Z', 200],
    ['2999-01-01T00:00:00.000Z', 200],
    ['2999-01-01T01:00:00+01:00', 200],
    ['2998-12-31T19:30:00-04:30', 200],
    ['2999-01-01T00:00:00.001Z', 409],
    ['2999-01-01T00:00:01Z', 409],
    ['2999-01-01T00:00:00+01:00', 409],
  ])('R-067: compares instants: a stream until 2999-01-01T00:00:00Z meets %s: %i', async (given, status) => {
    const target = `${path}/expires/${encodeURIComponent(given)}`
    const headers = { ...TEXT, 'stream-expires-at': '2999-01-01T00:00:00Z' }
    const created = await request('PUT', target, { headers })
    const again = await request('PUT', target, { headers: { ...TEXT, 'stream-expires-at': given } })
    const found = await request('HEAD', target)
    expect([created.status, again.status]).toEqual([201, status])
    expect(found.headers.get('stream-expires-at')).toBe('2999-01-01T00:00:00Z')
  })

  it('R-067: tells an instant from a window and from no end', async () => {
    const at = { ...TEXT, 'stream-expires-at': '2999-01-01T00:00:00Z' }
    const window = { ...TEXT, 'stream-ttl': '3600' }
    const kinds = [at, window, TEXT]
    for (const [index, headers] of kinds.entries()) {
      await request('PUT', `${path}/kinds/${index}`, { headers })
      const statuses = await Promise.all(
        kinds.map(
          async (asked) => (await request('PUT', `${path}/kinds/${index}`, { headers: asked })).status,
        ),
      )
      expect(statuses).toEqual(kinds.map((asked) => (asked === headers ? 200 : 409)))
    }
  })

  it('R-068: creates a stream for exactly one of 20 concurrent PUTs', async () => {
    const bodies = Array.from({ length: 20 }, (_, index) => `body ${index}`)
    const replies = await Promise.all(
      bodies.map((body) => request('PUT', `${path}/concurrent`, { headers: TEXT, body })),
    )
    const created = bodies.filter((_, index) => replies[index]?.status === 201)
    expect(created).toHaveLength(1)
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(19)
    expect(replies.filter(({ headers }) => headers.has('location'))).toHaveLength(1)
    expect(await textOf(request, `${path}/concurrent`)).toBe(created[0])
  })

  it('R-068: creates a stream for exactly one of 20 concurrent PUTs that disagree', async () => {
    const types = Array.from({ length: 20 }, (_, index) => `text/kind-${index}`)
    const replies = await Promise.all(
      types.map((type) =>
        request('PUT', `${path}/rivals`, { headers: { 'content-type': type }, body: type }),
      ),
    )
    const created = types.filter((_, index) => replies[index]?.status === 201)
    expect(created).toHaveLength(1)
    expect(replies.filter(({ status }) => status === 409)).toHaveLength(19)
    const read = await request('GET', `${path}/rivals`)
    expect([read.text, read.headers.get('content-type')]).toEqual([created[0], created[0]])
  })
})
