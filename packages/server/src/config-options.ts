/** From the configuration to the options of a server: where each key that has an effect is given its effect. */
import type { EngineLimits } from '@millrace/engine'
import { authenticationOf } from './auth-config.ts'
import { parseAddress } from './config-value.ts'
import type { ServerOptions } from './create-server.ts'
import type { LoadedConfig } from './load-config.ts'
import type { HttpVersion, TlsOptions } from './tls-files.ts'

/** Options that come from the configuration; the storage is the caller's. */
export type ConfiguredOptions = Omit<ServerOptions, 'storage'>

/** Each makes the options of some sections. A section that is new adds its function here. */
const SECTIONS: readonly ((config: LoadedConfig) => Partial<ConfiguredOptions>)[] = [
  serverSection,
  limitsSection,
  httpSection,
  transportSection,
  proxySection,
  authSection,
]

/**
 * The options of `createServer` and `createHandler` that the configuration means:
 * `createServer({ ...serverOptionsOf(await loadConfig()), storage })`. Durations in milliseconds, sizes in bytes. The
 * keys of `storage` are for whoever opens it.
 */
export function serverOptionsOf(config: LoadedConfig): ConfiguredOptions {
  return Object.assign({}, ...SECTIONS.map((section) => section(config)))
}

function serverSection(config: LoadedConfig): Partial<ConfiguredOptions> {
  const { host, port } = parseAddress(textOf(config, 'server.bind_address')) ?? {}
  const publicUrl = givenText(config, 'server.public_url')
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(publicUrl !== undefined && { publicUrl }),
    requestTimeoutMs: numberOf(config, 'server.request_timeout_secs'),
    shutdownGraceMs: numberOf(config, 'server.shutdown_grace_secs'),
  }
}

function limitsSection(config: LoadedConfig): Partial<ConfiguredOptions> {
  const perSecond = config.get('limits.max_requests_per_second')
  const segments = config.get('limits.max_stream_name_segments')
  const connections = config.get('limits.max_connections')
  return {
    maxStreamNameBytes: numberOf(config, 'limits.max_stream_name_bytes'),
    ...(segments !== undefined && { maxStreamNameSegments: Number(segments) }),
    maxReceivingBytes: numberOf(config, 'limits.max_receiving_bytes'),
    maxBodyBytes: numberOf(config, 'limits.max_request_body_bytes'),
    maxHeaderBytes: numberOf(config, 'limits.max_header_bytes'),
    ...(connections !== undefined && { maxConnections: Number(connections) }),
    ...(perSecond !== undefined && { maxRequestsPerSecond: Number(perSecond) }),
    limits: {
      maxReadersPerStream: numberOf(config, 'limits.max_readers_per_stream'),
      maxReaders: numberOf(config, 'limits.max_readers'),
      maxPendingCommits: numberOf(config, 'limits.max_storage_jobs'),
      maxProducersPerStream: numberOf(config, 'limits.max_producers_per_stream'),
      ...optional(config, 'limits.max_stream_bytes', 'maxStreamBytes'),
      ...optional(config, 'limits.max_total_bytes', 'maxTotalBytes'),
      ...optional(config, 'limits.max_streams', 'maxStreams'),
    },
  }
}

function optional<Name extends keyof EngineLimits>(
  config: LoadedConfig,
  key: string,
  name: Name,
): Partial<Record<Name, number>> {
  const given = config.get(key)
  return given === undefined ? {} : ({ [name]: Number(given) } as Partial<Record<Name, number>>)
}

function proxySection(config: LoadedConfig): Partial<ConfiguredOptions> {
  const forwardedHeaders = config.get('proxy.forwarded_headers')
  if (config.get('proxy.enabled') !== true) return {}
  if (forwardedHeaders !== 'x-forwarded' && forwardedHeaders !== 'forwarded') return {}
  return { proxy: { trustedProxies: listOf(config, 'proxy.trusted_proxies'), forwardedHeaders } }
}

function httpSection(config: LoadedConfig): Partial<ConfiguredOptions> {
  return {
    allowedOrigins: anyOr(listOf(config, 'http.cors_origins')),
    allowedHosts: anyOr(listOf(config, 'http.allowed_hosts')),
    streamBasePath: textOf(config, 'http.stream_base_path'),
    ...(config.get('admin.enabled') === true && { adminBasePath: textOf(config, 'admin.base_path') }),
  }
}

function authSection(config: LoadedConfig): Partial<ConfiguredOptions> {
  const authentication = authenticationOf(config)
  return { ...(authentication !== undefined && { authentication }) }
}

function transportSection(config: LoadedConfig): Partial<ConfiguredOptions> {
  const tls = tlsOf(config)
  return {
    longPollTimeoutMs: numberOf(config, 'transport.connection.long_poll_timeout_secs'),
    sseReconnectIntervalMs: numberOf(config, 'transport.connection.sse_reconnect_interval_secs'),
    sseHeartbeatIntervalMs: numberOf(config, 'transport.connection.sse_heartbeat_secs'),
    ...(tls && { tls }),
  }
}

function tlsOf(config: LoadedConfig): TlsOptions | undefined {
  if (config.get('transport.mode') === 'http') return undefined
  const clientCaPath = givenText(config, 'transport.tls.client_ca_path')
  const versions = versionsOf(config)
  return {
    certPath: textOf(config, 'transport.tls.cert_path'),
    keyPath: textOf(config, 'transport.tls.key_path'),
    ...(clientCaPath !== undefined && { clientCaPath }),
    minVersion: tlsVersion(config, 'transport.tls.min_version'),
    maxVersion: tlsVersion(config, 'transport.tls.max_version'),
    ...(versions && { versions }),
  }
}

/** What is offered by ALPN and what is spoken are the same: either key says it. */
function versionsOf(config: LoadedConfig): readonly HttpVersion[] | undefined {
  const spoken = config.get('transport.http.versions')
  const offered = config.get('transport.tls.alpn_protocols')
  if (Array.isArray(offered)) return offered.map((one) => (one === 'h2' ? 'http2' : 'http1'))
  return Array.isArray(spoken) ? spoken.map((one) => (one === 'http2' ? 'http2' : 'http1')) : undefined
}

function tlsVersion(config: LoadedConfig, name: string): '1.2' | '1.3' {
  return config.get(name) === '1.2' ? '1.2' : '1.3'
}

function numberOf(config: LoadedConfig, name: string): number {
  return Number(config.get(name))
}

function textOf(config: LoadedConfig, name: string): string {
  return String(config.get(name))
}

function givenText(config: LoadedConfig, name: string): string | undefined {
  return config.get(name) === undefined ? undefined : textOf(config, name)
}

function listOf(config: LoadedConfig, name: string): readonly string[] {
  const value = config.get(name)
  return Array.isArray(value) ? value : []
}

function anyOr(names: readonly string[]): '*' | readonly string[] {
  return names.includes('*') ? '*' : names
}
