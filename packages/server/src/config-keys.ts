/**
 * Every configuration key: what it is, what it must be, what it is unless given. TOML files, environment, help, JSON
 * Schema and `config print` are all made of this table.
 */
import { AUTH_KEYS } from './config-auth-keys.ts'
import type { ConfigValue, ValueKind } from './config-value.ts'

/** One key of the configuration. */
export interface ConfigKey {
  /** As in TOML: section and key, joined by dots. */
  readonly name: string
  readonly kind: ValueKind
  /** What holds unless something is given; `undefined`: nothing, or what `about` says. */
  readonly fallback?: ConfigValue
  readonly about: string
  /** An older name of another key, which wins where both are given. */
  readonly legacyOf?: string
  /** Why giving it changes nothing here. */
  readonly noEffect?: string
  /** The value is not shown. */
  readonly isSecret?: boolean
}

const KIB = 1024
const MIB = 1024 * KIB

const seconds = (least: number): ValueKind => ({ kind: 'duration', leastMs: least * 1000 })
const wait: ValueKind = { kind: 'duration', leastMs: 1 }
const size: ValueKind = { kind: 'bytes', least: 1 }
const count = (least: number): ValueKind => ({ kind: 'count', least })
const text: ValueKind = { kind: 'text' }
const flag: ValueKind = { kind: 'flag' }
const list: ValueKind = { kind: 'list' }

const SERVER: readonly ConfigKey[] = [
  {
    name: 'server.bind_address',
    kind: { kind: 'address' },
    fallback: '127.0.0.1:4437',
    about: 'Address and port to listen on; anything but loopback needs a choice of authentication.',
  },
  {
    name: 'server.port',
    kind: { kind: 'port' },
    about: 'Port to listen on.',
    legacyOf: 'server.bind_address',
  },
  { name: 'server.public_url', kind: text, about: 'Scheme and host of the URLs in Location headers.' },
  {
    name: 'server.request_timeout_secs',
    kind: seconds(1),
    fallback: 120_000,
    about: 'How long a request may take to arrive completely.',
  },
  {
    name: 'server.shutdown_grace_secs',
    kind: seconds(0),
    fallback: 10_000,
    about: 'How long a stop waits for requests under way.',
  },
  {
    name: 'server.long_poll_timeout_secs',
    kind: wait,
    about: 'How long a long-poll waits for data.',
    legacyOf: 'transport.connection.long_poll_timeout_secs',
  },
  {
    name: 'server.sse_reconnect_interval_secs',
    kind: seconds(0),
    about: 'How long an SSE response lasts; 0 for ever.',
    legacyOf: 'transport.connection.sse_reconnect_interval_secs',
  },
]

const LIMITS: readonly ConfigKey[] = [
  {
    name: 'limits.max_memory_bytes',
    kind: size,
    about:
      'Bytes of all streams in memory mode (1 GiB unless given); in file modes, bytes not yet in blocks (192 MiB).',
  },
  {
    name: 'limits.max_stream_bytes',
    kind: size,
    about: 'Bytes of one stream, without what a fork inherits; no limit unless given.',
  },
  {
    name: 'limits.max_total_bytes',
    kind: size,
    about: 'Bytes of all streams; no limit but the disk unless given.',
  },
  { name: 'limits.max_streams', kind: count(1), about: 'Streams; no limit unless given.' },
  {
    name: 'limits.max_request_body_bytes',
    kind: size,
    fallback: 16 * MIB,
    about: 'Bytes of one request body.',
  },
  {
    name: 'limits.max_receiving_bytes',
    kind: size,
    fallback: 512 * MIB,
    about:
      'Bytes of request bodies that are coming in at a time; beyond it the answer is 503 with Retry-After.',
  },
  {
    name: 'limits.max_connections',
    kind: count(1),
    about: 'Connections at a time; unless given, what the bound on open files leaves (Linux).',
  },
  {
    name: 'limits.max_header_bytes',
    kind: { kind: 'bytes', least: KIB },
    fallback: 32 * KIB,
    about: 'Bytes of the head of one request.',
  },
  { name: 'limits.max_stream_name_bytes', kind: count(1), fallback: 1024, about: 'Bytes of a stream path.' },
  {
    name: 'limits.max_stream_name_segments',
    kind: count(1),
    about: 'Segments of a stream path; no limit unless given.',
  },
  {
    name: 'limits.max_producers_per_stream',
    kind: count(1),
    fallback: 10_000,
    about: 'Producers that a stream remembers.',
  },
  {
    name: 'limits.max_readers_per_stream',
    kind: count(1),
    fallback: 50_000,
    about: 'Live readers of one stream.',
  },
  { name: 'limits.max_readers', kind: count(1), fallback: 200_000, about: 'Live readers in all.' },
  {
    name: 'limits.max_requests_per_second',
    kind: count(1),
    about: 'Requests a second of one client; no limit unless given.',
  },
  {
    name: 'limits.max_storage_jobs',
    kind: count(1),
    fallback: 20_000,
    about: 'Writes under way; beyond it the answer is 503 with Retry-After.',
  },
]

