/** Authentication as a configuration describes it. */

import { openDoor } from './auth-door.ts'
import type {
  Authentication,
  AuthenticationOptions,
  JwtOptions,
  TokenAlgorithm,
  TokenKeys,
  TrustedHeaderOptions,
} from './auth-options.ts'
import type { EffectiveValue } from './config-resolve.ts'
import { parseAddress } from './config-value.ts'
import { ConfigError, type LoadedConfig } from './load-config.ts'

/** What keys belong to a mode: given without it they would protect nothing. */
const KEYS_OF_MODE: readonly (readonly [mode: string, prefix: string])[] = [
  ['jwt', 'auth.jwt.'],
  ['keys', 'auth.api_keys_file'],
  ['header', 'auth.header.'],
]

/**
 * The `authentication` of a configuration; `undefined` if it says nothing about it. Throws `ConfigError` with
 * everything that is missing or has no effect, also where others could reach a server that nobody has decided about.
 */
export function authenticationOf(config: LoadedConfig): Authentication | undefined {
  const reading = new Reading(config)
  const modes = new Set(reading.list('auth.mode'))
  if (config.get('proxy.identity.mode') === 'header') modes.add('header')
  for (const [mode, prefix] of KEYS_OF_MODE) {
    if (!modes.has(mode)) reading.refuseGiven(prefix, `has no effect without ${mode} in auth.mode`)
  }
  if (modes.size === 0) reading.refuseGiven('auth.', 'has no effect without auth.mode')
  if (modes.has('none')) {
    if (modes.size > 1) reading.complain('auth.mode', 'is none, or what it is known by who asks, not both')
    reading.refuseGiven('auth.rules_file', 'has no effect with none in auth.mode')
  }
  const options: AuthenticationOptions = {
    ...(modes.has('jwt') && { jwt: jwtOf(reading) }),
    ...(modes.has('keys') && { apiKeys: { file: reading.needed('auth.api_keys_file', 'keys') } }),
    ...(modes.has('header') && { trustedHeader: trustedHeaderOf(reading) }),
    ...reading.optional('auth.rules_file', (file) => ({ rules: { file } })),
  }
  const authentication = modes.size === 0 ? undefined : modes.has('none') ? 'none' : options
  const { host } = parseAddress(String(config.get('server.bind_address'))) ?? {}
  const open = host === undefined ? undefined : openDoor(host, authentication)
  if (open !== undefined) reading.complainAt('server.bind_address', open)
  reading.finish()
  return authentication
}

function jwtOf(reading: Reading): JwtOptions {
  const { keys, isOnly } = tokenKeysOf(reading)
  if (!isOnly) {
    const one = 'one of auth.jwt.jwks_url, auth.jwt.jwks_file and auth.jwt.secret'
    reading.complain('auth.mode', `with jwt needs ${one}, and no other`)
  }
  const algorithms = reading.list('auth.jwt.algorithms').filter(isAlgorithm)
  const issuer = reading.list('auth.jwt.issuer')
  const audience = reading.list('auth.jwt.audience')
  return {
    keys,
    leewaySeconds: Number(reading.config.get('auth.jwt.leeway_secs')) / 1000,
    ...(algorithms.length > 0 && { algorithms }),
    ...(issuer.length > 0 && { issuer }),
    ...(audience.length > 0 && { audience }),
  }
}

function tokenKeysOf(reading: Reading): { readonly keys: TokenKeys; readonly isOnly: boolean } {
  const all: readonly TokenKeys[] = [
    ...reading.all('auth.jwt.jwks_url', (jwksUrl) => ({ jwksUrl })),
    ...reading.all('auth.jwt.jwks_file', (jwksFile) => ({ jwksFile })),
    ...reading.all('auth.jwt.secret', (secret) => ({ secret })),
  ]
  return { keys: all[0] ?? { jwksFile: '' }, isOnly: all.length === 1 }
}

function isAlgorithm(name: string): name is TokenAlgorithm {
  return name === 'HS256' || name === 'RS256' || name === 'ES256' || name === 'EdDSA'
}

function trustedHeaderOf(reading: Reading): TrustedHeaderOptions {
  const { config } = reading
  const trustedProxies = reading.list('proxy.trusted_proxies')
  const requireTls = config.get('proxy.identity.require_tls') !== false
  if (config.get('proxy.enabled') !== true)
    reading.complain('proxy.enabled', 'must be true for users in a header')
  if (trustedProxies.length === 0)
    reading.complain('proxy.trusted_proxies', 'must name the proxies that name users')
  if (requireTls && config.get('transport.mode') !== 'mtls') {
    const way =
      'set transport.mode = "mtls", or proxy.identity.require_tls = false where the network is yours'
    reading.complain('proxy.identity.require_tls', `needs client certificates: ${way}`)
  }
  return {
    userHeader: reading.needed('proxy.identity.header_name', 'header'),
    trustedProxies,
    requireTls,
    ...reading.optional('auth.header.scopes_header', (scopesHeader) => ({ scopesHeader })),
  }
}

/** Looks values up and collects what is wrong with them. */
class Reading {
  readonly config: LoadedConfig
  readonly #problems: string[] = []

  constructor(config: LoadedConfig) {
    this.config = config
  }

  list(name: string): readonly string[] {
    const value = this.config.get(name)
    return Array.isArray(value) ? value : []
  }

  /** A value that a mode cannot do without. */
  needed(name: string, mode: string): string {
    const value = this.config.get(name)
    if (value === undefined) this.complain('auth.mode', `with ${mode} needs ${name}`)
    return String(value ?? '')
  }

  /** What a value makes; nothing if it is not given. */
  optional<T extends object>(name: string, make: (value: string) => T): T | undefined {
    return this.all(name, make)[0]
  }

  all<T>(name: string, make: (value: string) => T): readonly T[] {
    const value = this.config.get(name)
    return value === undefined ? [] : [make(String(value))]
  }

  /** Complains about every key that begins like this and is given. */
  refuseGiven(prefix: string, why: string): void {
    for (const { key, place } of this.config.values) {
      if (key.name.startsWith(prefix) && place !== 'default') this.complain(key.name, why)
    }
  }

  complain(name: string, why: string): void {
    this.complainAt(name, `${name} ${why}.`)
  }

  complainAt(name: string, what: string): void {
    const sentence = `${this.#placeOf(name)}: ${what}`
    if (!this.#problems.includes(sentence)) this.#problems.push(sentence)
  }

  finish(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems)
  }

  #placeOf(name: string): string {
    const found: EffectiveValue | undefined = this.config.values.find(({ key }) => key.name === name)
    return found?.place ?? 'default'
  }
}
