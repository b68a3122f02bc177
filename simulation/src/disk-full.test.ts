import { afterEach, describe, expect, it } from 'vitest'
import { type Answer, type FaultyOptions, FaultyServer } from './faulty-server.fixture.ts'
import { DiskFull } from './store-parts.ts'

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

function fill(server: FaultyServer): void {
  server.disk.resize(server.disk.statistics().bytes)
}

/** Appends until one is refused; returns what was acknowledged, and the refusal. */
async function appendUntilFull(
  server: FaultyServer,
  path: string,
): Promise<{ readonly acknowledged: string; readonly refused: Answer; readonly body: string }> {
  let acknowledged = ''
  for (let n = 0; ; n++) {
    const body = `<${n}:${'x'.repeat(500)}>`
    const answer = await server.send('POST', path, { headers: TEXT, body })
    if (answer.status !== 204) return { acknowledged, refused: answer, body }
    acknowledged += body
  }
}

function problemOf({ text }: Answer): Record<string, unknown> {
  const problem: Record<string, unknown> = JSON.parse(text)
  return problem
}

describe('on a full disk', () => {
  it('an append is answered 507 and says what to do', async () => {
    const server = await started()
    await server.send('PUT', 'a', { headers: TEXT })
    fill(server)
    const { refused } = await appendUntilFull(server, 'a')

    expect([refused.status, refused.headers.get('content-type')]).toEqual([507, 'application/problem+json'])
    expect(problemOf(refused)).toMatchObject({ code: 'INSUFFICIENT_STORAGE', status: 507 })
    expect(problemOf(refused).detail).toMatch(/delete streams or add space/)
  })

  it('a refused append changes nothing: not the tail, not the producer, not Stream-Seq', async () => {
    const server = await started()
    await server.send('PUT', 'a', { headers: TEXT })
    fill(server)
    const { acknowledged } = await appendUntilFull(server, 'a')
    const tail = (await server.send('HEAD', 'a')).headers.get('stream-next-offset')
    const stamped = {
      headers: { ...TEXT, 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0', 'stream-seq': 'm' },
      body: 'y'.repeat(1000),
    }
    const refused = await server.send('POST', 'a', stamped)
    const after = (await server.send('HEAD', 'a')).headers.get('stream-next-offset')
    server.disk.resize(Number.POSITIVE_INFINITY)
    const again = await server.send('POST', 'a', stamped)
    const twice = await server.send('POST', 'a', stamped)

    expect([refused.status, after]).toEqual([507, tail])
    expect([again.status, twice.status]).toEqual([200, 204])
    expect(await server.textOf('a')).toBe(acknowledged + stamped.body)
  })

  it('reads, HEAD, health checks and deletions go on, and the server counts as ready', async () => {
    const server = await started()
    await server.send('PUT', 'a', { headers: TEXT })
    await server.send('PUT', 'b', { headers: TEXT, body: 'b' })
    fill(server)
    const { acknowledged } = await appendUntilFull(server, 'a')
    const [head, health, ready] = [
      await server.send('HEAD', 'a'),
      await server.send('GET', '/healthz'),
      await server.send('GET', '/readyz'),
    ]
    const deleted = await server.send('DELETE', 'b')
    const gone = await server.send('GET', 'b')

    expect([head.status, health.status, ready.status]).toEqual([200, 200, 200])
    expect(await server.textOf('a')).toBe(acknowledged)
    expect([deleted.status, gone.status]).toEqual([204, 404])
    expect(server.poisonings).toEqual([])
  })

  it('a deletion that comes together with appends is not refused with them', async () => {
    const server = await started()
    await server.send('PUT', 'a', { headers: TEXT })
    for (const path of ['b', 'c']) await server.send('PUT', path, { headers: TEXT, body: 'x' })
    fill(server)
    await appendUntilFull(server, 'a')
    const large = { headers: TEXT, body: 'z'.repeat(2000) }
    const answers = await Promise.all([
      server.send('POST', 'a', large),
      server.send('DELETE', 'b'),
      server.send('POST', 'a', large),
      server.send('DELETE', 'c'),
    ])

    expect(answers.map(({ status }) => status)).toEqual([507, 204, 507, 204])
  })

  it('appends work again without a restart once the disk has grown', async () => {
    const server = await started()
    await server.send('PUT', 'a', { headers: TEXT })
    fill(server)
    const { acknowledged } = await appendUntilFull(server, 'a')
    server.disk.resize(Number.POSITIVE_INFINITY)
    const again = await server.send('POST', 'a', { headers: TEXT, body: 'more' })

    expect(again.status).toBe(204)
    expect(await server.textOf('a')).toBe(`${acknowledged}more`)
  })

  it.each([2000, 6000])(
    'appends work again without a restart once streams have been deleted (checkpoints at %s bytes)',
    async (checkpointBytes) => {
      const server = await started({ limits: { checkpointBytes } })
      const capacityBytes = 120_000
      await server.send('PUT', 'small', { headers: TEXT, body: 'kept' })
      await server.send('PUT', 'large', { headers: TEXT })
      server.disk.resize(capacityBytes)
      await appendUntilFull(server, 'large')
      await server.pass(10_000)
      const still = await server.send('POST', 'small', { headers: TEXT, body: 'x'.repeat(5000) })
      const deleted = await server.send('DELETE', 'large')
      await server.pass(10_000)
      const again = await server.send('POST', 'small', { headers: TEXT, body: 'more' })

      expect([still.status, deleted.status, again.status]).toEqual([507, 204, 204])
      expect(await server.textOf('small')).toBe('keptmore')
      expect(server.disk.statistics().bytes).toBeLessThanOrEqual(capacityBytes)
    },
  )

  it('nothing acknowledged is lost by a crash', async () => {
    const server = await started({ limits: { checkpointBytes: 2000 } })
    for (const path of ['a', 'b']) await server.send('PUT', path, { headers: TEXT })
    server.disk.resize(80_000)
    const a = await appendUntilFull(server, 'a')
    const b = await appendUntilFull(server, 'b')
    server.crash('power')
    server.disk.resize(Number.POSITIVE_INFINITY)
    await server.restart()

    expect([await server.textOf('a'), await server.textOf('b')]).toEqual([a.acknowledged, b.acknowledged])
  })
})

describe('a checkpoint that finds the disk full', () => {
  it.each(['blocks', 'home'])(
    'loses nothing, poisons nothing, and is made good later (%s)',
    async (where) => {
      const server = await started()
      await server.send('PUT', 'a', { headers: TEXT, body: 'x'.repeat(3000) })
      if (where === 'home') server.homeOutcome = 'full'
      else fill(server)
      await server.checkpoint()
      const during = await server.textOf('a')
      server.homeOutcome = 'flushed'
      server.disk.resize(Number.POSITIVE_INFINITY)
      await server.pass(5000)
      await server.restart()

      expect(during).toBe('x'.repeat(3000))
      expect(server.poisonings).toEqual([])
      expect(server.recovered).toMatchObject({ isClean: true })
      expect(await server.textOf('a')).toBe('x'.repeat(3000))
    },
  )

  it('empty block files are given back even if there is no room to rewrite the others', async () => {
    const server = await started({ limits: { blockFileBytes: 2000 } })
    for (const path of ['dead', 'half', 'live']) await server.send('PUT', path, { headers: TEXT })
    // One file of the first stream alone, then one that it is most of, then those that stay.
    for (const [path, size] of [
      ['dead', 4000],
      ['half', 600],
      ['dead', 1500],
      ['live', 4000],
    ] as const) {
      await server.send('POST', path, { headers: TEXT, body: 'x'.repeat(size) })
      await server.checkpoint()
    }
    const before = server.disk.statistics().bytes
    await server.send('DELETE', 'dead')
    fill(server)
    await server.checkpoint()

    expect(server.disk.statistics().bytes).toBeLessThan(before - 4000)
  })
})

it.each(['process', 'power'] as const)(
  'appends work again once streams have been deleted, also after a crash on the full disk (%s)',
  async (kind) => {
    const server = await started({ limits: { checkpointBytes: 4000, maxTailBytes: 12_000 } })
    await server.send('PUT', 'kept', { headers: TEXT, body: 'kept' })
    await server.send('PUT', 'large', { headers: TEXT })
    server.disk.resize(60_000)
    await appendUntilFull(server, 'large')
    for (let crash = 0; crash < 3; crash++) {
      await server.pass(10_000)
      server.crash(kind)
      await server.restart()
      await appendUntilFull(server, 'large')
    }
    await server.pass(10_000)
    const deleted = await server.send('DELETE', 'large')
    await server.pass(20_000)
    const again = await server.send('POST', 'kept', { headers: TEXT, body: 'more' })

    expect([deleted.status, again.status]).toEqual([204, 204])
    expect(await server.textOf('kept')).toBe('keptmore')
  },
)

it('a start on a full disk says so, and works once there is room', async () => {
  const server = new FaultyServer({ capacityBytes: 5000 })
  servers.push(server)
  const refused = await server.start().catch((error: unknown) => error)
  server.disk.resize(Number.POSITIVE_INFINITY)
  await server.restart()

  expect(refused).toBeInstanceOf(DiskFull)
  expect((await server.send('PUT', 'a', { headers: TEXT })).status).toBe(201)
})
