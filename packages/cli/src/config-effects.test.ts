/**
 * Every key of the configuration, from a file and from its variable, and what it changes in a running server. Each
 * row says what is seen with the value and, where that can be seen in reasonable time, what is seen without it.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { CONFIG_KEYS, type ConfigKey, logLevelOf, variableOf } from '@millrace/server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  answeredWhileStopping,
  ask,
  create,
  exchange,
  handshake,
  makeCertificate,
  makeFolder,
  open,
  type Served,
  withServer,
} from './config-effects.fixture.ts'
import { logAt } from './log.ts'

// A busy machine is slow, not wrong; what never comes is found by the time-out.
vi.setConfig({ testTimeout: 25_000, hookTimeout: 30_000 })

const { folder, remove } = makeFolder()
let certPath = ''
let keyPath = ''

beforeAll(async () => {
  ;({ certPath, keyPath } = await makeCertificate(folder))
})
afterAll(remove)

/** Keys whose effect is still to come. */
const NOT_YET: readonly RegExp[] = [
  /^auth\./,
  /^proxy\./,
  /^limits\.max_(stream_bytes|total_bytes|streams|stream_name_bytes|stream_name_segments)$/,
  /^limits\.max_(producers_per_stream|storage_jobs)$/,
]

type Value = string | number | boolean | readonly string[]

interface Row {
  readonly key: string
  readonly value: Value | (() => Value)
  /** What else is configured, with the value and without it; what is not named is `USUALLY`. */
  readonly beside?: () => Readonly<Record<string, Value>>
  readonly profile?: string
  readonly see: (served: Served) => Promise<unknown>
  readonly withIt: unknown
  /** Left out where it would take too long to see. */
  readonly without?: unknown
}

const USUALLY: Readonly<Record<string, Value>> = {
  'server.bind_address': '127.0.0.1:0',
  'storage.mode': 'memory',
}
const IN_FILES = { 'storage.mode': 'file-fast' }
const tls = (): Readonly<Record<string, Value>> => ({
  'transport.mode': 'tls',
  'transport.tls.cert_path': certPath,
  'transport.tls.key_path': keyPath,
})

async function statusOf(
  served: Served,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  return (await ask(served, path, { headers })).status
}

const location = async (served: Served): Promise<unknown> =>
  (await create(served, '/v1/stream/a')).headers.location
const protocolOf = async ({ server }: Served): Promise<string> => new URL(server.url).protocol

/** Statuses of readers that come while others stay. */
async function liveReaders(served: Served, ...paths: readonly string[]): Promise<readonly unknown[]> {
  const statuses: unknown[] = []
  for (const path of paths) {
    await create(served, path)
    const response = await open(served, `${path}?offset=-1&live=sse`)
    response.resume()
    statuses.push(response.statusCode)
  }
  return statuses
}

async function longPoll(served: Served): Promise<number> {
  await create(served, '/v1/stream/a')
  return statusOf(served, '/v1/stream/a?offset=now&live=long-poll', {})
}

async function untilSseEnds(served: Served): Promise<boolean> {
  await create(served, '/v1/stream/a')
  const response = await open(served, '/v1/stream/a?offset=-1&live=sse')
  for await (const _ of response);
  return response.complete
}

async function firstComment(served: Served): Promise<string> {
  await create(served, '/v1/stream/a')
  const response = await open(served, '/v1/stream/a?offset=-1&live=sse')
  let text = ''
  for await (const chunk of response) {
    text += chunk
    if (/^:/m.test(text)) return 'a comment'
  }
  return 'none'
}

/** Whether anything of two appends is in blocks: only a bound this small moves it at once. */
async function blocksAfterAppends(served: Served): Promise<boolean> {
  await create(served, '/v1/stream/a', 'abc')
  await create(served, '/v1/stream/b', 'def')
  return readdirSync(join(served.folder, 'data', 'blocks')).length > 0
}

