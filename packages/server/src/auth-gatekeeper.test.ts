/** The user in a header: believed from trusted proxies only. */
import { readFile } from 'node:fs/promises'
import { connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { WireRequest } from '@millrace/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Gatekeeper } from './auth-gatekeeper.ts'
import type { TrustedHeaderOptions } from './auth-options.ts'
import { makeCertificates, type Pair, type TestCertificates } from './test-certificates.fixture.ts'
import { startTestServer, type TestServer } from './test-server.fixture.ts'

const TARGET = '/v1/stream/users/alice/a'
const RULES = [{ who: 'authenticated', paths: ['users/{sub}/**'], operations: ['read'] }] as const

const servers: TestServer[] = []
let certificates: TestCertificates
beforeAll(async () => {
  certificates = await makeCertificates()
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()))
  await certificates.remove()
})

async function start(options: Partial<TrustedHeaderOptions>, tls = {}): Promise<TestServer> {
  const trustedHeader = { userHeader: 'X-JWT-Sub', trustedProxies: ['127.0.0.1'], ...options }
  const server = await startTestServer({ authentication: { trustedHeader, rules: RULES }, ...tls })
  servers.push(server)
  return server
}

async function statusFor(
  server: TestServer,
  headers: Record<string, string | readonly string[]>,
): Promise<number> {
  return (await server.request('GET', TARGET, { headers })).status
}

describe('over HTTP', () => {
  it('a trusted proxy names the user, and scopes', async () => {
    const server = await start({ requireTls: false, scopesHeader: 'x-scopes' })
    expect(await statusFor(server, { 'x-jwt-sub': 'alice' })).toBe(404)
    expect(await statusFor(server, { 'x-jwt-sub': 'bob' })).toBe(403)
    expect(await statusFor(server, { 'x-jwt-sub': 'bob', 'x-scopes': 'openid read:users/alice/*' })).toBe(404)
    expect(await statusFor(server, {})).toBe(401)
    expect(await statusFor(server, { 'x-jwt-sub': '' })).toBe(401)
    expect(await statusFor(server, { 'x-jwt-sub': ['alice', 'bob'] })).toBe(401)
    expect(await statusFor(server, { 'x-scopes': 'read:users/alice/*' })).toBe(401)
    const twice = ['read:users/alice/*', 'read:users/bob/*']
    expect(await statusFor(server, { 'x-jwt-sub': 'alice', 'x-scopes': twice })).toBe(401)
    const seen = await server.request('GET', TARGET, {
      headers: { 'x-jwt-sub': 'alice', authorization: 'Bearer x' },
    })
    expect(seen.status).toBe(404)
  })

  it('anybody else names nobody', async () => {
    const server = await start({ requireTls: false, trustedProxies: ['127.0.0.2', '10.0.0.0/8', '::1'] })
    const claims = { 'x-jwt-sub': 'alice', 'x-forwarded-for': '10.0.0.1', forwarded: 'for=10.0.0.1' }
    expect(await statusFor(server, claims)).toBe(401)
  })

  it('nobody is believed without TLS unless that was chosen', async () => {
    expect(await statusFor(await start({}), { 'x-jwt-sub': 'alice' })).toBe(401)
  })

  it('nobody is believed through fetch, which does not say who asks', async () => {
    const server = await start({ requireTls: false })
    expect((await server.via('fetch')('GET', TARGET, { headers: { 'x-jwt-sub': 'alice' } })).status).toBe(401)
  })

  it('caches tell users apart by cookies as well', async () => {
    const server = await start({ requireTls: false, scopesHeader: 'x-scopes' })
    const headers = { 'x-jwt-sub': 'alice', 'x-scopes': 'create:**', 'content-type': 'text/plain' }
    await server.request('PUT', TARGET, { headers, body: 'a' })
    const reply = await server.request('GET', TARGET, { headers })
    expect([reply.status, reply.headers.get('vary')]).toEqual([200, expect.stringContaining('Cookie')])
  })
})

describe('over TLS', () => {
  function status(server: TestServer, pair?: Pair): Promise<number> {
    return new Promise((resolve, reject) => {
      const ca = certificates.authority.cert
      const headers = { 'x-jwt-sub': 'alice' }
      const options = {
        host: '127.0.0.1',
        port: server.port,
        path: TARGET,
        ca,
        headers,
        agent: false,
        ...pair,
      }
      httpsRequest(options, (incoming) => {
        incoming.resume()
        resolve(incoming.statusCode ?? 0)
      })
        .on('error', reject)
        .end()
    })
  }

  function statusOverHttp2(server: TestServer, pair: Pair): Promise<number> {
    return new Promise((resolve, reject) => {
      const ca = certificates.authority.cert
      const session = connect(`https://127.0.0.1:${server.port}`, { ca, ...pair })
      session.on('error', reject)
      const stream = session.request({ ':path': TARGET, 'x-jwt-sub': 'alice' })
      stream.on('error', reject)
      stream.on('response', (headers) => {
        session.destroy()
        resolve(headers[':status'] ?? 0)
      })
      stream.resume()
    })
  }

  it('a proxy with a certificate that was verified is believed', async () => {
    const { certPath, keyPath, clientCaPath } = certificates
    const server = await start({}, { tls: { certPath, keyPath, clientCaPath } })
    expect(await status(server, certificates.client)).toBe(404)
    expect(await statusOverHttp2(server, certificates.client)).toBe(404)
    await expect(status(server)).rejects.toThrow()
  })

  it('one without is not, whatever it shows', async () => {
    const { certPath, keyPath } = certificates
    const server = await start({}, { tls: { certPath, keyPath } })
    expect(await status(server)).toBe(401)
    expect(await statusOverHttp2(server, certificates.client)).toBe(401)
    expect(
      await status(server, { cert: await readFile(certPath, 'utf8'), key: await readFile(keyPath, 'utf8') }),
    ).toBe(401)
  })
})

describe('addresses', () => {
  const gatekeeper = new Gatekeeper({
    userHeader: 'x-user',
    trustedProxies: ['10.1.0.0/16', '192.0.2.7', '2001:db8::/32'],
    requireTls: false,
  })

  it.each<[string | undefined, boolean]>([
    ['10.1.2.3', true],
    ['10.2.2.3', false],
    ['192.0.2.7', true],
    ['192.0.2.70', false],
    ['::ffff:10.1.2.3', true],
    ['::ffff:10.2.2.3', false],
    ['2001:db8:1::1', true],
    ['2001:db9::1', false],
    ['unknown', false],
    ['', false],
    [undefined, false],
  ])('%s: %s', (client, isTrusted) => {
    const request: WireRequest = {
      method: 'GET',
      target: '/',
      header: (name) => (name === 'x-user' ? 'alice' : undefined),
      scheme: 'http',
      client,
      readBody: () => new Uint8Array(0),
      onAborted: () => undefined,
    }
    expect(gatekeeper.vouchedFor(request) !== undefined).toBe(isTrusted)
  })
})
