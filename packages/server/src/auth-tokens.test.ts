/** Forged, stale and misdirected tokens, wrong keys, and what is said about them. */
import { createHmac } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApiKey } from './auth-api-keys.ts'
import type { AuthenticationOptions, JwtOptions } from './auth-options.ts'
import {
  bearer,
  encoded,
  type IssuerKey,
  inSeconds,
  makeIssuerKey,
  SECRET,
  secretToken,
  signed,
  withExpiry,
} from './auth-world.fixture.ts'
import { type Reply, startTestServer, type TestServer } from './test-server.fixture.ts'

const TARGET = '/v1/stream/a?offset=-1'
const SCOPE = { scope: 'read:**' }

let folder = ''
const issuers = new Map<string, IssuerKey>()
let stranger: IssuerKey
const servers: TestServer[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-auth-'))
  for (const alg of ['RS256', 'ES256', 'EdDSA'] as const)
    issuers.set(alg, await makeIssuerKey(`key-${alg}`, alg))
  stranger = await makeIssuerKey('key-RS256', 'RS256')
  await writeFile(
    join(folder, 'jwks.json'),
    JSON.stringify({ keys: [...issuers.values()].map(({ jwk }) => jwk) }),
  )
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()))
  await rm(folder, { recursive: true, force: true })
})

async function start(authentication: AuthenticationOptions): Promise<TestServer> {
  const server = await startTestServer({ authentication })
  servers.push(server)
  return server
}

