/** Where a request goes: control routes, stream paths, query parameters, methods. Through both adapters. */
import { METHODS } from 'node:http'
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
afterAll(() => server.close())

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const STREAM_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'] as const
const ALLOW = STREAM_METHODS.join(', ')

describe.each(ADAPTERS)('%s adapter: control routes', (adapter) => {
  const request = server.via(adapter)

  it.each(['__ds', '__ds/subscriptions/a', '__ds/jwks.json?offset=-1&live=sse'])(
    'R-002: answers /%s as a control route for every method',
    async (path) => {
      for (const method of STREAM_METHODS) {
        const body = method === 'PUT' || method === 'POST' ? { headers: TEXT, body: 'x' } : {}
        const reply = await request(method, `${ROOT}/${path}`, body)
        expect([method, reply.status]).toEqual([method, 404])
      }
      const reply = await request('GET', `${ROOT}/${path}`)
      expect(reply.json()).toMatchObject({ status: 404, code: 'NOT_FOUND', error: { code: 'NOT_FOUND' } })
    },
  )

  it.each(['__ds/', '__ds//a', '__ds/a/', '__ds/%00', '__ds/%', '%5F%5Fds/'])(
    'R-002: answers /%s as a control route although no stream could be called that',
    async (path) => {
      const statuses = await Promise.all(
        STREAM_METHODS.map(async (method) => (await request(method, `${ROOT}/${path}`)).status),
      )
      expect(statuses).toEqual(STREAM_METHODS.map(() => 404))
      const reply = await request('GET', `${ROOT}/${path}`)
      expect(reply.json()).toMatchObject({ error: { code: 'NOT_FOUND' } })
    },
  )

  it('R-002: looks for control routes before anything about the request as one on a stream', async () => {
    const broken = { 'stream-ttl': 'soon', 'producer-id': '', 'content-encoding': 'gzip' }
    const reply = await request('PUT', `${ROOT}/__ds/x`, { headers: broken, body: 'x' })
    expect(reply.status).toBe(404)
    expect(reply.json()).toMatchObject({ error: { code: 'NOT_FOUND' } })
    const unknown = await request('PATCH', `${ROOT}/__ds/x`)
    expect(unknown.status).toBe(404)
  })

  it.each(['__dsx', '__d', '__DS', '_ds', 'a/__ds', 'a/__ds/b', '__ds-', '%255F%255Fds'])(
    'R-002: takes /%s for a stream, for only the first segment __ds is reserved',
    async (path) => {
      const created = await request('PUT', `${ROOT}/${path}/${adapter}`, { headers: TEXT, body: path })
      const read = await request('GET', `${ROOT}/${path}/${adapter}`)
      expect([created.status, read.text]).toEqual([201, path])
    },
  )

  it.each(['%5F%5Fds', '%5f_ds', '_%5Fds', '__%64s', '__d%73', '%5f%5F%64%73'])(
    'R-003: sees the control segment in its spelling %s',
    async (spelling) => {
      for (const path of [spelling, `${spelling}/subscriptions/a`]) {
        const created = await request('PUT', `${ROOT}/${path}`, { headers: TEXT, body: 'x' })
        const read = await request('GET', `${ROOT}/${path}`)
        expect([created.status, read.status]).toEqual([404, 404])
        expect(read.json()).toMatchObject({ error: { code: 'NOT_FOUND' } })
      }
    },
  )
})

describe.each(ADAPTERS)('%s adapter: stream paths', (adapter) => {
  const request = server.via(adapter)

  it.each([
    ['unreserved', 'a%2Db%5Fc%2Ed%7Ee', 'a-b_c.d~e'],
    ['letters', '%41%7a%39', 'Az9'],
    ['hex', 'caf%c3%a9', 'caf%C3%A9'],
    ['quote', 'a"b', 'a%22b'],
    ['slash', 'a%2fb', 'a%2Fb'],
    ['dots', '...', '%2e%2e%2E'],
  ])('R-004: takes two spellings of one path for one stream: %s', async (name, one, other) => {
    const created = await request('PUT', `${ROOT}/${adapter}/${name}/${one}`, { headers: TEXT, body: name })
    const again = await request('PUT', `${ROOT}/${adapter}/${name}/${other}`, { headers: TEXT })
    const read = await request('GET', `${ROOT}/${adapter}/${name}/${other}`)
    expect([created.status, again.status, read.text]).toEqual([201, 200, name])
  })

  it.each([
    ['an escaped slash and a slash', 'p%2Fq', 'p/q'],
    ['an escape that is decoded once only', '%2541', 'A'],
    ['upper and lower case', 'Case', 'case'],
  ])('R-004: keeps two streams apart: %s', async (_, one, other) => {
    await request('PUT', `${ROOT}/${adapter}/${one}`, { headers: TEXT, body: 'one' })
    const found = await request('HEAD', `${ROOT}/${adapter}/${other}`)
    expect(found.status).toBe(404)
  })

  it.each([
    ['nothing', ''],
    ['an empty first segment', '/a'],
    ['an empty segment', 'a//b'],
    ['an empty last segment', 'a/'],
    ['NUL', 'a%00b'],
    ['a line feed', 'a%0Ab'],
    ['a carriage return', '%0d'],
    ['an escape character', '%1B[2J'],
    ['DEL', '%7f'],
    ['a lone percent sign', '%'],
    ['half an escape', 'a%4'],
    ['an escape that is not hex', '%G1/x'],
    ['1025 bytes', 'a'.repeat(1025)],
  ])('R-004: refuses a path with %s', async (_, path) => {
    for (const method of ['PUT', 'POST', 'GET', 'DELETE']) {
      const options = method === 'PUT' || method === 'POST' ? { headers: TEXT, body: 'x' } : {}
      const reply = await request(method, `${ROOT}/${path}`, options)
      expect([method, reply.status]).toEqual([method, 400])
      expect(reply.json()).toMatchObject({ code: 'INVALID_STREAM_NAME' })
    }
  })

  it('R-004: takes a path of 1024 bytes', async () => {
    const path = adapter.padEnd(1024, 'a')
    const created = await request('PUT', `${ROOT}/${path}`, { headers: TEXT, body: 'long' })
    const read = await request('GET', `${ROOT}/${path}`)
    expect([created.status, read.text]).toEqual([201, 'long'])
  })

  it.each(['soft-deleted', 'active forks', 'not found', 'already exists', 'stream closed'])(
    'answers 404 for a missing stream called %s, whatever that reminds of',
    async (name) => {
      const path = `${ROOT}/${adapter}/${encodeURIComponent(name)}/x`
      const reply = await request('GET', path)
      const removed = await request('DELETE', path)
      const appended = await request('POST', path, { headers: TEXT, body: 'x' })
      expect([reply.status, removed.status, appended.status]).toEqual([404, 404, 404])
      expect(reply.json()).toMatchObject({ type: '/errors/not-found', code: 'NOT_FOUND' })
    },
  )
})

