/** Header fields at their edges: empty, huge, repeated, beyond ASCII, and nearly right. Through both adapters. */
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { ADAPTERS, type Send, type SendHeaders, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
afterAll(() => server.close())
afterEach(() => expect(server.errors).toEqual([]))

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const HUGE = 'x'.repeat(5000)
const DIGITS = '9'.repeat(5000)
/** What no integer looks like, though it reads like one to some parsers. */
const NO_INTEGERS = [
  '',
  ' ',
  '01',
  '+1',
  '-1',
  '-0',
  '1.0',
  '1e3',
  '0x1',
  '1_0',
  '1,0',
  '1 0',
  'x',
  '\xb2',
  DIGITS,
]

let count = 0
const fresh = (): string => `${ROOT}/fields/${++count}`

async function textOf(path: string): Promise<string> {
  return (await server.request('GET', path)).text
}

describe.each(ADAPTERS)('%s adapter: PUT', (adapter) => {
  const request = server.via(adapter)
  const put = (path: string, headers: SendHeaders): ReturnType<Send> => request('PUT', path, { headers })

  it.each([
    ...['', ' ', 'text', 'text/', '/plain', 'text/plain/x', 'text plain', 'text/pl\xe4in', HUGE],
    ...['text/plain, text/html', 'text/plain; charset', 'text/plain; =x', 'text/plain; a="b', `a/${HUGE}`],
  ])('refuses Content-Type: %s', async (value) => {
    const path = fresh()
    const reply = await put(path, { 'content-type': value })
    const found = await request('HEAD', path)
    expect([reply.status, found.status]).toEqual([400, 404])
    expect(reply.json()).toMatchObject({ code: 'BAD_REQUEST' })
  })

  it('refuses a repeated Content-Type, whichever of the two it would have been', async () => {
    const path = fresh()
    const types = ['text/plain', 'application/json']
    const created = await request('PUT', path, { headers: { 'content-type': types }, body: '[1]' })
    expect([created.status, (await request('HEAD', path)).status]).toEqual([400, 404])
    await put(path, TEXT)
    const appended = await request('POST', path, { headers: { 'content-type': types }, body: '[1]' })
    expect([appended.status, await textOf(path)]).toEqual([400, ''])
  })

  it.each(['text/plain; title="d\xe9j\xe0 vu"', 'TEXT/x.y+z-1;a=b', `text/${'x'.repeat(251)}`])(
    'keeps Content-Type: %s as it is',
    async (value) => {
      const path = fresh()
      const created = await put(path, { 'content-type': value })
      const read = await request('GET', path)
      const found = await request('HEAD', path)
      const types = [created, read, found].map(({ headers }) => headers.get('content-type'))
      expect([created.status, ...types]).toEqual([201, value, value, value])
    },
  )

  it.each([...NO_INTEGERS, '9007199254740992'])('refuses Stream-TTL: %s', async (value) => {
    const path = fresh()
    const reply = await put(path, { ...TEXT, 'stream-ttl': value })
    const found = await request('HEAD', path)
    expect([reply.status, found.status]).toEqual([400, 404])
  })

  it('refuses a repeated Stream-TTL, and one beside Stream-Expires-At', async () => {
    const path = fresh()
    const repeated = await put(path, { ...TEXT, 'stream-ttl': ['60', '60'] })
    const both = await put(path, {
      ...TEXT,
      'stream-ttl': '60',
      'stream-expires-at': '2999-01-01T00:00:00Z',
    })
    const bothEmpty = await put(path, { ...TEXT, 'stream-ttl': '', 'stream-expires-at': '' })
    expect([repeated.status, both.status, bothEmpty.status]).toEqual([400, 400, 400])
  })

  it.each(['9007199254740991', ' 60\t'])('takes Stream-TTL: %s', async (value) => {
    const path = fresh()
    const reply = await put(path, { ...TEXT, 'stream-ttl': value })
    const found = await request('HEAD', path)
    const read = await request('GET', path)
    expect([reply.status, read.status]).toEqual([201, 200])
    expect(found.headers.get('stream-ttl')).toBe(value.trim())
  })

  it.each([
    ...['', 'soon', HUGE, DIGITS, '2999-01-01', '2999-01-01T00:00:00', '2999-01-01 00:00:00Z'],
    ...['2999-13-01T00:00:00Z', '2999-02-30T00:00:00Z', '2999-01-01T24:00:00Z', '2999-01-01T00:00:00+24:00'],
    ...['2999-01-01T00:00:00Z, 2999-01-01T00:00:00Z', '\xb2999-01-01T00:00:00Z', '32999-01-01T00:00:00Z'],
  ])('refuses Stream-Expires-At: %s', async (value) => {
    const path = fresh()
    const reply = await put(path, { ...TEXT, 'stream-expires-at': value })
    const found = await request('HEAD', path)
    expect([reply.status, found.status]).toEqual([400, 404])
  })

  it.each([
    ...['', HUGE, '\xe9', 'x', '/', '/v1/stream', '/v1/stream/', '/v1/stream/__ds/x', '/v1/stream/a/../b'],
    ...['http://localhost/v1/stream/source', '/v1/stream/%', '/v1/stream/source, /v1/stream/source'],
    ...['/v1/stream/source?x', '/v1/stream/source#x', '/v2/stream/source'],
  ])('finds no source for Stream-Forked-From: %s', async (value) => {
    await put(`${ROOT}/source`, TEXT)
    const path = fresh()
    const reply = await put(path, { 'stream-forked-from': value })
    const found = await request('HEAD', path)
    expect([reply.status, found.status]).toEqual([404, 404])
  })

  it('finds no source for a repeated Stream-Forked-From', async () => {
    await put(`${ROOT}/source`, TEXT)
    const reply = await put(fresh(), { 'stream-forked-from': [`${ROOT}/source`, `${ROOT}/source`] })
    expect(reply.status).toBe(404)
  })

  it.each(['', '-1', 'now', '0', HUGE, '\xb2', '0000000000000000_000000000000000\xb2', '0_0'])(
    'refuses Stream-Fork-Offset: %s',
    async (value) => {
      await put(`${ROOT}/source`, TEXT)
      const path = fresh()
      const reply = await put(path, { 'stream-forked-from': `${ROOT}/source`, 'stream-fork-offset': value })
      const found = await request('HEAD', path)
      expect([reply.status, found.status]).toEqual([400, 404])
    },
  )

  it('refuses a repeated Stream-Fork-Offset and a repeated Stream-Fork-Sub-Offset', async () => {
    await put(`${ROOT}/source`, TEXT)
    const from = { 'stream-forked-from': `${ROOT}/source` }
    const zero = '0000000000000000_0000000000000000'
    const offset = await put(fresh(), { ...from, 'stream-fork-offset': [zero, zero] })
    const sub = await put(fresh(), {
      ...from,
      'stream-fork-offset': zero,
      'stream-fork-sub-offset': ['0', '0'],
    })
    expect([offset.status, sub.status]).toEqual([400, 400])
  })

  it.each(NO_INTEGERS)('refuses Stream-Fork-Sub-Offset: %s', async (value) => {
    await put(`${ROOT}/source`, TEXT)
    const path = fresh()
    const from = { 'stream-forked-from': `${ROOT}/source` }
    const reply = await put(path, { ...from, 'stream-fork-sub-offset': value })
    const found = await request('HEAD', path)
    expect([reply.status, found.status]).toEqual([400, 404])
  })

  it('ignores the headers of other methods', async () => {
    const others = { 'stream-seq': '', 'producer-id': '', 'producer-epoch': 'x', 'if-none-match': '*' }
    const reply = await put(fresh(), { ...TEXT, ...others, range: 'bytes=0-1' })
    expect(reply.status).toBe(201)
  })
})

describe.each(ADAPTERS)('%s adapter: POST', (adapter) => {
  const request = server.via(adapter)
  const start = async (): Promise<string> => {
    const path = fresh()
    await request('PUT', path, { headers: TEXT })
    return path
  }
  const post = (path: string, headers: SendHeaders, body = 'x'): ReturnType<Send> =>
    request('POST', path, { headers: { ...TEXT, ...headers }, body })
  const stamp = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }

  it.each(['', ' ', 'x'.repeat(257), HUGE])('refuses Stream-Seq: %s', async (value) => {
    const path = await start()
    const reply = await post(path, { 'stream-seq': value })
    expect([reply.status, await textOf(path)]).toEqual([400, ''])
  })

  it('compares Stream-Seq byte by byte, with bytes beyond ASCII, spaces and commas in it', async () => {
    const path = await start()
    const rising = [
      '!',
      'a',
      'a b',
      'a, b',
      'a\x7e',
      'b',
      '\x80',
      '\xc3\xa4',
      '\xe9',
      '\xff',
      '\xff'.repeat(256),
    ]
    for (const value of rising) {
      const reply = await post(path, { 'stream-seq': value })
      const again = await post(path, { 'stream-seq': value })
      expect([value, reply.status, again.status]).toEqual([value, 204, 409])
    }
    const repeated = await post(await start(), { 'stream-seq': ['a', 'b'] })
    expect(repeated.status).toBe(204)
  })

  it.each(['', ' ', 'x'.repeat(257), HUGE])('refuses Producer-Id: %s', async (value) => {
    const path = await start()
    const reply = await post(path, { ...stamp, 'producer-id': value })
    expect([reply.status, await textOf(path)]).toEqual([400, ''])
  })

  it('tells producers apart by every byte of their ids', async () => {
    const path = await start()
    const ids = ['p', 'P', 'p p', 'p, p', '\xe9', '\xe8', '\xff', '__proto__', 'constructor', 'x'.repeat(256)]
    for (const id of ids) {
      const reply = await post(path, { ...stamp, 'producer-id': id })
      const again = await post(path, { ...stamp, 'producer-id': id })
      expect([id, reply.status, again.status]).toEqual([id, 200, 204])
    }
    const repeated = await post(path, { ...stamp, 'producer-id': ['p', 'p'] })
    expect([repeated.status, await textOf(path)]).toEqual([204, 'x'.repeat(ids.length)])
  })

  it.each(NO_INTEGERS)('refuses Producer-Epoch and Producer-Seq: %s', async (value) => {
    const path = await start()
    const epoch = await post(path, { ...stamp, 'producer-epoch': value })
    const seq = await post(path, { ...stamp, 'producer-seq': value })
    expect([epoch.status, seq.status, await textOf(path)]).toEqual([400, 400, ''])
  })

  it('refuses a repeated Producer-Epoch or Producer-Seq, and trims a single one', async () => {
    const path = await start()
    const epoch = await post(path, { ...stamp, 'producer-epoch': ['0', '0'] })
    const seq = await post(path, { ...stamp, 'producer-seq': ['0', '0'] })
    const trimmed = await post(path, { ...stamp, 'producer-epoch': ' 0\t', 'producer-seq': '\t0 ' })
    expect([epoch.status, seq.status, trimmed.status]).toEqual([400, 400, 200])
  })

  it.each([
    ['another type beyond ASCII', { 'content-type': 'text/pl\xe4in' }, 400],
    ['an empty type', { 'content-type': '' }, 400],
    ['a huge type', { 'content-type': HUGE }, 400],
    ['a huge type with parameters', { 'content-type': `text/plain; x=${HUGE}` }, 400],
  ])('refuses %s', async (_, headers, status) => {
    const path = await start()
    const reply = await post(path, headers)
    expect([reply.status, await textOf(path)]).toEqual([status, ''])
  })

  it('takes any Content-Type for a request that only closes', async () => {
    for (const type of ['', 'text/pl\xe4in', HUGE]) {
      const path = await start()
      const reply = await post(path, { 'content-type': type, 'stream-closed': 'true' }, '')
      expect([type, reply.status]).toEqual([type, 204])
    }
  })

  it('ignores the headers of other methods', async () => {
    const path = await start()
    const others = {
      'stream-ttl': 'x',
      'stream-expires-at': '',
      'stream-forked-from': '',
      'if-none-match': '*',
    }
    const reply = await post(path, others)
    expect([reply.status, await textOf(path)]).toEqual([204, 'x'])
  })
})

