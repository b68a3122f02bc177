/** What probes see: `/healthz` and `/health` while the process lives, `/readyz` while it takes requests. */
import { afterAll, describe, expect, test } from 'vitest'
import { ADAPTERS, rawExchange, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
afterAll(() => server.close())

const PATHS = ['/healthz', '/health', '/readyz'] as const

describe.each(ADAPTERS)('over %s', (adapter) => {
  const send = server.via(adapter)

  test.each(PATHS)('GET %s is answered ok, and is not kept', async (path) => {
    const reply = await send('GET', path)

    expect([reply.status, reply.text]).toEqual([200, 'ok\n'])
    expect(reply.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(reply.headers.get('cache-control')).toBe('no-store')
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test.each(PATHS)('HEAD %s is answered without a body', async (path) => {
    const reply = await send('HEAD', path)

    expect([reply.status, reply.text]).toEqual([200, ''])
    expect(reply.headers.get('cache-control')).toBe('no-store')
  })

  test.each(
    PATHS.flatMap((path) => ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'].map((method) => [method, path])),
  )('%s %s is answered 405', async (method, path) => {
    const reply = await send(method ?? '', path ?? '')

    expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test.each(PATHS)('%s is answered under any Host and any Origin', async (path) => {
    const headers = { host: 'probe.internal:8080', origin: 'https://elsewhere.example' }
    const replies = await Promise.all([
      send('GET', path, { headers }),
      send('HEAD', path, { headers }),
      send('GET', `${path}?verbose=1`, { headers }),
    ])

    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test.each(['/healthz/', '/healthz/x', '/Healthz', '/readyz2', '/', '/metrics'])(
    '%s is not a health check',
    async (path) => {
      expect((await send('GET', path)).status).toBe(404)
    },
  )

  test('a server that drains lives, and is not ready', async () => {
    const draining = await startTestServer()
    const sendTo = draining.via(adapter)
    draining.server.handler.drain()
    const replies = await Promise.all(PATHS.map((path) => sendTo('GET', path)))
    const head = await sendTo('HEAD', '/readyz')
    await draining.close()

    expect(replies.map(({ status }) => status)).toEqual([200, 200, 503])
    expect(head.status).toBe(503)
    expect(replies[2]?.headers.get('retry-after')).toBe('1')
  })
})

describe.each(ADAPTERS)('with streams at the root of the server, over %s', (adapter) => {
  test.each(PATHS)('%s is a health check and no stream', async (path) => {
    const rooted = await startTestServer({ streamBasePath: '/' })
    const send = rooted.via(adapter)
    const foreign = { host: 'probe.internal', 'content-type': 'text/plain' }
    const created = await send('PUT', path, { headers: foreign, body: 'abc' })
    const checked = await send('GET', path, { headers: foreign })
    const stream = await send('PUT', '/a', { headers: { 'content-type': 'text/plain' }, body: 'abc' })
    await rooted.close()

    expect([created.status, checked.status, checked.text]).toEqual([405, 200, 'ok\n'])
    expect(stream.status).toBe(201)
  })
})

test('a probe of HTTP/1.0 that names no host is answered', async () => {
  const { replies } = await rawExchange(server.port, 'GET /healthz HTTP/1.0\r\n\r\n')

  expect(replies.map(({ status, text }) => [status, text])).toEqual([[200, 'ok\n']])
})