describe('dot segments', () => {
  it.each([
    '.',
    '..',
    './a',
    '../a',
    'a/.',
    'a/..',
    'a/../b',
    '%2e',
    '%2E%2e/b',
    'a/.%2e/b',
    '../../../etc/passwd',
  ])('R-004: refuses /%s over TCP', async (path) => {
    const created = await server.request('PUT', `${ROOT}/${path}`, { headers: TEXT, body: 'x' })
    const read = await server.request('GET', `${ROOT}/${path}`)
    expect([created.status, read.status]).toEqual([400, 400])
    expect(read.json()).toMatchObject({ code: 'INVALID_STREAM_NAME' })
  })

  it('R-004: takes the path that the platform made of them in a Request', async () => {
    const request = server.via('fetch')
    const created = await request('PUT', `${ROOT}/dots/a/../b`, { headers: TEXT, body: 'b' })
    const read = await request('GET', `${ROOT}/dots/b`)
    const control = await request('PUT', `${ROOT}/dots/../__ds/x`, { headers: TEXT, body: 'x' })
    const outside = await request('PUT', `${ROOT}/dots/../../x`, { headers: TEXT, body: 'x' })
    expect([created.status, read.text, control.status, outside.status]).toEqual([201, 'b', 404, 404])
  })
})

describe.each(ADAPTERS)('%s adapter: query parameters', (adapter) => {
  const request = server.via(adapter)

  it.each([
    'offset=-1&live=long-poll&live=long-poll',
    'offset=-1&live=sse&live=long-poll',
    'offset=-1&live',
    'offset=-1&live=',
    'offset=-1&live=poll',
    'offset=-1&live=SSE',
    'offset=-1&live=Long-Poll',
    'offset=-1&live=true',
    'offset=-1&live=sse%00',
    'offset=-1&live=%FF',
    'offset=-1&l%69ve=poll',
    'offset=-1&live=long-poll&cursor=1&cursor=1',
    'offset=-1&live=long-poll&cursor=1&cursor=2',
    'offset=-1&live=sse&cursor=1&cursor=2',
    'cursor=1&cursor=2',
  ])('R-007: refuses ?%s', async (query) => {
    const path = `${ROOT}/${adapter}/query`
    await request('PUT', path, { headers: TEXT, body: 'data' })
    const reply = await request('GET', `${path}?${query}`)
    expect(reply.status).toBe(400)
    expect(reply.json()).toMatchObject({ status: 400, code: 'BAD_REQUEST' })
    const missing = await request('GET', `${path}/missing?${query}`)
    expect(missing.status).toBe(404)
  })
})

describe.each(ADAPTERS)('%s adapter: methods', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/${adapter}/methods`
  const parsed = METHODS.filter((method) => !['CONNECT', ...STREAM_METHODS].includes(method))
  // `Request` refuses TRACE, and takes names that no parser of HTTP/1.1 on Node lets through.
  const methods = adapter === 'node' ? parsed : [...parsed.filter((method) => method !== 'TRACE'), 'BREW']

  it('R-010: answers an unknown method with 405 and Allow, and changes nothing', async () => {
    await request('PUT', path, { headers: TEXT, body: 'kept' })
    for (const method of methods) {
      const reply = await request(method, path)
      expect([method, reply.status, reply.headers.get('allow')]).toEqual([method, 405, ALLOW])
      expect(reply.json()).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' })
    }
    const read = await request('GET', path)
    expect(read.text).toBe('kept')
  })

  it('R-010: answers an unknown method on a missing stream alike', async () => {
    const reply = await request('PATCH', `${path}/missing`, { headers: TEXT, body: 'x' })
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, ALLOW])
  })

  it.each(['/healthz', '/health', '/readyz'])('R-010: allows GET and HEAD on %s', async (health) => {
    const reply = await request('POST', health, { body: 'x' })
    expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    const head = await request('HEAD', health)
    expect([head.status, head.text]).toEqual([200, ''])
  })

  it.each(['/', '/v1', '/v1/stream', '/v2/stream/a', '/V1/stream/a', '/v1/%73tream/a', '//v1/stream/a'])(
    'finds nothing at %s, which is not below the stream root',
    async (outside) => {
      const reply = await request('PUT', outside, { headers: TEXT, body: 'x' })
      expect(reply.status).toBe(404)
      expect(reply.json()).toMatchObject({ code: 'NOT_FOUND' })
    },
  )
})
