/** Built-in profiles: starting points that files, environment and flags refine. */
import type { ConfigValue } from './config-value.ts'

/** What a profile sets, by key. */
export type ConfigProfile = Readonly<Record<string, ConfigValue>>

const GIB = 1024 ** 3

const PROD: ConfigProfile = {
  'server.bind_address': '0.0.0.0:4437',
  'limits.max_memory_bytes': GIB / 2,
  'storage.mode': 'file-durable',
  'storage.data_dir': '/var/lib/durable-streams',
}

/** All built-in profiles; other names are those of files. */
export const CONFIG_PROFILES: ReadonlyMap<string, ConfigProfile> = new Map([
  ['default', {}],
  [
    'dev',
    { 'server.bind_address': '127.0.0.1:4437', 'storage.mode': 'memory', 'observability.rust_log': 'debug' },
  ],
  ['prod', PROD],
  ['prod-tls', { ...PROD, 'transport.mode': 'tls' }],
  ['prod-mtls', { ...PROD, 'transport.mode': 'mtls', 'transport.http.versions': ['http1', 'http2'] }],
])

/** Whether a profile is one of those that refuse what only development needs. */
export function isProduction(profile: string): boolean {
  return profile.startsWith('prod')
}
