/** What every answer carries, whatever it says: security headers, CORS headers, one form of refusal, no stray body. */
import { afterAll, describe, expect, it } from 'vitest'
import {
  ADAPTERS,
  membersOf,
  type Reply,
  rawExchange,
  type Send,
  startTestServer,
} from './test-server.fixture.ts'

const server = await startTestServer({ maxBodyBytes: 2000, longPollTimeoutMs: 30 })
const open = await startTestServer({ allowedOrigins: '*', allowedHosts: '*', longPollTimeoutMs: 30 })
afterAll(() => Promise.all([server.close(), open.close()]))

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const PRODUCER = { ...TEXT, 'producer-id': 'p', 'producer-epoch': '1', 'producer-seq': '0' }
const CLOSE = { 'stream-closed': 'true' }

type Case = readonly [title: string, status: number, ask: (send: Send, path: string) => Promise<Reply>]

async function withTag(send: Send, path: string): Promise<Reply> {
  const first = await send('GET', `${path}/full`)
  return send('GET', `${path}/full`, { headers: { 'if-none-match': first.headers.get('etag') ?? '' } })
}

async function duplicate(send: Send, path: string): Promise<Reply> {
  await send('POST', `${path}/full`, { headers: PRODUCER, body: 'x' })
  return send('POST', `${path}/full`, { headers: PRODUCER, body: 'x' })
}

/** Asked of streams that `prepared` made below the path: `empty`, `full` and `closed`. */
const SUCCESSES: readonly Case[] = [
  ['a created stream', 201, (send, path) => send('PUT', `${path}/new`, { headers: TEXT, body: 'x' })],
  ['a stream that exists', 200, (send, path) => send('PUT', `${path}/full`, { headers: TEXT })],
  ['an append', 204, (send, path) => send('POST', `${path}/full`, { headers: TEXT, body: 'x' })],
  ['a producer append', 200, (send, path) => send('POST', `${path}/full`, { headers: PRODUCER, body: 'x' })],
  ['a duplicate', 204, duplicate],
  ['a close', 204, (send, path) => send('POST', `${path}/closed`, { headers: CLOSE })],
  ['a catch-up read', 200, (send, path) => send('GET', `${path}/full`)],
  ['an empty read', 200, (send, path) => send('GET', `${path}/empty`)],
  ['a read from now', 200, (send, path) => send('GET', `${path}/full?offset=now`)],
  ['a read that matches its tag', 304, withTag],
  ['a long-poll with data', 200, (send, path) => send('GET', `${path}/full?offset=-1&live=long-poll`)],
  ['a long-poll in vain', 204, (send, path) => send('GET', `${path}/full?offset=now&live=long-poll`)],
  ['a long-poll at the end', 204, (send, path) => send('GET', `${path}/closed?offset=now&live=long-poll`)],
  ['metadata', 200, (send, path) => send('HEAD', `${path}/full`)],
  ['a preflight', 204, (send, path) => send('OPTIONS', `${path}/full`)],
  ['a deletion', 204, (send, path) => send('DELETE', `${path}/empty`)],
  ['a health check', 200, (send) => send('GET', '/healthz')],
]

const REFUSALS: readonly Case[] = [
  ['a bad header', 400, (send, path) => send('PUT', `${path}/x`, { headers: { 'stream-ttl': 'soon' } })],
  ['a bad path', 400, (send, path) => send('GET', `${path}/a//b`)],
  ['a bad offset', 400, (send, path) => send('GET', `${path}/full?offset=1,2`)],
  ['a bad offset of a live read', 400, (send, path) => send('GET', `${path}/full?offset=x&live=sse`)],
  ['an empty append', 400, (send, path) => send('POST', `${path}/full`, { headers: TEXT })],
  ['a stale epoch', 403, fenced],
  ['a missing stream', 404, (send, path) => send('GET', `${path}/missing`)],
  ['a missing stream of a long-poll', 404, (send, path) => send('GET', `${path}/x?offset=-1&live=long-poll`)],
  ['a missing stream of SSE', 404, (send, path) => send('GET', `${path}/x?offset=-1&live=sse`)],
  ['a missing fork source', 404, (send, path) => send('PUT', `${path}/x`, forkOf(`${path}/missing`))],
  ['a missing route', 404, (send) => send('GET', '/elsewhere')],
  ['a method', 405, (send, path) => send('PATCH', `${path}/full`)],
  ['another type', 409, (send, path) => send('PUT', `${path}/full`, { headers: { 'content-type': 'a/b' } })],
  ['a closed stream', 409, (send, path) => send('POST', `${path}/closed`, { headers: TEXT, body: 'x' })],
  ['a producer gap', 409, (send, path) => send('POST', `${path}/full`, { headers: gap, body: 'x' })],
  ['a deleted source', 410, deletedSource],
  ['a large body', 413, (send, path) => send('PUT', `${path}/x`, { headers: TEXT, body: 'x'.repeat(2001) })],
  ['an encoded body', 415, (send, path) => send('POST', `${path}/full`, { headers: zipped, body: 'x' })],
  ['a foreign host', 421, (send, path) => send('GET', `${path}/full`, { headers: { host: 'evil.com' } })],
  ['a foreign origin', 403, (send, path) => send('GET', `${path}/full`, { headers: foreign })],
]