describe.each(ADAPTERS)('%s adapter: GET and HEAD', (adapter) => {
  const request = server.via(adapter)
  const start = async (): Promise<readonly [path: string, tag: string]> => {
    const path = fresh()
    await request('PUT', path, { headers: TEXT, body: 'data' })
    return [path, (await request('GET', path)).headers.get('etag') ?? '']
  }

  it.each(['', ' ', ',', 'x', '"x"', '"', '\xe9', HUGE, `"${HUGE}"`, '"a", "b",, W/"c"', 'W/', '"x" "y"'])(
    'answers in full to If-None-Match: %s',
    async (value) => {
      const [path] = await start()
      const reply = await request('GET', path, { headers: { 'if-none-match': value } })
      expect([reply.status, reply.text]).toEqual([200, 'data'])
    },
  )

  it('finds the tag in a list, weak or not, and in a repeated header', async () => {
    const [path, tag] = await start()
    const lists = [tag, `W/${tag}`, `"x", ${tag}`, ` ${tag} , "x"`, '*', ['"x"', tag], [tag, '"x"']]
    for (const list of lists) {
      const reply = await request('GET', path, { headers: { 'if-none-match': list } })
      expect([list, reply.status]).toEqual([list, 304])
    }
  })

  it('ignores what says nothing about a stream', async () => {
    const [path] = await start()
    const headers = {
      range: 'bytes=0-1',
      accept: 'image/png',
      'accept-encoding': 'gzip',
      authorization: `Bearer ${HUGE}`,
      cookie: 'a=b',
      'if-match': '"x"',
      'if-modified-since': 'Thu, 01 Jan 2099 00:00:00 GMT',
      'if-range': '"x"',
      'stream-closed': 'true',
      'stream-ttl': 'x',
      'producer-id': '',
      'x-http-method-override': 'DELETE',
      'x-forwarded-host': 'evil.com',
      te: 'trailers',
    }
    const read = await request('GET', path, { headers })
    const found = await request('HEAD', path, { headers })
    expect([read.status, read.text, read.headers.get('content-encoding')]).toEqual([200, 'data', null])
    expect([found.status, found.headers.get('stream-closed')]).toEqual([200, null])
  })

  it.each(['', 'x', '-1', '1.5', '0x1', '9'.repeat(19), DIGITS, '%FF', '%E2%82%AC', '1%002'])(
    'takes a malformed cursor for none: %s',
    async (cursor) => {
      const [path] = await start()
      const reply = await request('GET', `${path}?offset=-1&live=long-poll&cursor=${cursor}`)
      expect([reply.status, reply.text]).toEqual([200, 'data'])
      expect(reply.headers.get('stream-cursor')).toMatch(/^\d{1,10}$/)
    },
  )
})
