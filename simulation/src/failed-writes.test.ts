/** A write, a sync or a transaction that fails: what the server says then, what readers see, and what the next start finds. */
import { afterEach, describe, expect, it } from 'vitest'
import { type Answer, type FaultyOptions, FaultyServer } from './faulty-server.fixture.ts'
import type { DiskOperation } from './store-parts.ts'

const TEXT = { 'content-type': 'text/plain' }
const servers: FaultyServer[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function started(options: FaultyOptions = {}): Promise<FaultyServer> {
  const server = await FaultyServer.started(options)
  servers.push(server)
  return server
}

function problemOf({ text }: Answer): Record<string, unknown> {
  const problem: Record<string, unknown> = JSON.parse(text)
  return problem
}

const isJournal = ({ name }: DiskOperation): boolean => name.startsWith('journal/')
const isBlocks = ({ name }: DiskOperation): boolean => name.startsWith('blocks')

interface Failure {
  readonly what: string
  /** Where it shows: in the append itself, or in the checkpoint after it. */
  readonly shows: 'append' | 'checkpoint'
  begin(server: FaultyServer): void
}

const FAILURES: readonly Failure[] = [
  {
    what: 'a write of the journal',
    shows: 'append',
    begin: ({ disk }) => void disk.fail((operation) => operation.kind === 'write' && isJournal(operation)),
  },
  {
    what: 'a sync of the journal',
    shows: 'append',
    begin: ({ disk }) => void disk.fail((operation) => operation.kind === 'sync' && isJournal(operation)),
  },
  {
    what: 'a write of blocks',
    shows: 'checkpoint',
    begin: ({ disk }) => void disk.fail((operation) => operation.kind === 'write' && isBlocks(operation)),
  },
  {
    what: 'a sync of blocks',
    shows: 'checkpoint',
    begin: ({ disk }) => void disk.fail((operation) => operation.kind === 'sync' && isBlocks(operation)),
  },
  {
    what: 'a sync of the folder of blocks',
    shows: 'checkpoint',
    begin: ({ disk }) =>
      void disk.fail((operation) => operation.kind === 'syncFolder' && isBlocks(operation)),
  },
  {
    what: 'a transaction of the home',
    shows: 'checkpoint',
    begin: (server) => {
      server.homeOutcome = 'failed'
    },
  },
]

/** Two acknowledged appends, then the failure, then one more append and a checkpoint. */
async function failAfterTwo(server: FaultyServer, { begin }: Failure): Promise<Answer> {
  await server.send('PUT', 'a', { headers: TEXT, body: 'one,' })
  await server.send('POST', 'a', { headers: TEXT, body: 'two,' })
  begin(server)
  const answer = await server.send('POST', 'a', { headers: TEXT, body: 'three,' })
  await server.checkpoint()
  return answer
}

describe.each(FAILURES)('$what that fails', (failure) => {
  const durable = failure.shows === 'append' ? 'one,two,' : 'one,two,three,'

  it('stops writes with 503 and a reason, and the server is no longer ready', async () => {
    const server = await started()
    await failAfterTwo(server, failure)
    const [refused, created, deleted, ready, alive] = [
      await server.send('POST', 'a', { headers: TEXT, body: 'four,' }),
      await server.send('PUT', 'b', { headers: TEXT }),
      await server.send('DELETE', 'a'),
      await server.send('GET', '/readyz'),
      await server.send('GET', '/healthz'),
    ]

    expect(server.poisonings.length).toBe(1)
    expect([refused, created, deleted, ready].map(({ status }) => status)).toEqual([503, 503, 503, 503])
    expect([refused, created, deleted].map((answer) => problemOf(answer).code)).toEqual([
      'UNAVAILABLE',
      'UNAVAILABLE',
      'UNAVAILABLE',
    ])
    expect(problemOf(refused).detail).toMatch(/until the server is started again/)
    expect(problemOf(ready).detail).toMatch(/A write to the data directory failed/)
    expect(alive.status).toBe(200)
  })

  it('leaves readers with exactly what is durable', async () => {
    const server = await started()
    const answer = await failAfterTwo(server, failure)
    await server.send('POST', 'a', { headers: TEXT, body: 'four,' })
    const head = await server.send('HEAD', 'a')
    const tail = await server.send('GET', `a?offset=${head.headers.get('stream-next-offset')}&live=long-poll`)

    expect(answer.status).toBe(failure.shows === 'append' ? 503 : 204)
    expect(await server.textOf('a')).toBe(durable)
    expect([tail.status, tail.text]).toEqual([204, ''])
  })

  it.each(['power', 'process'] as const)('is decided by the disk at the next start (%s)', async (kind) => {
    const server = await started({ seed: 3 })
    await failAfterTwo(server, failure)
    server.crash(kind)
    await server.restart()
    const text = await server.textOf('a')
    const next = await server.send('POST', 'a', { headers: TEXT, body: 'five,' })

    // What was never acknowledged may be there or not, but whole.
    expect([durable, 'one,two,three,']).toContain(text)
    expect(next.status).toBe(204)
    expect(await server.textOf('a')).toBe(`${text}five,`)
    expect((await server.send('GET', '/readyz')).status).toBe(200)
  })
})

describe('live readers', () => {
  it('are not shown an append whose sync failed', async () => {
    const server = await started({ longPollTimeoutMs: 100 })
    const { headers } = await server.send('PUT', 'a', { headers: TEXT, body: 'one,' })
    const from = headers.get('stream-next-offset')
    const events = await server.open(`a?offset=${from}&live=sse`)
    const waiting = server.send('GET', `a?offset=${from}&live=long-poll`)
    server.disk.fail((operation) => operation.kind === 'sync' && isJournal(operation))
    const failed = await server.send('POST', 'a', { headers: TEXT, body: 'two,' })
    const polled = await waiting
    server.handler.drain()
    const followed = await events.text()

    expect(failed.status).toBe(503)
    expect([polled.status, polled.text]).toEqual([204, ''])
    expect(followed).not.toContain('two,')
  })

  it('a producer whose append was not confirmed sends it again, and it is there once', async () => {
    const server = await started()
    await server.send('PUT', 'a', { headers: TEXT })
    const stamped = {
      headers: { ...TEXT, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' },
      body: 'once',
    }
    server.disk.fail((operation) => operation.kind === 'sync' && isJournal(operation))
    const unconfirmed = await server.send('POST', 'a', stamped)
    server.crash('process')
    await server.restart()
    const again = await server.send('POST', 'a', stamped)

    expect(unconfirmed.status).toBe(503)
    expect([200, 204]).toContain(again.status)
    expect(await server.textOf('a')).toBe('once')
  })
})
