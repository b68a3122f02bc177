/** Which names the server answers to: a page that rebinds its own name to loopback gets nothing. */
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, rawExchange, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer()
const named = await startTestServer({ allowedHosts: ['Millrace.Example', '10.0.0.7', '[fd00::7]'] })
const open = await startTestServer({ allowedHosts: '*' })
afterAll(() => Promise.all([server.close(), named.close(), open.close()]))

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']

const LOOPBACK = [
  'localhost',
  'LOCALHOST',
  'localhost:4437',
  'localhost.',
  'localhost.:80',
  'app.localhost',
  'a.b.localhost:3000',
  '127.0.0.1',
  '127.0.0.1:65535',
  '127.1.2.3',
  '[::1]',
  '[::1]:4437',
]

const FOREIGN = [
  'evil.com',
  'evil.com:4437',
  'localhost.evil.com',
  'localhost.evil.com.',
  'evil.com.localhost.evil.com',
  'localhost-evil.com',
  'evillocalhost',
  'mylocalhost.com',
  '127.0.0.1.evil.com',
  '127.0.0.1.nip.io',
  'evil127.0.0.1',
  '127.0.0',
  '127.0.0.1.1',
  '1270.0.0.1',
  '0.0.0.0',
  '10.0.0.1',
  '192.168.0.1:4437',
  '169.254.169.254',
  '[::]',
  '[::2]',
  '[fe80::1]',
  '[::ffff:10.0.0.1]',
  '::1',
  '[::1',
  '[::1].evil.com',
  '[::1]evil.com',
  'localhost..',
  'local host',
  'localhost, evil.com',
  'evil.com@localhost',
  'localhost@evil.com',
  'localhost:80@evil.com',
  'localhost/evil.com',
  'localhost#.evil.com',
  'localhost?.evil.com',
  'localhost:x',
  'localhost:123456',
  'localhost:-1',
  'http://localhost',
  'l\xf6calhost',
  '*',
  '.',
]

describe.each(ADAPTERS)('%s adapter', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/${adapter}`

  it.each(LOOPBACK)('answers to %s', async (host) => {
    const reply = await request('PUT', `${path}/known`, { headers: { ...TEXT, host } })
    expect([200, 201]).toContain(reply.status)
  })

  it.each(FOREIGN)('does not answer to %s', async (host) => {
    const reply = await request('GET', `${path}/known`, { headers: { host } })
    expect(reply.status).toBe(421)
    expect(reply.json()).toMatchObject({ status: 421, code: 'HOST_REFUSED', type: '/errors/host-refused' })
    expect(reply.headers.get('access-control-allow-origin')).toBeNull()
    expect(reply.text).not.toContain(host === '.' || host === '*' ? 'known' : host)
  })

  it('refuses every method of an unknown host and changes nothing', async () => {
    await request('PUT', `${path}/kept`, { headers: TEXT, body: 'kept' })
    for (const method of METHODS) {
      const body = method === 'PUT' || method === 'POST' ? { body: 'x' } : {}
      const headers = { ...TEXT, host: 'evil.com', 'stream-closed': 'true' }
      const reply = await request(method, `${path}/kept`, { headers, ...body })
      const created = await request(method, `${path}/new`, { headers, ...body })
      expect([method, reply.status, created.status]).toEqual([method, 421, 421])
      expect(reply.headers.get('access-control-allow-methods')).toBeNull()
    }
    const read = await request('GET', `${path}/kept`)
    const missing = await request('HEAD', `${path}/new`)
    expect([read.text, read.headers.get('stream-closed'), missing.status]).toEqual(['kept', null, 404])
  })

  it('refuses an unknown host on control routes, on missing routes and for live reads', async () => {
    await request('PUT', `${path}/kept`, { headers: TEXT, body: 'kept' })
    const targets = [`${ROOT}/__ds/x`, '/elsewhere', `${path}/kept?offset=-1&live=sse`, `${path}/a//b`]
    for (const target of targets) {
      const reply = await request('GET', target, { headers: { host: 'evil.com' } })
      expect([target, reply.status]).toEqual([target, 421])
    }
  })

  it('refuses an unknown host whatever origin it claims', async () => {
    for (const origin of ['http://localhost', 'http://evil.com', 'null']) {
      const reply = await request('GET', `${path}/kept`, { headers: { host: 'evil.com', origin } })
      expect(reply.status).toBe(421)
      expect(reply.headers.get('access-control-allow-origin')).toBeNull()
    }
  })

  it('answers health checks whatever the host, and nothing else there', async () => {
    for (const target of ['/healthz', '/health', '/readyz']) {
      const reply = await request('GET', target, { headers: { host: '10.1.2.3:4437' } })
      expect([reply.status, reply.text]).toEqual([200, 'ok\n'])
    }
    for (const target of ['/healthz/', '/healthz/../v1/stream/x', '//healthz']) {
      const reply = await request('GET', target, { headers: { host: 'evil.com' } })
      expect([target, reply.status]).toEqual([target, 421])
    }
  })

  it.each([
    'millrace.example',
    'MILLRACE.example:8080',
    'millrace.example.',
    '10.0.0.7:4437',
    '[fd00::7]:4437',
  ])('answers to %s once that is allowed', async (host) => {
    const via = named.via(adapter)
    const reply = await via('PUT', `${path}/${encodeURIComponent(host)}`, { headers: { ...TEXT, host } })
    const local = await via('GET', `${path}/${encodeURIComponent(host)}`)
    expect([reply.status, local.status]).toEqual([201, 200])
  })

  it.each([
    'x.millrace.example',
    'millrace.example.evil.com',
    'xmillrace.example',
    '10.0.0.70',
    '[fd00::70]',
  ])('does not answer to %s, which only resembles what is allowed', async (host) => {
    const reply = await named.via(adapter)('GET', `${path}/x`, { headers: { host } })
    expect(reply.status).toBe(421)
  })

  it.each(['evil.com', '192.168.0.1:4437', '[fe80::1]'])('answers to %s once all hosts are', async (host) => {
    const reply = await open.via(adapter)('PUT', `${path}/x`, { headers: { ...TEXT, host } })
    expect([200, 201]).toContain(reply.status)
  })

  it.each(['evil.com/x', 'a b', 'evil.com@localhost', 'x:y', '"'])(
    'does not answer to %s, which is no host, though all hosts are allowed',
    async (host) => {
      const reply = await open.via(adapter)('PUT', `${path}/no-host`, { headers: { ...TEXT, host } })
      expect(reply.status).toBe(421)
    },
  )

  it('takes the host of a new stream into Location', async () => {
    const host = 'app.localhost:8080'
    const reply = await request('PUT', `${path}/located`, { headers: { ...TEXT, host } })
    expect(reply.headers.get('location')).toBe(`http://${host}${path}/located`)
  })
})

