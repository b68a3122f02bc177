import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authenticationOf } from './auth-config.ts'
import type { Authentication } from './auth-options.ts'
import type { RawValue } from './config-value.ts'
import { ConfigError, loadConfig } from './load-config.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-auth-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

type Given = Readonly<Record<string, RawValue>>

async function of(
  overrides: Given,
  environment: Record<string, string> = {},
): Promise<Authentication | undefined> {
  return authenticationOf(await loadConfig({ directory, environment, overrides }))
}

async function problemsOf(overrides: Given): Promise<readonly string[]> {
  const error: unknown = await of(overrides).catch((reason: unknown) => reason)
  return error instanceof ConfigError ? error.problems : []
}

const SECRET = 'x'.repeat(32)
const PROXY = { 'proxy.enabled': true, 'proxy.trusted_proxies': ['10.0.0.1'] }
const HEADER = { 'proxy.identity.mode': 'header', 'proxy.identity.header_name': 'x-jwt-sub' }

describe('authenticationOf', () => {
  it.each<[string, Given, Authentication | undefined]>([
    ['nothing', {}, undefined],
    ['none', { 'auth.mode': 'none' }, 'none'],
    ['none, for others to reach', { 'auth.mode': 'none', 'server.bind_address': '0.0.0.0:1' }, 'none'],
    ['nothing, on loopback', { 'server.bind_address': '[::1]:1' }, undefined],
    [
      'tokens and rules',
      {
        'auth.mode': 'jwt',
        'auth.jwt.jwks_url': 'https://id.example/jwks.json',
        'auth.jwt.algorithms': 'ES256,EdDSA',
        'auth.jwt.issuer': 'https://id.example',
        'auth.jwt.audience': ['millrace'],
        'auth.jwt.leeway_secs': 30,
        'auth.rules_file': 'rules.json',
      },
      {
        jwt: {
          keys: { jwksUrl: 'https://id.example/jwks.json' },
          algorithms: ['ES256', 'EdDSA'],
          issuer: ['https://id.example'],
          audience: ['millrace'],
          leewaySeconds: 30,
        },
        rules: { file: 'rules.json' },
      },
    ],
    [
      'a secret and API keys',
      { 'auth.mode': ['jwt', 'keys'], 'auth.jwt.secret': SECRET, 'auth.api_keys_file': 'keys.json' },
      { jwt: { keys: { secret: SECRET }, leewaySeconds: 5 }, apiKeys: { file: 'keys.json' } },
    ],
    [
      'a gatekeeper by its older names',
      { ...PROXY, ...HEADER, 'proxy.identity.require_tls': false, 'auth.header.scopes_header': 'x-scopes' },
      {
        trustedHeader: {
          userHeader: 'x-jwt-sub',
          scopesHeader: 'x-scopes',
          trustedProxies: ['10.0.0.1'],
          requireTls: false,
        },
      },
    ],
  ])('%s', async (_, given, expected) => {
    expect(await of(given)).toEqual(expected)
  })

  it('takes it from the environment', async () => {
    expect(await of({}, { DS_AUTH__MODE: 'none' })).toBe('none')
    const environment = { DS_AUTH__MODE: 'jwt', DS_AUTH__JWT__SECRET: SECRET }
    expect(await of({}, environment)).toEqual({ jwt: { keys: { secret: SECRET }, leewaySeconds: 5 } })
  })

  it.each<[string, Given, string]>([
    [
      'keys of tokens without the mode',
      { 'auth.jwt.secret': SECRET },
      'auth.jwt.secret has no effect without jwt',
    ],
    ['rules without a mode', { 'auth.rules_file': 'a' }, 'auth.rules_file has no effect without auth.mode'],
    ['rules for everybody', { 'auth.mode': 'none', 'auth.rules_file': 'a' }, 'has no effect with none'],
    ['none and more', { 'auth.mode': 'none,keys', 'auth.api_keys_file': 'a' }, 'auth.mode is none, or'],
    ['tokens without keys', { 'auth.mode': 'jwt' }, 'needs one of auth.jwt.jwks_url'],
    [
      'two kinds of keys',
      { 'auth.mode': 'jwt', 'auth.jwt.secret': SECRET, 'auth.jwt.jwks_file': 'a' },
      'needs one of auth.jwt.jwks_url',
    ],
    ['API keys without a file', { 'auth.mode': 'keys' }, 'with keys needs auth.api_keys_file'],
    ['a header without proxies', { 'auth.mode': 'header' }, 'proxy.trusted_proxies must name'],
    ['a header without TLS', { ...PROXY, ...HEADER }, 'proxy.identity.require_tls needs client certificates'],
    ['nothing, for others to reach', { 'server.bind_address': '0.0.0.0:1' }, 'Others can reach 0.0.0.0'],
    ['none and a header', { ...PROXY, ...HEADER, 'auth.mode': 'none' }, 'auth.mode is none, or'],
  ])('%s is a problem', async (_, given, expected) => {
    expect((await problemsOf(given)).join('\n')).toContain(expected)
  })

  it('never shows a secret', async () => {
    const problems = await problemsOf({
      'auth.mode': ['jwt', 'keys'],
      'auth.jwt.secret': SECRET,
      'auth.jwt.jwks_file': 'a',
    })
    expect(problems).toHaveLength(2)
    expect(problems.join()).not.toContain(SECRET)
  })
})