const HTTP: readonly ConfigKey[] = [
  {
    name: 'http.cors_origins',
    kind: list,
    fallback: [],
    about: 'Origins of web pages that are let in besides loopback ones; * for all.',
  },
  {
    name: 'http.allow_wildcard_cors',
    kind: flag,
    fallback: false,
    about: 'Lets the prod profiles use * as an origin.',
  },
  {
    name: 'http.allowed_hosts',
    kind: list,
    fallback: [],
    about: 'Host names that are answered to besides loopback ones; * for all.',
  },
  { name: 'http.stream_base_path', kind: text, fallback: '/v1/stream', about: 'URL path of the streams.' },
  {
    name: 'http.allow_insecure_webhooks',
    kind: flag,
    fallback: false,
    about: 'Lets subscriptions call http: URLs on loopback.',
    noEffect: 'there are no webhooks yet',
  },
  { name: 'admin.enabled', kind: flag, fallback: false, about: 'Lists the streams at the admin path.' },
  { name: 'admin.base_path', kind: text, fallback: '/admin', about: 'URL path of the administration.' },
]

const STORAGE: readonly ConfigKey[] = [
  {
    name: 'storage.mode',
    kind: {
      kind: 'choice',
      of: ['memory', 'file-durable', 'file', 'durable', 'acid', 'redb', 'file-fast', 'fast'],
    },
    fallback: 'file-durable',
    about:
      'How streams are kept: memory, file-durable (also file, durable, acid, redb) or file-fast (also fast).',
  },
  { name: 'storage.data_dir', kind: text, fallback: './data', about: 'Directory of the file modes.' },
  {
    name: 'storage.acid_shard_count',
    kind: { kind: 'count', least: 1, rule: 'power of two up to 256' },
    about: 'Shards of the acid mode elsewhere.',
    noEffect: 'the store is not sharded: every mode but memory has one journal',
  },
  {
    name: 'storage.acid_backend',
    kind: { kind: 'choice', of: ['file', 'memory', 'in-memory', 'inmemory'] },
    about: 'Backend of the acid mode elsewhere.',
    noEffect: 'storage.mode says where streams are kept',
  },
]