const hasFolder = (name: string) => async (served: Served) => existsSync(join(served.folder, name))
const logsRequests = async ({ config }: Served): Promise<boolean> =>
  logAt(logLevelOf(config)).request !== undefined
const admin = (path: string) => (served: Served) => statusOf(served, path, {})

const PARTIAL = 'POST /v1/stream/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc'

const SERVER: readonly Row[] = [
  {
    key: 'server.bind_address',
    value: '127.0.0.2:0',
    see: async ({ server }) => new URL(server.url).hostname,
    withIt: '127.0.0.2',
    without: '127.0.0.1',
  },
  {
    key: 'server.port',
    value: 0,
    beside: () => ({ 'storage.mode': 'memory' }),
    see: async ({ server }) => server.port === 4437,
    withIt: false,
  },
  {
    key: 'server.public_url',
    value: 'https://streams.example',
    see: location,
    withIt: 'https://streams.example/v1/stream/a',
    without: expect.stringMatching(/^http:\/\/127\.0\.0\.1:/),
  },
  {
    key: 'server.request_timeout_secs',
    value: 1,
    see: async ({ server }) => (await exchange(server, PARTIAL)).slice(0, 12),
    withIt: 'HTTP/1.1 408',
  },
  {
    key: 'server.shutdown_grace_secs',
    value: 0,
    see: answeredWhileStopping,
    withIt: 'cut',
    without: 'answered',
  },
  { key: 'server.long_poll_timeout_secs', value: '50ms', see: longPoll, withIt: 204 },
  { key: 'server.sse_reconnect_interval_secs', value: '50ms', see: untilSseEnds, withIt: true },
]

const LIMITS: readonly Row[] = [
  {
    key: 'limits.max_memory_bytes',
    value: '1KiB',
    see: async (served) => (await create(served, '/v1/stream/a', 'x'.repeat(2000))).status,
    withIt: 507,
    without: 201,
  },
  {
    key: 'limits.max_memory_bytes',
    value: 1,
    beside: () => IN_FILES,
    see: blocksAfterAppends,
    withIt: true,
    without: false,
  },
  {
    key: 'limits.max_request_body_bytes',
    value: '1KiB',
    see: async (served) => (await create(served, '/v1/stream/a', 'x'.repeat(2000))).status,
    withIt: 413,
    without: 201,
  },
  {
    key: 'limits.max_header_bytes',
    value: '2KiB',
    see: (served) => statusOf(served, '/healthz', { 'x-long': 'x'.repeat(4000) }),
    withIt: 431,
    without: 200,
  },
  {
    key: 'limits.max_readers_per_stream',
    value: 1,
    see: (served) => liveReaders(served, '/v1/stream/a', '/v1/stream/a', '/v1/stream/b'),
    withIt: [200, 503, 200],
    without: [200, 200, 200],
  },
  {
    key: 'limits.max_readers',
    value: 1,
    see: (served) => liveReaders(served, '/v1/stream/a', '/v1/stream/b'),
    withIt: [200, 503],
    without: [200, 200],
  },
  {
    key: 'limits.max_requests_per_second',
    value: 1,
    see: async (served) => {
      const path = '/v1/stream/a'
      const answers = await Promise.all([1, 2, 3, 4].map(() => statusOf(served, path, {})))
      return answers.includes(429)
    },
    withIt: true,
    without: false,
  },
]

