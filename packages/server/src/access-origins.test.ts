/** Which pages may use the server: those of this machine, those that were let in, and no others. */
import { afterAll, describe, expect, it } from 'vitest'
import { ADAPTERS, type SendHeaders, startTestServer } from './test-server.fixture.ts'

const server = await startTestServer({ longPollTimeoutMs: 30 })
const named = await startTestServer({ allowedOrigins: ['https://App.Example', 'http://10.0.0.7:3000'] })
const open = await startTestServer({ allowedOrigins: '*' })
afterAll(() => Promise.all([server.close(), named.close(), open.close()]))

const ROOT = '/v1/stream'
const TEXT = { 'content-type': 'text/plain' }

const LOOPBACK = [
  'http://localhost',
  'https://localhost',
  'http://localhost:3000',
  'http://app.localhost:5173',
  'http://127.0.0.1',
  'https://127.0.0.1:8443',
  'http://127.9.9.9:1',
  'http://[::1]',
  'http://[::1]:3000',
]

const FOREIGN = [
  'http://evil.com',
  'https://evil.com',
  'https://evil.com:443',
  'null',
  'Null',
  '',
  '*',
  'http://localhost.evil.com',
  'http://localhost.evil.com:3000',
  'http://localhost-evil.com',
  'http://evillocalhost',
  'http://127.0.0.1.evil.com',
  'http://127.0.0.1.nip.io:3000',
  'http://127.0.0.1@evil.com',
  'http://localhost:80@evil.com',
  'http://evil.com#localhost',
  'http://evil.com/localhost',
  'http://evil.com?localhost',
  'http://localhost/',
  'http://localhost/evil',
  'http://localhost, http://evil.com',
  'http://evil.com, http://localhost',
  'http://localhost http://evil.com',
  'http://localhost\\evil.com',
  'localhost',
  '//localhost',
  'file://localhost',
  'file://',
  'data:text/html,x',
  'chrome-extension://abcdefgh',
  'moz-extension://localhost',
  'ws://localhost',
  'javascript://localhost',
  'http://0.0.0.0',
  'http://192.168.0.1',
  'http://[::2]',
  'http://[::1].evil.com',
  'http://[::1',
  'http://::1',
  'http://localh\xf6st',
  'http://xn--lcalhost-n4a',
  'http://localhost:port',
  'http://',
  'http:/localhost',
]

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']

