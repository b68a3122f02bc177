/** The listing of an administrator: pages, prefixes, and what is refused. */
import { afterEach, describe, expect, it } from 'vitest'
import { startTestServer, type TestServer } from './test-server.fixture.ts'

let server: TestServer

afterEach(() => server.close())

const TEXT = { headers: { 'content-type': 'text/plain' } }

interface Listing {
  readonly streams: readonly { readonly path: string }[]
  readonly next: string | null
}

async function start(...paths: readonly string[]): Promise<void> {
  server = await startTestServer({ adminBasePath: '/admin' })
  for (const path of paths) await server.request('PUT', `/v1/stream/${path}`, TEXT)
}

async function list(url: string): Promise<Listing> {
  const reply = await server.request('GET', url)
  expect([reply.status, reply.headers.get('cache-control')]).toEqual([200, 'no-store'])
  return reply.json() as Listing
}

describe('the listing of streams', () => {
  it('says of each what it is', async () => {
    await start('b')
    await server.request('PUT', '/v1/stream/a', { ...TEXT, body: 'abc' })
    await server.request('POST', '/v1/stream/b', { headers: { 'stream-closed': 'true' } })
    expect(await list('/admin/streams')).toEqual({
      streams: [
        { path: 'a', contentType: 'text/plain', tail: 3, ownBytes: 3, closed: false },
        { path: 'b', contentType: 'text/plain', tail: 0, ownBytes: 0, closed: true },
      ],
      next: null,
    })
  })

  it('comes in pages that follow each other, of a prefix or of all', async () => {
    const paths = ['a', 'a/1', 'a/2', 'a/%C3%A4', 'b', 'c'].sort()
    await start(...paths)
    for (const [prefix, expected] of [
      ['', paths],
      ['a/', paths.filter((path) => path.startsWith('a/'))],
    ] as const) {
      const seen: string[] = []
      let next: string | null = `/admin/streams?limit=2&prefix=${prefix}`
      while (next !== null) {
        const page: Listing = await list(next)
        expect(page.streams.length).toBeLessThanOrEqual(2)
        seen.push(...page.streams.map(({ path }) => path))
        next = page.next
      }
      expect(seen).toEqual(expected)
    }
  })

  it.each([
    ['GET', '/admin/streams?limit=0', 400, 'BAD_REQUEST'],
    ['GET', '/admin/streams?limit=1001', 400, 'BAD_REQUEST'],
    ['GET', '/admin/streams?limit=ten', 400, 'BAD_REQUEST'],
    ['GET', '/admin/streams?after=../x', 400, 'BAD_REQUEST'],
    ['GET', '/admin/streams?prefix=%C3%A4', 400, 'BAD_REQUEST'],
    ['GET', `/admin/streams?prefix=${'a'.repeat(1025)}`, 400, 'BAD_REQUEST'],
    ['POST', '/admin/streams', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/admin', 404, 'NOT_FOUND'],
    ['GET', '/admin/streams/a', 404, 'NOT_FOUND'],
    ['GET', '/administration', 404, 'NOT_FOUND'],
  ])('%s %s is refused', async (method, path, status, code) => {
    await start()
    const reply = await server.request(method, path)
    expect([reply.status, reply.headers.get('content-type')]).toEqual([status, 'application/problem+json'])
    expect(reply.json()).toMatchObject({ code })
  })

  it('is let in by the rules of all other requests, and there only where it was asked for', async () => {
    await start('a')
    const stranger = await server.request('GET', '/admin/streams', { headers: { host: 'evil.example' } })
    const page = await server.request('GET', '/admin/streams', {
      headers: { origin: 'https://evil.example' },
    })
    expect([stranger.status, page.status]).toEqual([421, 403])
    await server.close()
    server = await startTestServer()
    expect((await server.request('GET', '/admin/streams')).status).toBe(404)
  })
})

it('tells of every answer, without the query', async () => {
  const answered: unknown[] = []
  server = await startTestServer({
    onAnswered: ({ method, path, status }) => answered.push([method, path, status]),
  })
  await server.request('PUT', '/v1/stream/a', TEXT)
  await server.request('GET', '/v1/stream/a?offset=-1&token=secret')
  await server.request('GET', '/nowhere')
  expect(answered).toEqual([
    ['PUT', '/v1/stream/a', 201],
    ['GET', '/v1/stream/a', 200],
    ['GET', '/nowhere', 404],
  ])
})