const HTTP: readonly Row[] = [
  {
    key: 'http.cors_origins',
    value: ['https://a.example', 'https://b.example'],
    see: (served) => statusOf(served, '/v1/stream/a', { origin: 'https://b.example' }),
    withIt: 404,
    without: 403,
  },
  {
    key: 'http.allow_wildcard_cors',
    value: true,
    profile: 'prod',
    beside: () => ({ 'http.cors_origins': ['*'] }),
    see: (served) => statusOf(served, '/v1/stream/a', { origin: 'https://any.example' }),
    withIt: 404,
    without: 'refused',
  },
  {
    key: 'http.allowed_hosts',
    value: ['a.example', 'b.example'],
    see: (served) => statusOf(served, '/v1/stream/a', { host: 'b.example' }),
    withIt: 404,
    without: 421,
  },
  {
    key: 'http.stream_base_path',
    value: '/logs',
    see: async (served) => (await create(served, '/logs/a')).status,
    withIt: 201,
    without: 404,
  },
  { key: 'admin.enabled', value: true, see: admin('/admin/streams'), withIt: 200, without: 404 },
  {
    key: 'admin.base_path',
    value: '/boss',
    beside: () => ({ 'admin.enabled': true }),
    see: admin('/boss/streams'),
    withIt: 200,
    without: 404,
  },
]

const STORAGE: readonly Row[] = [
  {
    key: 'storage.mode',
    value: 'memory',
    beside: () => ({ 'storage.mode': 'file-durable' }),
    see: hasFolder('data/journal'),
    withIt: false,
    without: true,
  },
  {
    key: 'storage.data_dir',
    value: 'elsewhere',
    beside: () => IN_FILES,
    see: hasFolder('elsewhere/journal'),
    withIt: true,
    without: false,
  },
]

const TRANSPORT: readonly Row[] = [
  {
    key: 'transport.mode',
    value: 'tls',
    beside: () => ({ 'transport.tls.cert_path': certPath, 'transport.tls.key_path': keyPath }),
    see: protocolOf,
    withIt: 'https:',
    without: 'refused',
  },
  {
    key: 'transport.http.versions',
    value: ['http1'],
    beside: tls,
    see: async (served) => (await handshake(served))[0],
    withIt: 'http/1.1',
    without: 'h2',
  },
  {
    key: 'transport.tls.alpn_protocols',
    value: ['http/1.1'],
    beside: tls,
    see: async (served) => (await handshake(served))[0],
    withIt: 'http/1.1',
    without: 'h2',
  },
  {
    key: 'transport.tls.min_version',
    value: '1.3',
    beside: tls,
    see: (served) => handshake(served, { maxVersion: 'TLSv1.2' }),
    withIt: 'refused',
    without: ['h2', 'TLSv1.2'],
  },
  {
    key: 'transport.tls.max_version',
    value: '1.2',
    beside: tls,
    see: (served) => handshake(served),
    withIt: ['h2', 'TLSv1.2'],
    without: ['h2', 'TLSv1.3'],
  },
  ...(['cert_path', 'key_path'] as const).flatMap((name): readonly Row[] => {
    const [one, other] = name === 'cert_path' ? ['cert_path', 'key_path'] : ['key_path', 'cert_path']
    const path = (which: unknown): string => (which === 'cert_path' ? certPath : keyPath)
    const value = (): string => path(one)
    const see = protocolOf
    return [
      {
        key: `transport.tls.${one}`,
        value,
        beside: () => ({ 'transport.mode': 'tls', [`transport.tls.${other}`]: path(other) }),
        see,
        withIt: 'https:',
        without: 'refused',
      },
      {
        key: `tls.${one}`,
        value,
        beside: () => ({ [`tls.${other}`]: path(other) }),
        see,
        withIt: 'https:',
        without: 'refused',
      },
    ]
  }),
  {
    key: 'transport.tls.client_ca_path',
    value: () => certPath,
    beside: () => ({ ...tls(), 'transport.mode': 'mtls' }),
    see: async (served) => ask(served, '/healthz').catch(() => 'a client without certificate is let go'),
    withIt: 'a client without certificate is let go',
    without: 'refused',
  },
  {
    key: 'transport.connection.long_poll_timeout_secs',
    value: '50ms',
    see: longPoll,
    withIt: 204,
  },
  {
    key: 'transport.connection.sse_reconnect_interval_secs',
    value: '50ms',
    see: untilSseEnds,
    withIt: true,
  },
  {
    key: 'transport.connection.sse_heartbeat_secs',
    value: '50ms',
    beside: () => ({ 'transport.connection.sse_reconnect_interval_secs': 1 }),
    see: firstComment,
    withIt: 'a comment',
    without: 'none',
  },
]

