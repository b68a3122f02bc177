import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError, type LoadConfigOptions, type LoadedConfig, loadConfig } from './load-config.ts'

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-config-'))
  await mkdir(join(directory, 'config'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

function write(name: string, text: string): Promise<void> {
  return writeFile(join(directory, 'config', `${name}.toml`), text)
}

function load(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  return loadConfig({ directory, environment: {}, ...options })
}

async function problemsOf(options: LoadConfigOptions = {}): Promise<readonly string[]> {
  const error: unknown = await load(options).catch((reason: unknown) => reason)
  return error instanceof ConfigError ? error.problems : []
}

describe('layers', () => {
  it('win in their order: profile, default, profile file, local, --config, environment, flags', async () => {
    const names = ['default', 'dev', 'local', 'extra'] as const
    const seen: unknown[] = [(await load({ profile: 'dev' })).get('server.bind_address')]
    const look = async (options: LoadConfigOptions): Promise<void> => {
      seen.push((await load({ profile: 'dev', ...options })).get('server.bind_address'))
    }
    let file: string | undefined
    for (const [at, name] of names.entries()) {
      await write(name, `[server]\nbind_address = "127.0.0.1:${at + 1}"\n`)
      if (name === 'extra') file = join(directory, 'config', 'extra.toml')
      await look(file === undefined ? {} : { file })
    }
    const environment = { DS_SERVER__BIND_ADDRESS: '127.0.0.1:5' }
    await look({ ...(file !== undefined && { file }), environment })
    await look({ environment, overrides: { 'server.bind_address': '127.0.0.1:6' } })
    expect(seen).toEqual(['4437', '1', '2', '3', '4', '5', '6'].map((port) => `127.0.0.1:${port}`))
  })

  it('say where each value comes from and which files were read', async () => {
    await write('local', '[limits]\n\nmax_stream_bytes = "64MiB"\n')
    const config = await load({ environment: { DS_STORAGE__MODE: 'FAST' } })
    const placeOf = (name: string): unknown => config.values.find(({ key }) => key.name === name)?.place
    expect(config.files).toEqual([join('config', 'local.toml')])
    expect(config.get('limits.max_stream_bytes')).toBe(64 * 1024 * 1024)
    expect(placeOf('limits.max_stream_bytes')).toBe(`${join('config', 'local.toml')} line 3`)
    expect([config.get('storage.mode'), placeOf('storage.mode')]).toEqual(['fast', 'DS_STORAGE__MODE'])
    expect(placeOf('server.bind_address')).toBe('default')
  })

  it('take old names, and let the new ones win with a note', async () => {
    await write('default', '[server]\nport = 81\nlong_poll_timeout_secs = 7\n')
    expect((await load()).get('server.bind_address')).toBe('127.0.0.1:81')
    const environment = { DS_TRANSPORT__CONNECTION__LONG_POLL_TIMEOUT_SECS: '9' }
    const config = await load({ environment })
    expect(config.get('transport.connection.long_poll_timeout_secs')).toBe(9000)
    expect(config.notes.join()).toContain('server.long_poll_timeout_secs has no effect')
  })

  it('let people name a port alone: the host is that of the profile, unless they say both', async () => {
    const environment = { DS_SERVER__PORT: '81' }
    const address = async (options: LoadConfigOptions): Promise<unknown> =>
      (await load(options)).get('server.bind_address')
    expect(await address({ profile: 'prod', environment })).toBe('0.0.0.0:81')
    expect(await address({ environment })).toBe('127.0.0.1:81')
    await write('local', '[server]\nbind_address = "127.0.0.2:82"\n')
    expect(await address({ environment })).toBe('127.0.0.2:82')
    expect(await address({ address: { port: 0 } })).toBe('127.0.0.2:0')
    expect(await address({ address: { host: '::1' } })).toBe('[::1]:82')
  })

  it('take the profile of DS_PROFILE, unless another is asked for', async () => {
    const environment = { DS_PROFILE: 'dev' }
    expect((await load({ environment })).profile).toBe('dev')
    expect((await load({ environment, profile: 'prod' })).profile).toBe('prod')
  })

  it('take certificate files among the overrides for a wish for TLS, unless a mode is given', async () => {
    const files = { 'transport.tls.cert_path': 'a', 'transport.tls.key_path': 'b' }
    const mode = async (options: LoadConfigOptions): Promise<unknown> =>
      (await load(options)).get('transport.mode')
    expect(await mode({ overrides: files })).toBe('tls')
    const mutual = { ...files, 'transport.tls.client_ca_path': 'c' }
    expect(await mode({ overrides: mutual })).toBe('mtls')
    expect(await mode({ overrides: mutual, profile: 'prod-mtls' })).toBe('mtls')
    await write('local', '[transport]\nmode = "http"\n')
    expect((await problemsOf({ overrides: files })).join()).toContain('has no place with')
  })

  it('can switch off what an earlier one has switched on', async () => {
    await write('default', '[admin]\nenabled = true\n[proxy]\nenabled = true\n')
    await write('local', '[admin]\nenabled = false\n')
    const config = await load({ environment: { DS_PROXY__ENABLED: 'false' } })
    expect([config.get('admin.enabled'), config.get('proxy.enabled')]).toEqual([false, false])
  })

  it('say what has no effect here, and what the first names are called now', async () => {
    const environment = { DS_STORAGE__ACID_SHARD_COUNT: '16', STORAGE_MODE: 'acid' }
    const { notes } = await load({ environment })
    expect(notes).toHaveLength(2)
    expect(notes.join()).toContain('STORAGE_MODE has no effect: it is called DS_STORAGE__MODE now')
    expect(notes.join()).toContain('storage.acid_shard_count has no effect here')
  })
})

/** Every section and key that the Rust server's own file has, with its defaults. */
const RUST_FILE = `
[server]
bind_address = "0.0.0.0:4437"
port = 4437
long_poll_timeout_secs = 30
sse_reconnect_interval_secs = 60
[limits]
max_memory_bytes = 104857600
max_stream_bytes = 10485760
max_request_body_bytes = 10485760
max_storage_jobs = 64
max_stream_name_bytes = 1024
max_stream_name_segments = 8
[http]
cors_origins = "*"
allow_wildcard_cors = false
stream_base_path = "/v1/stream"
allow_insecure_webhooks = false
[admin]
enabled = false
base_path = "/admin"
[storage]
mode = "acid"
data_dir = "./data/streams"
acid_shard_count = 16
acid_backend = "file"
[transport]
mode = "http"
[transport.http]
versions = ["http1"]
[transport.connection]
long_poll_timeout_secs = 30
sse_reconnect_interval_secs = 60
[transport.tls]
min_version = "1.3"
max_version = "1.3"
alpn_protocols = ["http/1.1"]
[proxy]
enabled = false
forwarded_headers = "none"
trusted_proxies = []
[proxy.identity]
mode = "none"
require_tls = true
[observability]
rust_log = "info"
[log]
rust_log = "info"
`

it('takes the whole file of the Rust server, and says only what changes for its user', async () => {
  await write('default', RUST_FILE)
  const { notes, get } = await load()
  expect([get('http.cors_origins'), get('limits.max_memory_bytes'), notes.length]).toEqual([
    ['*'],
    104_857_600,
    2,
  ])
  expect(notes.filter((note) => /acid_shard_count|acid_backend/.test(note))).toEqual(notes)
})

describe('mistakes', () => {
  it('are all told at once, with file and line, and with what was probably meant', async () => {
    await write('default', '[server]\nprot = 1\n[storage]\nmode = "disk"\n')
    const environment = { DS_LIMITS__MAX_STREAM_BYTE: '1', DS_SERVER__PORT: 'x' }
    const problems = await problemsOf({ environment })
    const file = join('config', 'default.toml')
    expect(problems).toEqual([
      `${file} line 2: there is no key server.prot. Did you mean server.port?`,
      expect.stringContaining(`${file} line 4: storage.mode must be one of memory, file-durable`),
      'There is no variable DS_LIMITS__MAX_STREAM_BYTE. Did you mean DS_LIMITS__MAX_STREAM_BYTES?',
      'DS_SERVER__PORT: it must be a port from 0 to 65535, not "x".',
    ])
  })

  it('in TOML are told with their line', async () => {
    await write('local', '[server]\nport = \n')
    expect((await problemsOf()).join()).toMatch(/local\.toml line \d: this is not TOML/)
  })

  it.each([
    [
      'a file that is not there',
      { file: '/nowhere/x.toml' },
      "config override file not found: '/nowhere/x.toml'",
    ],
    ['a profile that is not there', { profile: 'prdo' }, 'There is no profile prdo'],
    ['a profile that is a path', { profile: '../x' }, '../x is no name of a profile'],
  ])('%s', async (_, options, expected) => {
    expect((await problemsOf(options)).join()).toContain(expected)
  })

  it.each([
    [
      'TLS files without TLS',
      { 'transport.mode': 'http', 'transport.tls.cert_path': 'a' },
      'has no place with transport.mode = "http"',
    ],
    ['TLS without files', { 'transport.mode': 'tls' }, 'needs transport.tls.cert_path'],
    [
      'mutual TLS without authorities',
      { 'transport.mode': 'mtls', 'transport.tls.cert_path': 'a', 'transport.tls.key_path': 'b' },
      'needs transport.tls.client_ca_path',
    ],
    ['HTTP/2 without TLS', { 'transport.http.versions': ['http2'] }, 'HTTP/2 needs TLS'],
    [
      'TLS versions upside down',
      { 'transport.tls.min_version': '1.3', 'transport.tls.max_version': '1.2' },
      'is above',
    ],
    ['an identity without a header', { 'proxy.identity.mode': 'header' }, 'needs proxy.identity.header_name'],
    ['a base path that is none', { 'http.stream_base_path': 'v1' }, 'plain URL path'],
    [
      'an administration over the streams',
      { 'admin.enabled': true, 'admin.base_path': '/v1' },
      'must not overlap',
    ],
    [
      'an administration under the streams',
      { 'admin.enabled': true, 'http.stream_base_path': '/' },
      'must not overlap',
    ],
    ['a base path that is none, shown', { 'http.stream_base_path': 'v1' }, 'not "v1"'],
    ['a public URL with a path', { 'server.public_url': 'https://a.example/b' }, 'a scheme and a host'],
    ['an origin with a path', { 'http.cors_origins': ['https://a.example/b'] }, 'must be origins such as'],
    ['a host with a port', { 'http.allowed_hosts': ['a.example:80'] }, 'without scheme or port'],
    ['no version of HTTP', { 'transport.http.versions': [] }, 'must name http1, http2 or both'],
    ['nothing to offer by ALPN', { 'transport.tls.alpn_protocols': [] }, 'must name http/1.1, h2 or both'],
    ['an administration at the root', { 'admin.base_path': '/' }, 'plain URL path such as /admin'],
    ['a key that is not there', { 'server.prot': 1 }, 'there is no key server.prot'],
  ])('%s', async (_, overrides, expected) => {
    expect((await problemsOf({ overrides })).join()).toContain(expected)
  })

  it('in production: every origin only by choice', async () => {
    const overrides = { 'http.cors_origins': '*' }
    expect((await problemsOf({ profile: 'prod', overrides })).join()).toContain('allow_wildcard_cors')
    const chosen = { ...overrides, 'http.allow_wildcard_cors': true }
    expect((await load({ profile: 'prod', overrides: chosen })).get('http.cors_origins')).toEqual(['*'])
  })
})