const gap = { ...PRODUCER, 'producer-id': 'q', 'producer-seq': '3' }
const zipped = { ...TEXT, 'content-encoding': 'gzip' }
const foreign = { origin: 'http://evil.com' }

function forkOf(source: string): { readonly headers: Readonly<Record<string, string>> } {
  return { headers: { 'stream-forked-from': source } }
}

async function fenced(send: Send, path: string): Promise<Reply> {
  await send('PUT', `${path}/fenced`, { headers: TEXT })
  await send('POST', `${path}/fenced`, { headers: PRODUCER, body: 'x' })
  return send('POST', `${path}/fenced`, { headers: { ...PRODUCER, 'producer-epoch': '0' }, body: 'x' })
}

async function deletedSource(send: Send, path: string): Promise<Reply> {
  await send('PUT', `${path}/source`, { headers: TEXT, body: 'x' })
  await send('PUT', `${path}/fork`, forkOf(`${path}/source`))
  await send('DELETE', `${path}/source`)
  return send('GET', `${path}/source`)
}

let count = 0

/** A path of its own for each test, with streams below it. */
async function prepared(send: Send): Promise<string> {
  const path = `${ROOT}/${++count}`
  await send('PUT', `${path}/empty`, { headers: TEXT })
  await send('PUT', `${path}/full`, { headers: TEXT, body: 'full' })
  await send('PUT', `${path}/closed`, { headers: { ...TEXT, ...CLOSE }, body: 'end' })
  return path
}

describe.each(ADAPTERS)('%s adapter', (adapter) => {
  const send = server.via(adapter)

  it.each([...SUCCESSES, ...REFUSALS])(
    'R-014, R-016: says nosniff and who may embed it with %s (%i)',
    async (_, status, ask) => {
      const reply = await ask(send, await prepared(send))
      expect(reply.status).toBe(status)
      expect(reply.headers.get('x-content-type-options')).toBe('nosniff')
      expect(reply.headers.get('cross-origin-resource-policy')).toBe('same-site')
      expect(reply.headers.get('vary')).toBe('Origin')
    },
  )

  it.each(REFUSALS)('R-019: refuses with one form of problem document: %s (%i)', async (_, status, ask) => {
    const reply = await ask(send, await prepared(send))
    const body = membersOf(reply.json())
    expect(reply.status).toBe(status)
    expect(reply.headers.get('content-type')).toBe('application/problem+json')
    expect(reply.headers.get('content-length')).toBe(String(reply.bytes.length))
    expect(reply.headers.get('cache-control')).toBe('no-store')
    expect([...body.keys()]).toEqual(['type', 'title', 'status', 'code', 'detail'])
    expect(body.get('status')).toBe(status)
    expect(body.get('type')).toMatch(/^\/errors\/[a-z-]+$/)
    expect(body.get('code')).toMatch(/^[A-Z_]+$/)
    expect(body.get('title')).toMatch(/^[A-Z].*[a-z]$/)
    expect(body.get('detail')).toMatch(/.{10}/)
  })

  it('R-019: refuses HEAD without a body', async () => {
    const headers = { host: 'evil.com' }
    const path = await prepared(send)
    const replies = await Promise.all([
      send('HEAD', `${path}/missing`),
      send('HEAD', `${path}/a//b`),
      send('HEAD', `${path}/../../../x`),
      send('HEAD', `${ROOT}/__ds/x`),
      send('HEAD', `${path}/full`, { headers }),
      send('HEAD', `${path}/full`, { headers: foreign }),
    ])
    expect(replies.map(({ text }) => text)).toEqual(replies.map(() => ''))
    expect(replies.map(({ status }) => status)).toEqual([404, 400, expect.any(Number), 404, 421, 403])
  })

  it('R-019: sends no body with 201, 204, 304 and HEAD', async () => {
    const bodiless = SUCCESSES.filter(([title, status]) => status !== 200 || title === 'metadata')
    const replies = await Promise.all(bodiless.map(async ([, , ask]) => ask(send, await prepared(send))))
    expect(replies.map(({ status, text }) => [status, text])).toEqual(
      bodiless.map(([, status]) => [status, '']),
    )
  })

  it('R-014, R-016: says nosniff and who may embed it on control routes', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS']) {
      const reply = await send(method, `${ROOT}/__ds/subscriptions/x`)
      expect(reply.headers.get('x-content-type-options')).toBe('nosniff')
      expect(reply.headers.get('cross-origin-resource-policy')).toBe('same-site')
    }
  })

  it.each(['full', 'empty', 'closed'])('R-012: says nosniff with SSE of a stream: %s', async (name) => {
    const path = await prepared(send)
    const sse = await server.openSse(`${path}/${name}?offset=-1&live=sse`, adapter)
    const events = await sse.take(1)
    sse.abort()
    expect(sse.status).toBe(200)
    expect(sse.headers.get('content-type')).toBe('text/event-stream')
    expect(sse.headers.get('x-content-type-options')).toBe('nosniff')
    expect(sse.headers.get('cross-origin-resource-policy')).toBe('same-site')
    expect(events).toHaveLength(1)
  })

  it.each([
    ['data', 200, 'full?offset=-1'],
    ['a wait in vain', 204, 'full?offset=now'],
    ['the end', 204, 'closed?offset=now'],
  ])('R-012: says nosniff with a long-poll that gets %s', async (_, status, query) => {
    const reply = await send('GET', `${await prepared(send)}/${query}&live=long-poll`)
    expect(reply.status).toBe(status)
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff')
  })
})