const OBSERVABILITY: readonly Row[] = ['observability.rust_log', 'log.rust_log'].map((key) => {
  return { key, value: 'debug', see: logsRequests, withIt: true, without: false }
})

const ROWS = [...SERVER, ...LIMITS, ...HTTP, ...STORAGE, ...TRANSPORT, ...OBSERVABILITY]

function keyOf(name: string): ConfigKey {
  const key = CONFIG_KEYS.find((one) => one.name === name)
  if (key === undefined) throw new Error(`there is no key ${name}`)
  return key
}

function tomlOf(values: Readonly<Record<string, Value>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
    .join('')
}

/** What is seen of a server with more in a file and in variables than the row has beside its key. */
function seen(
  row: Row,
  file: Readonly<Record<string, Value>>,
  environment: Readonly<Record<string, string>>,
) {
  const beside = row.beside?.() ?? {}
  const usually = row.key === 'server.port' ? {} : USUALLY
  const files = { default: tomlOf({ ...usually, ...beside }), local: tomlOf(file) }
  return withServer(folder, { ...(row.profile && { profile: row.profile }), files, environment }, row.see)
}

describe.each(ROWS.map((row) => [row.key, row] as const))('%s', (name, row) => {
  const given = (): Value => (typeof row.value === 'function' ? row.value() : row.value)

  test('has its effect from a file', async () => {
    expect(await seen(row, { [name]: given() }, {})).toEqual(row.withIt)
  })

  test('has its effect from its variable', async () => {
    const environment = { [variableOf(keyOf(name))]: String(given()) }
    expect(await seen(row, {}, environment)).toEqual(row.withIt)
  })

  if (row.without === undefined) return
  test('is what makes the difference', async () => {
    expect(await seen(row, {}, {})).toEqual(row.without)
    expect(row.without).not.toEqual(row.withIt)
  })
})

describe('a key without an effect', () => {
  const ineffective = CONFIG_KEYS.filter(({ noEffect }) => noEffect !== undefined)
  const values: ReadonlyMap<string, Value> = new Map<string, Value>([
    ['http.allow_insecure_webhooks', true],
    ['storage.acid_shard_count', 16],
    ['storage.acid_backend', 'memory'],
  ])

  test.each(ineffective.map((key) => [key.name, key] as const))('%s says so', async (name, key) => {
    const value = values.get(name)
    if (value === undefined) throw new Error(`${name} needs a value here`)
    const notesOf = async (local: string, environment: Readonly<Record<string, string>>) =>
      withServer(folder, { files: { default: tomlOf(USUALLY), local }, environment }, async ({ config }) =>
        String(config.notes),
      )
    const sentence = `${name} has no effect here: ${key.noEffect}.`
    expect(await notesOf(tomlOf({ [name]: value }), {})).toContain(sentence)
    expect(await notesOf('', { [variableOf(key)]: String(value) })).toContain(sentence)
  })
})

test('RUST_LOG beats the file and the DS_ variables', async () => {
  const row: Row = { key: 'observability.rust_log', value: 'debug', see: logsRequests, withIt: true }
  const environment = { DS_OBSERVABILITY__RUST_LOG: 'warn', RUST_LOG: 'hyper=warn,durable_streams=debug' }
  expect(await seen(row, { 'observability.rust_log': 'error' }, environment)).toBe(true)
})

test('no key is forgotten', () => {
  const known = new Set(ROWS.map(({ key }) => key))
  const forgotten = CONFIG_KEYS.filter(
    ({ name, noEffect }) =>
      noEffect === undefined && !known.has(name) && !NOT_YET.some((pattern) => pattern.test(name)),
  )
  expect(forgotten.map(({ name }) => name)).toEqual([])
})
