/** A disk that cannot be read: every kind of reader gets an error, never less than there is, and the tail stays. */
import { afterEach, describe, expect, it } from 'vitest'
import { FaultyServer } from './faulty-server.fixture.ts'
import type { DiskOperation } from './store-parts.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const MESSAGES = Array.from({ length: 40 }, (_, n) => JSON.stringify({ n, pad: 'x'.repeat(40) }))
const servers: FaultyServer[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

const isBlockRead = ({ kind, name }: DiskOperation): boolean =>
  (kind === 'read' || kind === 'open') && name.startsWith('blocks/')

/** A server whose stream `a` and its fork `b` are in blocks only; nothing of them is cached. */
async function started(): Promise<FaultyServer> {
  const server = await FaultyServer.started({ engine: { chunkBytes: 512, followChunkBytes: 512 } })
  servers.push(server)
  await server.send('PUT', 'a', { headers: JSON_TYPE, body: `[${MESSAGES.join()}]` })
  await server.send('PUT', 'b', { headers: { ...JSON_TYPE, 'stream-forked-from': '/v1/stream/a' } })
  await server.restart()
  return server
}

async function tailOf(server: FaultyServer, path: string): Promise<string | null> {
  return (await server.send('HEAD', path)).headers.get('stream-next-offset')
}

describe('while blocks cannot be read', () => {
  it.each([
    ['catch-up', 'a?offset=-1'],
    ['a fork', 'b?offset=-1'],
    ['long-poll', 'a?offset=-1&live=long-poll'],
    ['SSE', 'a?offset=-1&live=sse'],
  ])('%s is answered 500 and says nothing about the end of the stream', async (_, path) => {
    const server = await started()
    const before = await tailOf(server, 'a')
    const heal = server.disk.fail(isBlockRead)
    const failed = await server.send('GET', path)
    const during = await tailOf(server, 'a')
    heal()
    const healed = await server.send('GET', 'a?offset=-1')

    expect(failed.status).toBe(500)
    expect(failed.headers.get('content-type')).toBe('application/problem+json')
    expect(failed.headers.get('cache-control')).toBe('no-store')
    expect([failed.headers.has('stream-up-to-date'), failed.headers.has('stream-next-offset')]).toEqual([
      false,
      false,
    ])
    expect(during).toBe(before)
    expect(healed.status).toBe(200)
    expect(server.errors.length).toBe(1)
  })

  it('an SSE reader that is under way is broken off without a word about being up to date', async () => {
    const server = await started()
    let reads = 0
    const heal = server.disk.fail(
      (operation) => isBlockRead(operation) && operation.kind === 'read' && ++reads > 1,
    )
    const response = await server.open('a?offset=-1&live=sse')
    const received: Uint8Array[] = []
    const broken = await (async () => {
      for await (const chunk of response.body ?? []) received.push(chunk)
    })().catch((error: unknown) => error)
    const text = Buffer.concat(received).toString()
    heal()
    const last = /"streamNextOffset":"([^"]+)"/g
    const offsets = [...text.matchAll(last)].map(([, offset]) => offset)
    const rest = await server.textOf('a')

    expect(response.status).toBe(200)
    expect(broken).toBeInstanceOf(Error)
    expect(text).toContain('"n":0')
    expect(text).not.toContain('upToDate')
    expect(text).not.toContain('"n":39')
    expect(offsets.length).toBeGreaterThan(0)
    expect(rest).toContain('"n":39')
  })

  it('a long-poll that waits gets what is appended, which is in memory, and a later one from the start the error', async () => {
    const server = await started()
    const tail = await tailOf(server, 'a')
    server.disk.fail(isBlockRead)
    const waiting = server.send('GET', `a?offset=${tail}&live=long-poll`)
    const appended = await server.send('POST', 'a', { headers: JSON_TYPE, body: '{"n":"new"}' })
    const polled = await waiting
    const fromStart = await server.send('GET', 'a?offset=-1&live=long-poll')

    expect(appended.status).toBe(204)
    // A JSON read looks at the byte before its offset, which cannot be read; the start of an append needs no proof.
    expect([polled.status, fromStart.status]).toEqual([200, 500])
    expect((await tailOf(server, 'a')) ?? '').toBe(appended.headers.get('stream-next-offset'))
  })

  it('appends go on, and a checkpoint that cannot read what it merges with loses nothing', async () => {
    const server = await started()
    const heal = server.disk.fail(isBlockRead)
    const appended = await server.send('POST', 'a', { headers: JSON_TYPE, body: '{"n":"new"}' })
    await server.checkpoint()
    heal()
    server.crash('power')
    await server.restart()
    const text = await server.textOf('a')

    expect(appended.status).toBe(204)
    expect(text).toContain('"n":39')
    expect(text).toContain('{"n":"new"}')
  })

  it('a damaged block stops no writes: what is appended to its stream gets a block of its own', async () => {
    const server = await FaultyServer.started()
    servers.push(server)
    const text = { 'content-type': 'text/plain' }
    const { headers } = await server.send('PUT', 'a', { headers: text, body: 'x'.repeat(100) })
    await server.checkpoint()
    const [file = ''] = await server.disk.list('blocks')
    server.disk.flipBit(`blocks/${file}`, 150, 3)
    await server.send('POST', 'a', { headers: text, body: 'new'.repeat(20) })
    await server.checkpoint()
    const later = await server.send('PUT', 'b', { headers: text, body: 'b' })
    await server.restart()
    const [damaged, sound] = [
      await server.send('GET', 'a?offset=-1'),
      await server.send('GET', `a?offset=${headers.get('stream-next-offset')}`),
    ]

    expect(server.poisonings).toEqual([])
    expect(later.status).toBe(201)
    expect([damaged.status, sound.status, sound.text]).toEqual([500, 200, 'new'.repeat(20)])
    expect(await server.textOf('b')).toBe('b')
  })

  it('a damaged block in a file that is mostly dead stops no writes: the file stays', async () => {
    const server = await FaultyServer.started({ limits: { blockFileBytes: 4000 } })
    servers.push(server)
    for (const [path, size] of [
      ['dead', 3400],
      ['kept', 600],
      ['other', 4000],
    ] as const) {
      await server.send('PUT', path, { headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(size) })
      await server.checkpoint()
    }
    const [file = ''] = [...(await server.disk.list('blocks'))].sort()
    server.disk.flipBit(`blocks/${file}`, 4200, 3)
    await server.send('DELETE', 'dead')
    await server.checkpoint()
    const files = (await server.disk.list('blocks')).length
    for (const body of ['1', '2', '3']) {
      await server.send('PUT', body, { headers: { 'content-type': 'text/plain' }, body })
      await server.checkpoint()
    }
    const more = (await server.disk.list('blocks')).length - files
    const damaged = await server.send('GET', 'kept')
    const appended = await server.send('POST', 'other', {
      headers: { 'content-type': 'text/plain' },
      body: 'y',
    })
    await server.restart()

    expect(server.poisonings).toEqual([])
    expect([damaged.status, appended.status]).toEqual([500, 204])
    expect(more).toBeLessThanOrEqual(1)
    expect(await server.textOf('other')).toBe(`${'x'.repeat(4000)}y`)
    expect(await server.disk.list('blocks')).toContain(file)
  })

  it('a damaged block is an error, not less of the stream', async () => {
    const server = await started()
    const [file = ''] = await server.disk.list('blocks')
    server.disk.flipBit(`blocks/${file}`, 500, 3)
    const answers = [await server.send('GET', 'a?offset=-1'), await server.send('GET', 'b?offset=-1')]

    expect(answers.map(({ status }) => status)).toEqual([500, 500])
    expect(
      server.errors.map((error) => (error instanceof Error && 'code' in error ? error.code : error)),
    ).toEqual(['corrupt', 'corrupt'])
  })
})