const EXPOSED = [
  ...['Stream-Next-Offset', 'Stream-Cursor', 'Stream-Up-To-Date', 'Stream-Closed', 'Stream-TTL'],
  ...['Stream-Expires-At', 'Stream-SSE-Data-Encoding', 'Producer-Epoch', 'Producer-Seq'],
  ...['Producer-Expected-Seq', 'Producer-Received-Seq', 'ETag', 'Location', 'Content-Type'],
  ...['Content-Encoding', 'Vary', 'Retry-After', 'WWW-Authenticate'],
].sort()
const ACCEPTED = [
  ...['Content-Type', 'Authorization', 'If-None-Match', 'Stream-Seq', 'Stream-TTL', 'Stream-Expires-At'],
  ...['Stream-Closed', 'Stream-Forked-From', 'Stream-Fork-Offset', 'Stream-Fork-Sub-Offset'],
  ...['Producer-Id', 'Producer-Epoch', 'Producer-Seq'],
].sort()

function listed(value: string | null): readonly string[] {
  return (value ?? '')
    .split(',')
    .map((name) => name.trim())
    .sort()
}

describe.each(ADAPTERS)('%s adapter: what a browser may see', (adapter) => {
  const origin = 'http://localhost:3000'
  const send = server.via(adapter)
  const fromPage: Send = (method, target, { headers, ...rest } = {}) =>
    send(method, target, { headers: { origin, ...headers }, ...rest })
  // Health checks are answered to whoever asks, and tell nothing.
  const seen = [...SUCCESSES, ...REFUSALS].filter(([title]) => !/^a foreign|^a health/.test(title))

  it.each(seen)(
    'R-018: lets a page on this machine see %s (%i) with the protocol headers',
    async (_, __, ask) => {
      const reply = await ask(fromPage, await prepared(send))
      expect(reply.headers.get('access-control-allow-origin')).toBe(origin)
      expect(listed(reply.headers.get('access-control-expose-headers'))).toEqual(EXPOSED)
      expect(reply.headers.get('vary')).toBe('Origin')
    },
  )

  it('R-018: lets a page on this machine see SSE', async () => {
    const path = await prepared(send)
    const response = await server.server.handler.fetch(
      new Request(`${server.url}${path}/closed?offset=-1&live=sse`, { headers: { origin } }),
    )
    expect(response.headers.get('access-control-allow-origin')).toBe(origin)
    expect(await response.text()).toContain('data:end')
  })

  it('R-018: names methods, request headers and a lifetime in the answer to a preflight', async () => {
    const path = await prepared(send)
    for (const name of ['full', 'missing', 'a//b']) {
      const reply = await fromPage('OPTIONS', `${path}/${name}`)
      expect(reply.status).toBe(204)
      expect(listed(reply.headers.get('access-control-allow-methods'))).toEqual(
        expect.arrayContaining(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']),
      )
      expect(listed(reply.headers.get('access-control-allow-headers'))).toEqual(ACCEPTED)
      expect(reply.headers.get('access-control-max-age')).toBe('600')
    }
  })

  it.each(seen)('R-018: lets every page see %s (%i) once all origins are allowed', async (_, __, ask) => {
    const reply = await ask(open.via(adapter), await prepared(open.via(adapter)))
    expect(reply.headers.get('access-control-allow-origin')).toBe('*')
    expect(reply.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(listed(reply.headers.get('access-control-expose-headers'))).toEqual(EXPOSED)
  })
})

describe('on the wire', () => {
  it.each([
    ['HEAD', 'HEAD', 'full', ''],
    ['a refused HEAD', 'HEAD', 'missing', ''],
    ['204', 'GET', 'closed?offset=now&live=long-poll', ''],
    ['304', 'GET', 'full', 'If-None-Match: *\r\n'],
  ])('R-019: an answer to %s ends with its head', async (_, method, name, field) => {
    const path = await prepared(server.request)
    const head = `${method} ${path}/${name} HTTP/1.1\r\nHost: localhost\r\n${field}Connection: close\r\n\r\n`
    const { text } = await rawExchange(server.port, head)
    expect(text.indexOf('\r\n\r\n')).toBe(text.length - 4)
  })

  it('reports no failure of its own', () => {
    expect([...server.errors, ...open.errors]).toEqual([])
  })
})
