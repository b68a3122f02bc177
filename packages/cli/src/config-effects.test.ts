/**
 * Every key of the configuration, from a file and from its variable, and what it changes in a running server. Each
 * row says what is seen with the value and, where that can be seen in reasonable time, what is seen without it.
 */
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { CONFIG_KEYS, logLevelOf, variableOf } from '@millrace/server'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { AUTH_ROWS } from './auth-effects.fixture.ts'
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
import { describeRows, type Row, seen, tomlOf, USUALLY, type Value } from './config-rows.fixture.ts'
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
/** What a client gets while another one is connected. */
async function whileConnected(served: Served): Promise<number | 'refused'> {
  await create(served, '/v1/stream/a')
  const reader = await open(served, '/v1/stream/a?offset=-1&live=sse')
  const status = await statusOf(served, '/healthz', {}).catch(() => 'refused' as const)
  reader.destroy()
  return status
}

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

async function creations(
  served: Served,
  ...streams: readonly (readonly [path: string, body?: string])[]
): Promise<readonly unknown[]> {
  const statuses: unknown[] = []
  for (const [path, body] of streams) statuses.push((await create(served, path, body)).status)
  return statuses
}

async function produce(served: Served, id: string): Promise<number> {
  const headers = {
    'content-type': 'text/plain',
    'producer-id': id,
    'producer-epoch': '0',
    'producer-seq': '0',
  }
  return (await ask(served, '/v1/stream/a', { method: 'POST', headers, body: 'x' })).status
}

/** The answer to a body of some bytes while another one of as many has not come to its end. */
async function whileReceiving(served: Served, bytes: number): Promise<unknown> {
  const slow = connect(served.server.port, '127.0.0.1')
  try {
    const head = `PUT /v1/stream/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes + 1}\r\n\r\n`
    await new Promise((resolve) => slow.write(head + 'x'.repeat(bytes), resolve))
    // Until it has been read, the other one would find all the room there is.
    for (;;) {
      const { status } = await create(served, `/v1/stream/${performance.now()}`, 'x'.repeat(bytes))
      if (status !== 201 || served.config.get('limits.max_receiving_bytes') !== 1000) return status
    }
  } finally {
    slow.destroy()
  }
}

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
    key: 'limits.max_stream_bytes',
    value: 3,
    see: (served) => creations(served, ['/v1/stream/a', 'abc'], ['/v1/stream/b', 'abcd']),
    withIt: [201, 413],
    without: [201, 201],
  },
  {
    key: 'limits.max_total_bytes',
    value: 3,
    see: (served) => creations(served, ['/v1/stream/a', 'abc'], ['/v1/stream/b'], ['/v1/stream/c', 'd']),
    withIt: [201, 201, 507],
    without: [201, 201, 201],
  },
  {
    key: 'limits.max_streams',
    value: 1,
    see: (served) => creations(served, ['/v1/stream/a'], ['/v1/stream/b'], ['/v1/stream/a']),
    withIt: [201, 507, 200],
    without: [201, 201, 200],
  },
  {
    key: 'limits.max_stream_name_bytes',
    value: 3,
    see: (served) => creations(served, ['/v1/stream/a%2F'], ['/v1/stream/abc'], ['/v1/stream/abcd']),
    withIt: [400, 201, 400],
    without: [201, 201, 201],
  },
  {
    key: 'limits.max_stream_name_segments',
    value: 2,
    see: (served) => creations(served, ['/v1/stream/a/b'], ['/v1/stream/a/b/c']),
    withIt: [201, 400],
    without: [201, 201],
  },
  {
    key: 'limits.max_producers_per_stream',
    value: 1,
    see: async (served) => {
      await create(served, '/v1/stream/a')
      return [await produce(served, 'p'), await produce(served, 'q')]
    },
    withIt: [200, 409],
    without: [200, 200],
  },
  {
    key: 'limits.max_storage_jobs',
    value: 1,
    // Commits in memory are over at once: only those that wait for a disk are under way together.
    beside: () => ({ 'storage.mode': 'file-durable' }),
    see: async (served) => {
      const paths = Array.from({ length: 20 }, (_, index) => `/v1/stream/${index}`)
      const answers = await Promise.all(paths.map((path) => create(served, path, 'x')))
      return answers.some(({ status }) => status === 503)
    },
    withIt: true,
    without: false,
  },
  {
    key: 'limits.max_receiving_bytes',
    value: 1000,
    beside: () => ({ 'limits.max_request_body_bytes': 1000 }),
    see: (served) => whileReceiving(served, 600),
    withIt: 503,
    without: 201,
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
    key: 'limits.max_connections',
    value: 1,
    see: whileConnected,
    withIt: 'refused',
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

describeRows(folder, ROWS)

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
  expect(await seen(folder, row, { 'observability.rust_log': 'error' }, environment)).toBe(true)
})

test('no key is forgotten', () => {
  const known = new Set([...ROWS, ...AUTH_ROWS].map(({ key }) => key))
  const forgotten = CONFIG_KEYS.filter(({ name, noEffect }) => noEffect === undefined && !known.has(name))
  expect(forgotten.map(({ name }) => name)).toEqual([])
})
