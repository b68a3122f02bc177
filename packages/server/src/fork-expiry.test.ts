/** How forks and their sources expire. Only `Date` is replaced; timers and sockets are real. */
import { memoryStorage, type StreamStorage } from '@millrace/engine'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ADAPTERS, type Reply, type Send, startTestServer, type TestServer } from './test-server.fixture.ts'

// A busy machine is slow, not wrong.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const SOURCE = '/v1/stream/source'
const FORK = '/v1/stream/fork'
const TEXT = { 'content-type': 'text/plain' }
const FROM = { 'stream-forked-from': SOURCE }
const PATIENCE = { timeout: 10_000, interval: 5 }

function passSeconds(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000)
}

function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString()
}

describe.each(ADAPTERS)('over %s', (adapter) => {
  let storage: StreamStorage
  let server: TestServer
  let send: Send

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    storage = memoryStorage()
    server = await startTestServer({ storage })
    send = server.via(adapter)
  })

  afterEach(async () => {
    await server.close()
    vi.useRealTimers()
  })

  async function statusOf(path: string): Promise<number> {
    return (await send('HEAD', path)).status
  }

  /** Resolves when a path is answered 404: expired streams are removed in the background. */
  async function untilMissing(path: string): Promise<void> {
    await vi.waitUntil(async () => (await statusOf(path)) === 404, PATIENCE)
  }

  function expiryOf(head: Reply): readonly (string | null)[] {
    return [head.headers.get('stream-ttl'), head.headers.get('stream-expires-at')]
  }

  test('R-290: a fork that asks for no expiry has the one of its source', async () => {
    const expiresAt = '2099-01-31T14:00:00.5+02:00'
    await send('PUT', `${SOURCE}/never`, { headers: TEXT })
    await send('PUT', `${SOURCE}/ttl`, { headers: { ...TEXT, 'stream-ttl': '3600' } })
    await send('PUT', `${SOURCE}/at`, { headers: { ...TEXT, 'stream-expires-at': expiresAt } })
    const heads: Reply[] = []
    for (const name of ['never', 'ttl', 'at']) {
      await send('PUT', `${FORK}/${name}`, { headers: { 'stream-forked-from': `${SOURCE}/${name}` } })
      heads.push(await send('HEAD', `${FORK}/${name}`))
    }

    expect(heads.map(expiryOf)).toEqual([
      [null, null],
      ['3600', null],
      [null, expiresAt],
    ])
  })

  test('R-290: an inherited window is a window of the fork, which starts with it', async () => {
    await send('PUT', SOURCE, { headers: { ...TEXT, 'stream-ttl': '60' }, body: 'abc' })
    passSeconds(50)
    await send('PUT', FORK, { headers: FROM })
    passSeconds(50)
    const before = [await statusOf(SOURCE), await statusOf(FORK)]
    passSeconds(11)

    expect(before).toEqual([410, 200])
    expect(await statusOf(FORK)).toBe(404)
  })

  test('R-290: an inherited end ends the fork with its source', async () => {
    await send('PUT', SOURCE, { headers: { ...TEXT, 'stream-expires-at': inSeconds(60) }, body: 'abc' })
    await send('PUT', FORK, { headers: FROM })
    passSeconds(59)
    const before = [await statusOf(SOURCE), await statusOf(FORK)]
    passSeconds(1)

    expect(before).toEqual([200, 200])
    expect(await statusOf(FORK)).toBe(404)
    await untilMissing(SOURCE)
  })

  test.each<[string, Readonly<Record<string, string>>, Readonly<Record<string, string>>]>([
    ['a longer window', { 'stream-ttl': '60' }, { 'stream-ttl': '7200' }],
    ['a shorter window', { 'stream-ttl': '7200' }, { 'stream-ttl': '60' }],
    [
      'a window instead of an end',
      { 'stream-expires-at': '2099-01-31T12:00:00Z' },
      { 'stream-ttl': '9000000000' },
    ],
    ['an end instead of a window', { 'stream-ttl': '60' }, { 'stream-expires-at': '2099-01-31T12:00:00Z' }],
    [
      'a later end',
      { 'stream-expires-at': '2098-01-31T12:00:00Z' },
      { 'stream-expires-at': '2099-01-31T12:00:00Z' },
    ],
    [
      'an earlier end',
      { 'stream-expires-at': '2099-01-31T12:00:00Z' },
      { 'stream-expires-at': '2098-01-31T12:00:00Z' },
    ],
    ['a window where the source has none', {}, { 'stream-ttl': '60' }],
  ])('R-291: a fork that asks for %s has exactly that', async (_, ofSource, ofFork) => {
    await send('PUT', SOURCE, { headers: { ...TEXT, ...ofSource }, body: 'abc' })
    const created = await send('PUT', FORK, { headers: { ...FROM, ...ofFork } })

    const head = await send('HEAD', FORK)

    expect([created.status, head.status]).toEqual([201, 200])
    expect(expiryOf(head)).toEqual([ofFork['stream-ttl'] ?? null, ofFork['stream-expires-at'] ?? null])
  })

  test('R-291, R-294, R-295: a fork with a later end outlives its source, which is then gone', async () => {
    await send('PUT', SOURCE, { headers: { ...TEXT, 'stream-ttl': '60' }, body: 'abc' })
    await send('PUT', FORK, { headers: { ...FROM, 'stream-expires-at': inSeconds(3600) }, body: 'def' })
    passSeconds(600)
    const source = await statusOf(SOURCE)
    const read = await send('GET', FORK)
    const blocked = await send('PUT', SOURCE, { headers: TEXT })
    const ofGone = await send('PUT', `${FORK}/of-gone`, { headers: FROM })
    passSeconds(3001)

    expect([source, read.status, read.text, blocked.status, ofGone.status]).toEqual([
      410,
      200,
      'abcdef',
      409,
      409,
    ])
    expect(await statusOf(FORK)).toBe(404)
  })

  test('R-292: a fork expires on its own, and its source stays', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', FORK, { headers: { ...FROM, 'stream-ttl': '60' } })
    passSeconds(60)

    expect([await statusOf(FORK), (await send('GET', SOURCE)).text]).toEqual([404, 'abc'])
  })

  test('R-292, R-293: a source whose only fork has expired can be deleted for good', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', FORK, { headers: { ...FROM, 'stream-ttl': '60' } })
    passSeconds(61)
    await vi.waitUntil(async () => (await storage.list('', undefined, 10)).length === 1, PATIENCE)
    const removed = await send('DELETE', SOURCE)

    expect([removed.status, await statusOf(SOURCE)]).toEqual([204, 404])
  })

  test('R-293: a deleted source goes when its last fork expires', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', `${FORK}/1`, { headers: { ...FROM, 'stream-ttl': '60' } })
    await send('PUT', `${FORK}/2`, { headers: { ...FROM, 'stream-ttl': '600' } })
    await send('DELETE', SOURCE)
    passSeconds(61)
    await untilMissing(`${FORK}/1`)
    const still = await statusOf(SOURCE)
    passSeconds(600)
    await untilMissing(SOURCE)

    const again = await send('PUT', SOURCE, { headers: { 'content-type': 'application/json' }, body: '[1]' })

    expect([still, again.status, (await send('GET', SOURCE)).text]).toEqual([410, 201, '[1]'])
  })

  test('R-293: the release goes up a chain of deleted forks', async () => {
    const paths = [SOURCE, `${FORK}/1`, `${FORK}/2`, `${FORK}/3`]
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', `${FORK}/1`, { headers: FROM, body: '1' })
    await send('PUT', `${FORK}/2`, { headers: { 'stream-forked-from': `${FORK}/1` }, body: '2' })
    const last = { 'stream-forked-from': `${FORK}/2`, 'stream-ttl': '60' }
    await send('PUT', `${FORK}/3`, { headers: last, body: '3' })
    for (const path of paths.slice(0, 3)) await send('DELETE', path)
    const before = await Promise.all(paths.map(statusOf))
    const read = await send('GET', `${FORK}/3`)
    passSeconds(61)
    await untilMissing(SOURCE)

    expect([before, read.text]).toEqual([[410, 410, 410, 200], 'abc123'])
    expect(await Promise.all(paths.map(statusOf))).toEqual([404, 404, 404, 404])
    expect(server.server.statistics()?.entities).toBe(0)
    expect(server.errors).toEqual([])
  })

  test('R-293, R-283: a source that was not deleted stays when its forks expire', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    for (let i = 0; i < 5; i++) {
      await send('PUT', `${FORK}/${i}`, { headers: { ...FROM, 'stream-ttl': String(60 + i) } })
    }
    passSeconds(70)
    await vi.waitUntil(async () => (await storage.list('', undefined, 10)).length === 1, PATIENCE)

    const read = await send('GET', SOURCE)
    const removed = await send('DELETE', SOURCE)

    expect([read.text, removed.status, await statusOf(SOURCE)]).toEqual(['abc', 204, 404])
  })

  test('R-293: a PUT on the path of an expired fork releases its source first', async () => {
    await send('PUT', SOURCE, { headers: TEXT, body: 'abc' })
    await send('PUT', FORK, { headers: { ...FROM, 'stream-ttl': '60' } })
    passSeconds(60)
    const plain = await send('PUT', FORK, { headers: TEXT, body: 'plain' })
    const removed = await send('DELETE', SOURCE)

    expect([plain.status, removed.status, await statusOf(SOURCE)]).toEqual([201, 204, 404])
    expect((await send('GET', FORK)).text).toBe('plain')
  })

  test('R-294: a source that expires and its last fork that is deleted are both gone', async () => {
    await send('PUT', SOURCE, { headers: { ...TEXT, 'stream-ttl': '60' }, body: 'abc' })
    await send('PUT', FORK, { headers: { ...FROM, 'stream-ttl': '3600' } })
    passSeconds(61)
    const expired = await statusOf(SOURCE)
    await send('DELETE', FORK)
    await untilMissing(SOURCE)

    expect([expired, await statusOf(FORK)]).toEqual([410, 404])
  })

  test('R-295: a reader of a fork keeps the fork alive and not its source', async () => {
    await send('PUT', SOURCE, { headers: { ...TEXT, 'stream-ttl': '60' }, body: 'abc' })
    await send('PUT', FORK, { headers: FROM })
    const reader = await server.openSse(`${FORK}?offset=-1&live=sse`, adapter)
    const [data] = await reader.take(2)
    passSeconds(3600)
    const statuses = [await statusOf(SOURCE), await statusOf(FORK)]
    reader.abort()

    expect([data?.data, statuses]).toEqual(['abc', [410, 200]])
  })
})