function issuer(alg: string): IssuerKey {
  const found = issuers.get(alg)
  if (found === undefined) throw new Error(`no issuer for ${alg}`)
  return found
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** A token whose parts are put together by hand. */
function forged(header: object, claims: object, signature: (input: string) => string): string {
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${signature(input)}`
}

function hmac(secret: string): (input: string) => string {
  return (input) => createHmac('sha256', secret).update(input).digest('base64url')
}

function read(server: TestServer, credential: string): Promise<Reply> {
  return server.request('GET', TARGET, { headers: bearer(credential) })
}

/** A refused credential is answered 401, and neither answer nor log shows any of it. */
async function expectRefused(server: TestServer, credential: string): Promise<void> {
  const reply = await read(server, credential)
  expect([reply.status, reply.headers.get('www-authenticate')]).toEqual([
    401,
    'Bearer realm="millrace", error="invalid_token"',
  ])
  const shown = `${reply.text} ${[...reply.headers].join(' ')} ${server.errors.map(String).join(' ')}`
  for (const secret of credential.split('.').filter((one) => one.length >= 16))
    expect(shown).not.toContain(secret)
}

describe('with public keys', () => {
  let server: TestServer
  beforeAll(async () => {
    const jwt = {
      keys: { jwksFile: join(folder, 'jwks.json') },
      issuer: 'https://id.example',
      audience: ['millrace'],
    }
    server = await start({ jwt })
  })
  const CLAIMS = { ...SCOPE, iss: 'https://id.example', aud: ['other', 'millrace'] }

  it.each(['RS256', 'ES256', 'EdDSA'])('a token signed by %s is accepted', async (alg) => {
    expect((await read(server, await issuer(alg).token(CLAIMS))).status).toBe(404)
  })

  it.each<[string, () => string | Promise<string>]>([
    ['alg none', () => forged({ alg: 'none' }, withExpiry(CLAIMS), () => '')],
    ['alg None', () => forged({ alg: 'None' }, withExpiry(CLAIMS), () => '')],
    ['no alg', () => forged({ kid: 'key-RS256' }, withExpiry(CLAIMS), hmac('x'))],
    [
      'the public key taken for a secret',
      () => forged({ alg: 'HS256', kid: 'key-RS256' }, withExpiry(CLAIMS), hmac(issuer('RS256').pem)),
    ],
    [
      'the public key as JWK taken for a secret',
      () =>
        forged(
          { alg: 'HS256', kid: 'key-RS256' },
          withExpiry(CLAIMS),
          hmac(JSON.stringify(issuer('RS256').jwk)),
        ),
    ],
    ['the key of another issuer', () => stranger.token(CLAIMS)],
    ['a key that comes with it', () => signedWithOwnJwk()],
    ['a key that nobody has', () => stranger.token(CLAIMS, { kid: 'unheard-of' })],
    ['a key of another kind', () => issuer('ES256').token(CLAIMS, { kid: 'key-EdDSA' })],
    ['another issuer', () => issuer('ES256').token({ ...CLAIMS, iss: 'https://id.example.com' })],
    ['no issuer', () => issuer('ES256').token({ ...SCOPE, aud: 'millrace' })],
    ['another audience', () => issuer('ES256').token({ ...CLAIMS, aud: ['Millrace'] })],
    ['no audience', () => issuer('ES256').token({ ...SCOPE, iss: 'https://id.example' })],
    ['an end that is past', () => issuer('ES256').token({ ...CLAIMS, exp: inSeconds(-60) })],
    ['a beginning that is to come', () => issuer('ES256').token({ ...CLAIMS, nbf: inSeconds(60) })],
    ['claims that were changed', () => changedClaims()],
    ['a signature that was cut', async () => (await issuer('RS256').token(CLAIMS)).slice(0, -40)],
    ['no signature', async () => (await issuer('RS256').token(CLAIMS)).replace(/[^.]+$/, '')],
    [
      'two tokens',
      async () => `${await issuer('RS256').token(CLAIMS)}.${await issuer('RS256').token(CLAIMS)}`,
    ],
    ['more than anybody needs', () => issuer('ES256').token({ ...CLAIMS, more: 'x'.repeat(9000) })],
    ['nonsense', () => 'nonsense'],
    ['dots', () => '..'],
    ['an encrypted token', () => `${part({ alg: 'dir', enc: 'A256GCM' })}....`],
  ])('%s is refused', async (_, token) => {
    await expectRefused(server, await token())
  })

  async function signedWithOwnJwk(): Promise<string> {
    const header = { alg: 'RS256', kid: 'key-RS256', jwk: stranger.jwk, jku: 'http://127.0.0.1:1/jwks.json' }
    return stranger.token(CLAIMS, header)
  }

  async function changedClaims(): Promise<string> {
    const [header, , signature] = (await issuer('ES256').token({ ...CLAIMS, scope: 'read:other' })).split('.')
    return `${header}.${part(withExpiry(CLAIMS))}.${signature}`
  }

  it.each(['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer a b', 'Token abc', 'Bearer ünicode'])(
    'Authorization: %s is refused',
    async (authorization) => {
      const reply = await server.request('GET', TARGET, {
        headers: { authorization: Buffer.from(authorization).toString('latin1') },
      })
      expect(reply.status).toBe(401)
    },
  )

  it('Authorization that is sent twice is refused, whichever of them is right', async () => {
    const token = await issuer('ES256').token(CLAIMS)
    const twice = { authorization: [`Bearer ${token}`, 'Bearer other'] }
    expect((await server.request('GET', TARGET, { headers: twice })).status).toBe(401)
  })

  it('nothing of what went wrong is a failure of the server', () => {
    expect(server.errors).toEqual([])
  })
})

describe('with a shared secret', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await start({ jwt: { keys: { secret: SECRET }, leewaySeconds: 30 } })
  })

  it.each<[string, number, () => string | Promise<string>]>([
    ['signed with it', 404, () => secretToken(SCOPE)],
    ['signed with another', 401, () => secretToken(SCOPE, `${SECRET}.`)],
    [
      'with a longer hash',
      401,
      () =>
        signed(
          new SignJWT(withExpiry(SCOPE)).setProtectedHeader({ alg: 'HS512' }),
          encoded(SECRET.padEnd(64)),
        ),
    ],
    ['signed with a key of its own', 401, () => issuer('RS256').token(SCOPE)],
    ['made by hand', 404, () => forged({ alg: 'HS256' }, withExpiry(SCOPE), hmac(SECRET))],
    ['without an end', 401, () => forged({ alg: 'HS256' }, SCOPE, hmac(SECRET))],
    [
      'with an end that is no number',
      401,
      () => forged({ alg: 'HS256' }, { ...SCOPE, exp: '9999999999' }, hmac(SECRET)),
    ],
    [
      'with a critical extension',
      401,
      () => forged({ alg: 'HS256', crit: ['x'], x: 1 }, withExpiry(SCOPE), hmac(SECRET)),
    ],
    ['that ended within the leeway', 404, () => secretToken({ ...SCOPE, exp: inSeconds(-5) })],
    ['that ended before', 401, () => secretToken({ ...SCOPE, exp: inSeconds(-90) })],
  ])('a token %s', async (_, status, token) => {
    expect((await read(server, await token())).status).toBe(status)
  })

  it('an API key is refused where there are none', async () => {
    await expectRefused(server, createApiKey([]).key)
  })
})

describe('with API keys', () => {
  const made = createApiKey(['read:**'], 'reader-1')
  let server: TestServer
  beforeAll(async () => {
    server = await start({ apiKeys: [made.entry] })
  })

  it('the key is accepted', async () => {
    expect((await read(server, made.key)).status).toBe(404)
  })

  it('no key that differs by one character is', async () => {
    for (let at = 0; at < made.key.length; at++) {
      const other = made.key[at] === 'A' ? 'B' : 'A'
      const wrong = `${made.key.slice(0, at)}${other}${made.key.slice(at + 1)}`
      expect((await read(server, wrong)).status).toBe(401)
    }
  })

  it.each<[string, string]>([
    ['a shorter one', made.key.slice(0, -1)],
    ['a longer one', `${made.key}A`],
    ['its hash', made.entry.hash],
    ['another of the same id', createApiKey([], made.entry.id).key],
    ['a token', 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl'],
  ])('%s is refused', async (_, credential) => {
    await expectRefused(server, credential)
  })

  it('keys have 256 random bits, an id, and a hash that is no secret', () => {
    const keys = Array.from({ length: 100 }, () => createApiKey([]))
    expect(new Set(keys.map(({ key }) => key)).size).toBe(100)
    expect(made.key).toMatch(/^mrk_reader-1_[A-Za-z0-9_-]{43}$/)
    expect(() => createApiKey([], 'a b')).toThrow(RangeError)
    expect(() => createApiKey(['read'])).toThrow(RangeError)
  })
})

describe('options', () => {
  const jwks = { jwksFile: '/nowhere/jwks.json' }
  it.each<[string, JwtOptions]>([
    ['a short secret', { keys: { secret: 'short' } }],
    ['HS256 with public keys', { keys: jwks, algorithms: ['HS256'] }],
    ['RS256 with a secret', { keys: { secret: SECRET }, algorithms: ['RS256'] }],
    ['no algorithm', { keys: jwks, algorithms: [] }],
    ['keys from the network in the clear', { keys: { jwksUrl: 'http://id.example/jwks.json' } }],
    ['keys with a password in the URL', { keys: { jwksUrl: 'https://a:b@id.example/jwks.json' } }],
    ['keys from a file that is not there', { keys: jwks }],
    ['a leeway of a day', { keys: { secret: SECRET }, leewaySeconds: 86_400 }],
  ])('%s keeps a server from starting', async (_, jwt) => {
    await expect(start({ jwt })).rejects.toThrow(RangeError)
  })

  it.each<[string, AuthenticationOptions]>([
    ['an API key without a hash', { apiKeys: [{ id: 'a', hash: 'secret', scopes: [] }] }],
    [
      'two API keys of one id',
      { apiKeys: ['1', '2'].map((digit) => ({ id: 'a', hash: digit.repeat(64), scopes: [] })) },
    ],
    ['a scope that is none', { apiKeys: [{ id: 'a', hash: '0'.repeat(64), scopes: ['read:/orders/*'] }] }],
    ['a rule about control routes', { rules: [{ who: 'anyone', paths: ['__ds/**'], operations: ['read'] }] }],
    ['a rule with ** in the middle', { rules: [{ who: 'anyone', paths: ['a/**/b'], operations: ['read'] }] }],
    ['rules in a file that is not there', { rules: { file: '/nowhere/rules.json' } }],
    ['a proxy that is none', { trustedHeader: { userHeader: 'x-user', trustedProxies: ['10.0.0.0/33'] } }],
    [
      'a header of credentials',
      { trustedHeader: { userHeader: 'Authorization', trustedProxies: ['10.0.0.1'] } },
    ],
  ])('%s keeps a server from starting', async (_, authentication) => {
    await expect(start(authentication)).rejects.toThrow(RangeError)
  })
})
