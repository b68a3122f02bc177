/** The keys of authentication and proxies, with what each changes in a running server. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiKey } from '@millrace/server'
import { SignJWT } from 'jose'
import { ask, type Served } from './config-effects.fixture.ts'
import type { Row } from './config-rows.fixture.ts'

const SECRET = 'this secret is known to these tests only'
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256' }] })
const apiKey = createApiKey(['read:**'])

const folder = mkdtempSync(join(tmpdir(), 'millrace-auth-effects-'))
const [keysFile, rulesFile, jwksFile] = [
  ['keys.json', JSON.stringify({ keys: [apiKey.entry] })],
  ['rules.json', JSON.stringify({ rules: [{ who: 'anyone', paths: ['public/**'], operations: ['read'] }] })],
  ['jwks.json', jwks],
].map(([name = '', text = '']) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}) as [string, string, string]

let jwksUrl = ''
const keyServer = createServer((_, response) => {
  response.writeHead(200, { 'Content-Type': 'application/json' })
  response.end(jwks)
})

/** Starts what the rows need; to be stopped after the last one. */
export async function startKeyServer(): Promise<() => void> {
  await new Promise<void>((resolve) => keyServer.listen(0, '127.0.0.1', resolve))
  const address = keyServer.address()
  if (address === null || typeof address === 'string') throw new Error('the key server has no port')
  jwksUrl = `http://127.0.0.1:${address.port}/jwks.json`
  return () => keyServer.close()
}

type Headers = Readonly<Record<string, string>>

/** What a reader of a stream that is not there is answered: 404 to those who may read. */
const readWith = (headers: () => Headers | Promise<Headers>, path = '/v1/stream/a') => {
  return async (served: Served): Promise<number> =>
    (await ask(served, path, { headers: await headers() })).status
}

/** A token that is good for reading, unless something is said of it. */
async function bearer(alg: 'HS256' | 'ES256', more: { readonly lifetime?: number } = {}): Promise<Headers> {
  const claims = { sub: 'ann', scope: 'read:**', iss: 'https://other.example', aud: 'other' }
  const expires = Math.floor(Date.now() / 1000) + (more.lifetime ?? 3600)
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg, kid: 'one' })
    .setExpirationTime(expires)
    .sign(alg === 'HS256' ? new TextEncoder().encode(SECRET) : privateKey)
  return { authorization: `Bearer ${token}` }
}

const withSecret = () => ({ 'auth.mode': 'jwt', 'auth.jwt.secret': SECRET })
const withKeys = () => ({ 'auth.mode': 'keys', 'auth.api_keys_file': keysFile })

const TOKENS: readonly Row[] = [
  {
    key: 'auth.mode',
    value: 'keys',
    beside: () => ({ 'auth.api_keys_file': keysFile }),
    see: readWith(() => ({})),
    withIt: 401,
    without: 'refused',
  },
  {
    key: 'auth.api_keys_file',
    value: () => keysFile,
    beside: () => ({ 'auth.mode': 'keys' }),
    see: readWith(() => ({ authorization: `Bearer ${apiKey.key}` })),
    withIt: 404,
    without: 'refused',
  },
  {
    key: 'auth.rules_file',
    value: () => rulesFile,
    beside: withKeys,
    see: readWith(() => ({}), '/v1/stream/public/a'),
    withIt: 404,
    without: 401,
  },
  {
    key: 'auth.jwt.secret',
    value: SECRET,
    beside: () => ({ 'auth.mode': 'jwt' }),
    see: readWith(() => bearer('HS256')),
    withIt: 404,
    without: 'refused',
  },
  {
    key: 'auth.jwt.jwks_file',
    value: () => jwksFile,
    beside: () => ({ 'auth.mode': 'jwt' }),
    see: readWith(() => bearer('ES256')),
    withIt: 404,
    without: 'refused',
  },
  {
    key: 'auth.jwt.jwks_url',
    value: () => jwksUrl,
    beside: () => ({ 'auth.mode': 'jwt' }),
    see: readWith(() => bearer('ES256')),
    withIt: 404,
    without: 'refused',
  },
  {
    key: 'auth.jwt.algorithms',
    value: ['EdDSA'],
    beside: () => ({ 'auth.mode': 'jwt', 'auth.jwt.jwks_file': jwksFile }),
    see: readWith(() => bearer('ES256')),
    withIt: 401,
    without: 404,
  },
  {
    key: 'auth.jwt.issuer',
    value: 'https://id.example',
    beside: withSecret,
    see: readWith(() => bearer('HS256')),
    withIt: 401,
    without: 404,
  },
  {
    key: 'auth.jwt.audience',
    value: 'millrace',
    beside: withSecret,
    see: readWith(() => bearer('HS256')),
    withIt: 401,
    without: 404,
  },
  {
    key: 'auth.jwt.leeway_secs',
    value: '4m',
    beside: withSecret,
    see: readWith(() => bearer('HS256', { lifetime: -60 })),
    withIt: 404,
    without: 401,
  },
]

const PROXY = {
  'proxy.enabled': true,
  'proxy.trusted_proxies': ['127.0.0.1'],
  'proxy.identity.mode': 'header',
  'proxy.identity.header_name': 'x-user',
  'proxy.identity.require_tls': false,
  'auth.header.scopes_header': 'x-scopes',
}

const besides = (key: keyof typeof PROXY) => () =>
  Object.fromEntries(Object.entries(PROXY).filter(([name]) => name !== key))
const asAnn = readWith(() => ({ 'x-user': 'ann', 'x-scopes': 'read:**' }))

const PROXIES: readonly Row[] = [
  ...(['proxy.enabled', 'proxy.trusted_proxies', 'proxy.identity.header_name'] as const).map(
    (key): Row => ({
      key,
      value: PROXY[key],
      beside: besides(key),
      see: asAnn,
      withIt: 404,
      without: 'refused',
    }),
  ),
  {
    key: 'proxy.identity.require_tls',
    value: false,
    beside: besides('proxy.identity.require_tls'),
    see: asAnn,
    withIt: 404,
    without: 'refused',
  },
  {
    key: 'proxy.identity.mode',
    value: 'header',
    beside: () => ({ ...PROXY, 'proxy.identity.mode': 'none', 'auth.header.scopes_header': 'x-scopes' }),
    see: readWith(() => ({})),
    withIt: 401,
  },
  {
    key: 'auth.header.scopes_header',
    value: 'x-scopes',
    beside: besides('auth.header.scopes_header'),
    see: asAnn,
    withIt: 404,
    without: 403,
  },
  {
    key: 'proxy.forwarded_headers',
    value: 'x-forwarded',
    beside: () => ({ 'proxy.enabled': true, 'proxy.trusted_proxies': ['127.0.0.1'] }),
    async see(served) {
      const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'a.example' }
      const answer = await ask(served, '/v1/stream/a', { method: 'PUT', headers })
      return String(answer.headers.location).startsWith('https://a.example/')
    },
    withIt: true,
    without: false,
  },
]

/** All of them. */
export const AUTH_ROWS: readonly Row[] = [...TOKENS, ...PROXIES]
