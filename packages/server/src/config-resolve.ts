/** From layers to one configuration: later layers win, new names win over old ones, contradictions are found. */
import { PROTOCOL_LIMITS } from '@millrace/protocol'
import { CONFIG_KEYS, type ConfigKey, findKey } from './config-keys.ts'
import type { ConfigLayer, GivenValue } from './config-layer.ts'
import { isProduction } from './config-profiles.ts'
import { type ConfigValue, parseAddress, withAddress } from './config-value.ts'
import { ADMIN_PATH, BASE_PATH, HOST, ORIGIN, PUBLIC_URL } from './options.ts'

/** A key's value and where it comes from; `undefined` where nothing is given and nothing holds by itself. */
export interface EffectiveValue {
  readonly key: ConfigKey
  readonly value: ConfigValue | undefined
  readonly place: string
}

/** What the layers come to. */
export interface ResolvedConfig {
  readonly profile: string
  /** Every key that is not an old name, in the order of the table. */
  readonly values: readonly EffectiveValue[]
  /** What was given and has no effect, as sentences. */
  readonly notes: readonly string[]
  /** What has to be mended, as sentences. */
  readonly problems: readonly string[]
}

/** Resolves a built-in profile and the layers over it; those that come later win. */
export function resolveConfig(
  profile: string,
  builtIn: ConfigLayer,
  layers: readonly ConfigLayer[],
): ResolvedConfig {
  const given = new Map<string, GivenValue>(layers.flatMap((layer) => [...layer.given]))
  const notes = [...noEffects(given)]
  const values = CONFIG_KEYS.filter(({ legacyOf }) => legacyOf === undefined).map((key): EffectiveValue => {
    const start = builtIn.given.get(key.name) ?? { value: key.fallback, place: 'default' }
    // What people give by an old name wins over what a profile has by the new one.
    const { value, place } = given.get(key.name) ?? fromLegacy(key, given, start.value) ?? start
    return { key, value, place }
  })
  for (const key of CONFIG_KEYS) {
    const old = given.get(key.name)
    const now = key.legacyOf === undefined ? undefined : given.get(key.legacyOf)
    if (old && now && !means(old.value, now.value))
      notes.push(`${old.place}: ${key.name} has no effect, because ${now.place} sets ${key.legacyOf}.`)
  }
  const problems = layers.flatMap((layer) => layer.problems)
  const settled = builtIn.given.has('transport.mode') ? values : impliedTransport(values, given)
  return { profile, values: settled, notes, problems: [...problems, ...contradictions(profile, settled)] }
}

function fromLegacy(
  key: ConfigKey,
  given: ReadonlyMap<string, GivenValue>,
  start: ConfigValue | undefined,
): GivenValue | undefined {
  const legacy = CONFIG_KEYS.find(({ legacyOf, name }) => legacyOf === key.name && given.has(name))
  const found = legacy && given.get(legacy.name)
  if (found === undefined || legacy?.kind.kind !== 'port') return found
  return { value: withAddress(start, { port: Number(found.value) }), place: found.place }
}

/** Whether an old name says the same as the new one. */
function means(old: ConfigValue, now: ConfigValue): boolean {
  return old === now || old === parseAddress(String(now))?.port
}

function* noEffects(given: ReadonlyMap<string, GivenValue>): IterableIterator<string> {
  for (const [name, { place, value }] of given) {
    const key = findKey(name)
    const reason = key?.noEffect
    // Who writes down what holds anyway misses nothing.
    if (reason !== undefined && value !== key?.fallback)
      yield `${place}: ${name} has no effect here: ${reason}.`
  }
}

/** The old `[tls]` section means TLS unless a mode is given. */
function impliedTransport(
  values: readonly EffectiveValue[],
  given: ReadonlyMap<string, GivenValue>,
): readonly EffectiveValue[] {
  const legacy = given.get('tls.cert_path')
  if (legacy === undefined || given.has('transport.mode')) return values
  return values.map((one) =>
    one.key.name === 'transport.mode' ? { ...one, value: 'tls', place: legacy.place } : one,
  )
}