describe('over TCP', () => {
  const line = `GET ${ROOT}/x HTTP/1.1\r\n`

  it.each([
    ['no Host', ''],
    ['two that agree', 'Host: localhost\r\nHost: localhost\r\n'],
    ['two that differ', 'Host: localhost\r\nHost: evil.com\r\n'],
    ['two that differ, the other way round', 'Host: evil.com\r\nHost: localhost\r\n'],
    ['an empty one', 'Host:\r\n'],
    ['an empty one before another', 'Host:\r\nHost: localhost\r\n'],
  ])('refuses a request with %s', async (_, fields) => {
    const { replies } = await rawExchange(server.port, `${line}${fields}Connection: close\r\n\r\n`)
    expect(replies).toHaveLength(1)
    expect([400, 421]).toContain(replies[0]?.status)
    expect(replies[0]?.headers.get('content-type')).toBe('application/problem+json')
    expect(replies[0]?.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('refuses HTTP/1.0 without Host', async () => {
    const { replies } = await rawExchange(server.port, `GET ${ROOT}/x HTTP/1.0\r\n\r\n`)
    expect(replies.map(({ status }) => status)).toEqual([421])
  })

  it('goes by the host in an absolute target, not by the Host beside it', async () => {
    const tail = 'Connection: close\r\n\r\n'
    const foreign = await rawExchange(
      server.port,
      `GET http://evil.com${ROOT}/x HTTP/1.1\r\nHost: localhost\r\n${tail}`,
    )
    expect(foreign.replies.map(({ status }) => status)).toEqual([421])
  })
})

describe('in a Request', () => {
  it.each([
    ['http://localhost:4437', 404],
    ['https://127.0.0.1', 404],
    ['http://[::1]:99', 404],
    ['http://evil.com', 421],
    ['http://localhost.evil.com', 421],
    ['http://localhost@evil.com', 421],
  ])('goes by the URL where there is no Host: %s is %i', async (origin, status) => {
    const target = new URL(`${origin}${ROOT}/missing`)
    target.username = ''
    const response = await server.server.handler.fetch(new Request(target))
    expect(response.status).toBe(status)
  })

  it('goes by Host where there is one', async () => {
    const url = `http://localhost${ROOT}/missing`
    const response = await server.server.handler.fetch(new Request(url, { headers: { host: 'evil.com' } }))
    expect(response.status).toBe(421)
  })
})