const TRANSPORT: readonly ConfigKey[] = [
  {
    name: 'transport.mode',
    kind: { kind: 'choice', of: ['http', 'tls', 'mtls'] },
    fallback: 'http',
    about: 'Plain HTTP, TLS, or TLS with client certificates.',
  },
  {
    name: 'transport.http.versions',
    kind: { kind: 'list', of: ['http1', 'http2'] },
    about: 'HTTP versions; both over TLS unless given, HTTP/1.1 without.',
  },
  {
    name: 'transport.connection.long_poll_timeout_secs',
    kind: wait,
    fallback: 30_000,
    about: 'How long a long-poll waits for data.',
  },
  {
    name: 'transport.connection.sse_reconnect_interval_secs',
    kind: seconds(0),
    fallback: 60_000,
    about: 'How long an SSE response lasts; 0 for ever.',
  },
  {
    name: 'transport.connection.sse_heartbeat_secs',
    kind: seconds(0),
    fallback: 20_000,
    about: 'How often a quiet SSE response carries a comment; 0 never.',
  },
  { name: 'transport.tls.cert_path', kind: text, about: 'Certificate chain, PEM.' },
  { name: 'transport.tls.key_path', kind: text, about: 'Private key, PEM.' },
  {
    name: 'transport.tls.client_ca_path',
    kind: text,
    about: 'Authorities that client certificates must be from, PEM; with mtls.',
  },
  {
    name: 'transport.tls.min_version',
    kind: { kind: 'choice', of: ['1.2', '1.3'] },
    fallback: '1.2',
    about: 'Lowest TLS version.',
  },
  {
    name: 'transport.tls.max_version',
    kind: { kind: 'choice', of: ['1.2', '1.3'] },
    fallback: '1.3',
    about: 'Highest TLS version.',
  },
  {
    name: 'transport.tls.alpn_protocols',
    kind: { kind: 'list', of: ['http/1.1', 'h2'] },
    about: 'What is offered by ALPN; follows transport.http.versions unless given.',
  },
  {
    name: 'tls.cert_path',
    kind: text,
    about: 'Certificate chain, PEM; implies TLS.',
    legacyOf: 'transport.tls.cert_path',
  },
  {
    name: 'tls.key_path',
    kind: text,
    about: 'Private key, PEM; implies TLS.',
    legacyOf: 'transport.tls.key_path',
  },
]

const PROXY: readonly ConfigKey[] = [
  { name: 'proxy.enabled', kind: flag, fallback: false, about: 'A reverse proxy is in front.' },
  {
    name: 'proxy.forwarded_headers',
    kind: { kind: 'choice', of: ['none', 'x-forwarded', 'forwarded'] },
    fallback: 'none',
    about: 'Which headers of trusted proxies name the client.',
  },
  {
    name: 'proxy.trusted_proxies',
    kind: list,
    fallback: [],
    about: 'Addresses or CIDR ranges of proxies whose headers count.',
  },
  {
    name: 'proxy.identity.mode',
    kind: { kind: 'choice', of: ['none', 'header'] },
    fallback: 'none',
    about: 'Whether a trusted proxy names the user.',
  },
  { name: 'proxy.identity.header_name', kind: text, about: 'Header in which it does.' },
  {
    name: 'proxy.identity.require_tls',
    kind: flag,
    fallback: true,
    about: 'The header counts over mutual TLS only.',
  },
]

const OBSERVABILITY: readonly ConfigKey[] = [
  {
    name: 'observability.rust_log',
    kind: { kind: 'log' },
    fallback: 'info',
    about: 'What is printed: off, error, warn, info, debug (every request) or trace; RUST_LOG beats it.',
  },
  {
    name: 'log.rust_log',
    kind: { kind: 'log' },
    about: 'What is printed.',
    legacyOf: 'observability.rust_log',
  },
]

/** All keys, in the order they are printed. */
export const CONFIG_KEYS: readonly ConfigKey[] = [
  ...SERVER,
  ...LIMITS,
  ...HTTP,
  ...STORAGE,
  ...TRANSPORT,
  ...PROXY,
  ...AUTH_KEYS,
  ...OBSERVABILITY,
]

const BY_NAME: ReadonlyMap<string, ConfigKey> = new Map(CONFIG_KEYS.map((key) => [key.name, key]))

/** The key of a name. */
export function findKey(name: string): ConfigKey | undefined {
  return BY_NAME.get(name)
}

/** The environment variable of a key: `DS_`, and the parts of its name joined by two underscores. */
export function variableOf(key: ConfigKey): string {
  return `DS_${key.name.split('.').join('__').toUpperCase()}`
}
