/** Flags of `serve` and `dev`: each that is given wins over the key of the configuration that it stands for. */
import { type LoadConfigOptions, type LoadedConfig, loadConfig, type RawValue } from '@millrace/server'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDurationMs } from './duration.ts'
import { findMode, STORAGE_MODES } from './storage-mode.ts'
import { UsageError } from './usage-error.ts'

/** What was given on the command line. */
export interface ServeFlags {
  readonly profile?: string
  readonly config?: string
  readonly host?: string
  readonly port?: number
  readonly storage?: string
  readonly dataDir?: string
  readonly longPollTimeout?: number
  readonly sseReconnectInterval?: number
  readonly streamBasePath?: string
  readonly allowOrigin?: readonly string[]
  readonly allowHost?: readonly string[]
  readonly publicUrl?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsClientCa?: string
  readonly logLevel?: string
  readonly auth?: string
}

function port(text: string): number {
  const number = Number(text)
  if (/^[0-9]+$/.test(text) && number <= 65_535) return number
  throw new InvalidArgumentError('A port is a number from 0 to 65535; 0 picks a free one.')
}

function duration(text: string): number {
  const ms = parseDurationMs(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError('Write a duration such as 400ms, 30s or 5m.')
}

function wait(text: string): number {
  const ms = duration(text)
  if (ms >= 1) return ms
  throw new InvalidArgumentError('A long-poll waits at least 1ms.')
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value]
}

/** Adds the flags that `serve` and `dev` have in common. */
export function addServeFlags(command: Command): Command {
  return command
    .option('--config <file>', 'one more configuration file, which wins over those in config/')
    .option(
      '--host <address>',
      'address to listen on; anything but loopback is open to the network (default: 127.0.0.1)',
    )
    .option('--port <number>', 'port to listen on; 0 picks a free one (default: 4437)', port)
    .option('--long-poll-timeout <duration>', 'how long a long-poll waits for data (default: 30s)', wait)
    .option(
      '--sse-reconnect-interval <duration>',
      'how long an SSE response lasts; 0 for ever (default: 60s)',
      duration,
    )
    .option('--stream-base-path <path>', 'URL path of the stream root (default: /v1/stream)')
    .option('--allow-origin <origin>', 'let web pages of this origin in; repeat for more, * for all', collect)
    .option('--allow-host <name>', 'answer to this Host name; repeat for more, * for all', collect)
    .option('--public-url <url>', 'scheme and host of the URLs in Location headers')
    .addOption(
      new Option(
        '--auth <mode>',
        'none: everybody who reaches the server may do everything; other addresses than loopback need a choice',
      ).choices(['none']),
    )
    .option('--tls-cert <file>', 'certificate chain in PEM: serve over TLS, with HTTP/2')
    .option('--tls-key <file>', 'private key of the certificate, in PEM')
    .option('--tls-client-ca <file>', 'let in only clients with a certificate of these authorities, in PEM')
    .option('--log-level <level>', 'off, error, warn, info, debug (every request) (default: info)')
}

/** Adds the flags that choose what is loaded, and where streams are kept. */
export function addStorageFlags(command: Command): Command {
  return command
    .option('--profile <name>', 'default, dev, prod, prod-tls, prod-mtls, or that of a file in config/')
    .option('--storage <mode>', `where streams are kept: ${STORAGE_MODES.join(', ')} (default: file-durable)`)
    .option('--data-dir <path>', 'directory of the file storage modes (default: ./data)')
}

/** The flag of each key. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ['storage.mode', '--storage'],
  ['storage.data_dir', '--data-dir'],
  ['transport.connection.long_poll_timeout_secs', '--long-poll-timeout'],
  ['transport.connection.sse_reconnect_interval_secs', '--sse-reconnect-interval'],
  ['http.stream_base_path', '--stream-base-path'],
  ['http.cors_origins', '--allow-origin'],
  ['http.allowed_hosts', '--allow-host'],
  ['server.public_url', '--public-url'],
  ['transport.tls.cert_path', '--tls-cert'],
  ['transport.tls.key_path', '--tls-key'],
  ['transport.tls.client_ca_path', '--tls-client-ca'],
  ['transport.mode', '--tls-cert'],
  ['observability.rust_log', '--log-level'],
  ['auth.mode', '--auth'],
])

/** Flags as overrides; messages about them name the flag. */
function toOverrides(flags: ServeFlags): LoadConfigOptions {
  const { host, port } = flags
  const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000)
  const given: readonly (readonly [key: string, value: RawValue | undefined])[] = [
    ['storage.mode', flags.storage],
    ['storage.data_dir', flags.dataDir],
    ['transport.connection.long_poll_timeout_secs', seconds(flags.longPollTimeout)],
    ['transport.connection.sse_reconnect_interval_secs', seconds(flags.sseReconnectInterval)],
    ['http.stream_base_path', flags.streamBasePath],
    ['http.cors_origins', flags.allowOrigin],
    ['http.allowed_hosts', flags.allowHost],
    ['server.public_url', flags.publicUrl],
    ['transport.tls.cert_path', flags.tlsCert],
    ['transport.tls.key_path', flags.tlsKey],
    ['transport.tls.client_ca_path', flags.tlsClientCa],
    ['observability.rust_log', flags.logLevel],
    ['auth.mode', flags.auth],
  ]
  const overrides: Record<string, RawValue> = {}
  for (const [key, value] of given) if (value !== undefined) overrides[key] = value
  const addressFlag = host === undefined ? '--port' : '--host'
  return {
    overrides,
    ...((host !== undefined || port !== undefined) && {
      address: { ...(host !== undefined && { host }), ...(port !== undefined && { port }) },
    }),
    placeOf: (key) => FLAGS.get(key) ?? addressFlag,
    ...(flags.profile !== undefined && { profile: flags.profile }),
    ...(flags.config !== undefined && { file: flags.config }),
  }
}

/** The configuration of `serve`. */
export async function serveConfig(flags: ServeFlags): Promise<LoadedConfig> {
  if (flags.storage !== undefined && findMode(flags.storage) === undefined) {
    const known = STORAGE_MODES.join(', ')
    throw new UsageError(`There is no storage mode ${flags.storage}. Choose one of: ${known}.`)
  }
  const config = await loadConfig(toOverrides(flags))
  if (flags.dataDir !== undefined && config.get('storage.mode') === 'memory') {
    const mode = flags.storage === undefined ? 'storage.mode = "memory"' : '--storage memory'
    throw new UsageError(`--data-dir has no effect with ${mode}: leave it out.`)
  }
  return config
}

/** The configuration of `dev`: the profile of that name, in memory whatever files and variables say. */
export function devConfig(flags: ServeFlags): Promise<LoadedConfig> {
  return loadConfig(toOverrides({ ...flags, profile: 'dev', storage: 'memory' }))
}