describe.each(ADAPTERS)('%s adapter', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/${adapter}`

  it.each(LOOPBACK)('lets pages of %s in', async (origin) => {
    const reply = await request('PUT', `${path}/open`, { headers: { ...TEXT, origin } })
    expect([200, 201]).toContain(reply.status)
    expect(reply.headers.get('access-control-allow-origin')).toBe(origin)
    expect(reply.headers.get('vary')).toBe('Origin')
    expect(reply.headers.get('access-control-allow-credentials')).toBeNull()
  })

  it.each(FOREIGN)('keeps pages of %j out', async (origin) => {
    const reply = await request('GET', `${path}/open`, { headers: { origin } })
    expect(reply.status).toBe(403)
    expect(reply.json()).toMatchObject({
      status: 403,
      code: 'ORIGIN_REFUSED',
      type: '/errors/origin-refused',
    })
    expect(reply.headers.get('access-control-allow-origin')).toBeNull()
    expect(reply.headers.get('vary')).toBe('Origin')
  })

  it('refuses every method of a foreign origin and changes nothing', async () => {
    await request('PUT', `${path}/kept`, { headers: TEXT, body: 'kept' })
    for (const origin of ['http://evil.com', 'null']) {
      for (const method of METHODS) {
        const body = method === 'PUT' || method === 'POST' ? { body: 'x' } : {}
        const headers = { ...TEXT, origin, 'stream-closed': 'true' }
        const reply = await request(method, `${path}/kept`, { headers, ...body })
        const created = await request(method, `${path}/new`, { headers, ...body })
        expect([method, reply.status, created.status]).toEqual([method, 403, 403])
      }
    }
    const read = await request('GET', `${path}/kept`)
    const missing = await request('HEAD', `${path}/new`)
    expect([read.text, read.headers.get('stream-closed'), missing.status]).toEqual(['kept', null, 404])
  })

  it('refuses what a foreign page may send without asking first', async () => {
    await request('PUT', `${path}/simple`, { headers: TEXT, body: 'kept' })
    const origin = 'http://evil.com'
    const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']
    for (const type of types) {
      const headers = {
        origin,
        'content-type': type,
        'sec-fetch-mode': 'navigate',
        'sec-fetch-site': 'cross-site',
      }
      const reply = await request('POST', `${path}/simple`, { headers, body: 'x' })
      expect([type, reply.status]).toEqual([type, 403])
    }
    for (const live of ['long-poll', 'sse']) {
      const headers = { origin, accept: 'text/event-stream' }
      const reply = await request('GET', `${path}/simple?offset=-1&live=${live}`, { headers })
      expect([live, reply.status]).toEqual([live, 403])
    }
    expect((await request('GET', `${path}/simple`)).text).toBe('kept')
  })

  it('answers a preflight of a foreign origin without letting it in', async () => {
    const headers = { origin: 'http://evil.com', 'access-control-request-method': 'PUT' }
    const reply = await request('OPTIONS', `${path}/kept`, { headers })
    expect(reply.headers.get('access-control-allow-origin')).toBeNull()
    expect(reply.headers.get('vary')).toBe('Origin')
  })

  it('refuses a foreign origin on control routes, on missing routes and on missing streams', async () => {
    for (const target of [`${ROOT}/__ds/x`, '/elsewhere', `${path}/missing`, `${path}/a//b`]) {
      const reply = await request('GET', target, { headers: { origin: 'http://evil.com' } })
      expect([target, reply.status]).toEqual([target, 403])
    }
  })

  it('refuses an origin that is sent twice', async () => {
    const headers = { origin: ['http://localhost', 'http://localhost'] }
    const reply = await request('GET', `${path}/open`, { headers })
    expect(reply.status).toBe(403)
  })

  it('says Vary: Origin to those that send none, for their answer is cached for all', async () => {
    await request('PUT', `${path}/cached`, { headers: TEXT, body: 'x' })
    const reply = await request('GET', `${path}/cached`)
    expect(reply.headers.get('vary')).toBe('Origin')
    expect(reply.headers.get('access-control-allow-origin')).toBeNull()
  })

  it.each(['https://app.example', 'https://APP.example', 'http://10.0.0.7:3000', 'http://localhost'])(
    'lets pages of %s in once that is allowed',
    async (origin) => {
      const reply = await named.via(adapter)('PUT', `${path}/x`, { headers: { ...TEXT, origin } })
      expect([200, 201]).toContain(reply.status)
      expect(reply.headers.get('access-control-allow-origin')).toBe(origin)
      expect(reply.headers.get('vary')).toBe('Origin')
    },
  )

  it.each([
    'http://app.example',
    'https://app.example:8443',
    'https://x.app.example',
    'https://app.example.evil.com',
    'https://app.example/',
    'http://10.0.0.7',
    'http://10.0.0.7:30000',
    'https://app.example https://evil.com',
    'null',
  ])('keeps pages of %s out, which only resembles what is allowed', async (origin) => {
    const reply = await named.via(adapter)('GET', `${path}/x`, { headers: { origin } })
    expect(reply.status).toBe(403)
    expect(reply.headers.get('access-control-allow-origin')).toBeNull()
  })

  it.each(['http://evil.com', 'null', 'file://', ''])('lets %j in once every origin is', async (origin) => {
    const reply = await open.via(adapter)('PUT', `${path}/x`, { headers: { ...TEXT, origin } })
    expect([200, 201]).toContain(reply.status)
    expect(reply.headers.get('access-control-allow-origin')).toBe('*')
    expect(reply.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(reply.headers.get('access-control-allow-credentials')).toBeNull()
  })

  it('goes on refusing unknown hosts once every origin is allowed', async () => {
    const headers = { host: 'evil.com', origin: 'http://evil.com' }
    const reply = await open.via(adapter)('GET', `${path}/x`, { headers })
    expect(reply.status).toBe(421)
  })
})

describe.each(ADAPTERS)('%s adapter: pages that load a URL without an origin', (adapter) => {
  const request = server.via(adapter)
  const path = `${ROOT}/embed-${adapter}`
  const embed = (site: string, mode: string, dest: string): SendHeaders => ({
    'sec-fetch-site': site,
    'sec-fetch-mode': mode,
    'sec-fetch-dest': dest,
  })

  it.each([
    ['a script', 'no-cors', 'script'],
    ['an image', 'no-cors', 'image'],
    ['a style sheet', 'no-cors', 'style'],
    ['a prefetch', 'no-cors', 'empty'],
    ['no mode at all', '', ''],
  ])('refuses %s of another site', async (_, mode, dest) => {
    await request('PUT', path, { headers: TEXT, body: 'kept' })
    for (const query of ['', '?offset=-1&live=long-poll', '?offset=-1&live=sse']) {
      const reply = await request('GET', path + query, { headers: embed('cross-site', mode, dest) })
      expect(reply.status).toBe(403)
      expect(reply.json()).toMatchObject({ code: 'ORIGIN_REFUSED' })
    }
  })

  it.each([
    ['a link that somebody follows', embed('cross-site', 'navigate', 'document')],
    ['an address that somebody types', embed('none', 'navigate', 'document')],
    ['a script of the same origin', embed('same-origin', 'no-cors', 'script')],
    ['a page of the same site', embed('same-site', 'no-cors', 'script')],
    ['a program that is no browser', {}],
  ])('answers %s', async (_, headers) => {
    await request('PUT', path, { headers: TEXT, body: 'kept' })
    const reply = await request('GET', path, { headers })
    expect([reply.status, reply.text]).toEqual([200, 'kept'])
  })

  it('answers a script of another site once every origin is allowed', async () => {
    await open.via(adapter)('PUT', path, { headers: TEXT, body: 'kept' })
    const headers = embed('cross-site', 'no-cors', 'script')
    const reply = await open.via(adapter)('GET', path, { headers })
    expect([reply.status, reply.text]).toEqual([200, 'kept'])
  })
})