/** Values of the keys that a rule looks at. */
interface Lookup {
  readonly profile: string
  at(name: string): ConfigValue | undefined
  /** Whether a key with a list of texts has one of them. */
  lists(name: string, entry: string): boolean
}

/** Values that cannot hold together: blamed on one key, with what to do. */
interface Contradiction {
  readonly blames: string
  /** `{}` stands for the value of the key. */
  readonly says: string
  isThere(config: Lookup): boolean
}

const CERTIFICATE_FILES = [
  ['transport.tls.cert_path', '--tls-cert'],
  ['transport.tls.key_path', '--tls-key'],
] as const
const TLS_FILES = [...CERTIFICATE_FILES.map(([name]) => name), 'transport.tls.client_ca_path']

const CONTRADICTIONS: readonly Contradiction[] = [
  ...TLS_FILES.map((name): Contradiction => {
    return {
      blames: name,
      says: `${name} has no place with transport.mode = "http": set the mode to "tls" or "mtls".`,
      isThere: ({ at }) => at('transport.mode') === 'http' && at(name) !== undefined,
    }
  }),
  ...CERTIFICATE_FILES.map(([name, flag]): Contradiction => {
    return {
      blames: 'transport.mode',
      says: `TLS needs ${name} (${flag}).`,
      isThere: ({ at }) => at('transport.mode') !== 'http' && at(name) === undefined,
    }
  }),
  {
    blames: 'transport.mode',
    says: 'transport.mode = "mtls" needs transport.tls.client_ca_path.',
    isThere: ({ at }) => at('transport.mode') === 'mtls' && at('transport.tls.client_ca_path') === undefined,
  },
  {
    blames: 'transport.tls.client_ca_path',
    says: 'transport.tls.client_ca_path is for transport.mode = "mtls".',
    isThere: ({ at }) => at('transport.mode') === 'tls' && at('transport.tls.client_ca_path') !== undefined,
  },
  {
    blames: 'transport.http.versions',
    says: 'HTTP/2 needs TLS: set transport.mode to "tls", or leave http2 out.',
    isThere: ({ at, lists }) => at('transport.mode') === 'http' && lists('transport.http.versions', 'http2'),
  },
  {
    blames: 'transport.tls.min_version',
    says: 'transport.tls.min_version is above transport.tls.max_version.',
    isThere: ({ at }) => String(at('transport.tls.min_version')) > String(at('transport.tls.max_version')),
  },
  {
    blames: 'transport.tls.alpn_protocols',
    says: 'transport.tls.alpn_protocols and transport.http.versions do not agree.',
    isThere: ({ at, lists }) =>
      at('transport.tls.alpn_protocols') !== undefined &&
      at('transport.http.versions') !== undefined &&
      (lists('transport.tls.alpn_protocols', 'h2') !== lists('transport.http.versions', 'http2') ||
        lists('transport.tls.alpn_protocols', 'http/1.1') !== lists('transport.http.versions', 'http1')),
  },
  {
    blames: 'http.cors_origins',
    says: 'a production profile does not let every origin in: list them, or set http.allow_wildcard_cors = true.',
    isThere: ({ profile, at, lists }) =>
      isProduction(profile) && lists('http.cors_origins', '*') && at('http.allow_wildcard_cors') !== true,
  },
  {
    blames: 'limits.max_stream_name_bytes',
    says: `limits.max_stream_name_bytes is at most ${PROTOCOL_LIMITS.maxPathBytes}.`,
    isThere: ({ at }) => Number(at('limits.max_stream_name_bytes')) > PROTOCOL_LIMITS.maxPathBytes,
  },
  {
    blames: 'limits.max_receiving_bytes',
    says: 'limits.max_receiving_bytes must not be below limits.max_request_body_bytes: such a body would never fit.',
    isThere: ({ at }) =>
      Number(at('limits.max_receiving_bytes')) < Number(at('limits.max_request_body_bytes')),
  },
  {
    blames: 'proxy.forwarded_headers',
    says: 'proxy.forwarded_headers needs proxy.enabled = true and proxy.trusted_proxies.',
    isThere: ({ at }) =>
      at('proxy.forwarded_headers') !== 'none' &&
      (at('proxy.enabled') !== true || String(at('proxy.trusted_proxies')) === ''),
  },
  {
    blames: 'proxy.identity.mode',
    says: 'proxy.identity.mode = "header" needs proxy.identity.header_name.',
    isThere: ({ at }) =>
      at('proxy.identity.mode') === 'header' && at('proxy.identity.header_name') === undefined,
  },
  {
    blames: 'http.stream_base_path',
    says: 'http.stream_base_path must be a plain URL path such as /v1/stream, not {}.',
    isThere: ({ at }) => !BASE_PATH.test(String(at('http.stream_base_path'))),
  },
  {
    blames: 'server.public_url',
    says: 'server.public_url must be a scheme and a host such as https://streams.example.com, not {}.',
    isThere: ({ at }) => !PUBLIC_URL.test(String(at('server.public_url') ?? 'http://none')),
  },
  {
    blames: 'http.cors_origins',
    says: 'http.cors_origins must be origins such as https://app.example.com, or *, not {}.',
    isThere: ({ at }) => listsOther(at('http.cors_origins'), ORIGIN),
  },
  {
    blames: 'http.allowed_hosts',
    says: 'http.allowed_hosts must be names without scheme or port, or *, not {}.',
    isThere: ({ at }) => listsOther(at('http.allowed_hosts'), HOST),
  },
  {
    blames: 'transport.http.versions',
    says: 'transport.http.versions must name http1, http2 or both.',
    isThere: ({ at }) => isEmptyList(at('transport.http.versions')),
  },
  {
    blames: 'transport.tls.alpn_protocols',
    says: 'transport.tls.alpn_protocols must name http/1.1, h2 or both.',
    isThere: ({ at }) => isEmptyList(at('transport.tls.alpn_protocols')),
  },
  {
    blames: 'admin.base_path',
    says: 'admin.base_path must be a plain URL path such as /admin, not {}.',
    isThere: ({ at }) => !ADMIN_PATH.test(String(at('admin.base_path'))),
  },
  {
    blames: 'admin.base_path',
    says: 'admin.base_path and http.stream_base_path must not overlap.',
    isThere: ({ at }) =>
      at('admin.enabled') === true &&
      overlap(String(at('http.stream_base_path')), String(at('admin.base_path'))),
  },
]

function listsOther(value: ConfigValue | undefined, form: RegExp): boolean {
  return Array.isArray(value) && value.some((one) => one !== '*' && !form.test(one))
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => `${path.replace(/\/$/, '')}/`)
  return a !== undefined && b !== undefined && (a.startsWith(b) || b.startsWith(a))
}

function isEmptyList(value: ConfigValue | undefined): boolean {
  return Array.isArray(value) && value.length === 0
}

function contradictions(profile: string, values: readonly EffectiveValue[]): readonly string[] {
  const byName = new Map(values.map((one) => [one.key.name, one]))
  const at = (name: string): ConfigValue | undefined => byName.get(name)?.value
  const lists = (name: string, entry: string): boolean => {
    const value = at(name)
    return Array.isArray(value) && value.includes(entry)
  }
  return CONTRADICTIONS.filter((one) => one.isThere({ profile, at, lists })).map(
    ({ blames, says }) =>
      `${byName.get(blames)?.place ?? 'default'}: ${says.replace('{}', () => JSON.stringify(at(blames)))}`,
  )
}
