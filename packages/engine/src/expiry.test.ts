import { describe, expect, it } from 'vitest'
import { ContractStream, commitAll, loadOne, pathOf } from './contract-stream.ts'
import {
  Call,
  expiresAt,
  inShort,
  path,
  pollInShort,
  ttl,
  World,
  type WorldOptions,
} from './engine-world.fixture.ts'
import { memoryStorage } from './memory-storage.ts'

/** Sweeps so rarely that only the look at the clock on each access can tell. */
const HARDLY_EVER = 3_600_000

async function worldWith(expiry: ReturnType<typeof ttl>, options: WorldOptions = {}): Promise<World> {
  const world = new World(options)
  await world.done(world.create('a', { expiry, body: 'abc' }))
  return world
}

async function stored(world: World): Promise<readonly string[]> {
  return (await world.storage.list('', undefined, 100)).map((stream) => stream.path)
}

/** What each kind of access finds. */
async function accesses(world: World): Promise<readonly string[]> {
  const head = await world.done(world.head('a'))
  const read = await world.text('a')
  const poll = world.poll('a', 'now')
  const append = inShort(await world.done(world.append('a', 'x')))
  const remove = inShort(await world.done(world.remove('a')))
  return [head.kind === 'rejected' ? head.rejection.kind : head.kind, read, pollInShort(poll), append, remove]
}

const ALL_GONE = [
  'not-found',
  '<not-found>',
  'rejected: not-found',
  'rejected: not-found',
  'rejected: not-found',
]

describe('at the deadline', () => {
  it('R-234: R-235: a stream is gone for everybody at that instant, swept or not', async () => {
    for (const expiry of [ttl(10), expiresAt(new World().clock.nowMs() + 10_000)]) {
      const world = await worldWith(expiry, { sweepIntervalMs: HARDLY_EVER })
      await world.pass(9999)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'found' })
      await world.pass(1)
      expect(await accesses(world)).toEqual(ALL_GONE)
      expect(await stored(world)).toEqual(['a'])
    }
  })

  it('R-244: a stream is removed from the store within a second', async () => {
    const world = await worldWith(ttl(10))
    await world.pass(11_000)
    expect(await stored(world)).toEqual([])
    expect(await loadOne(world.storage, path('a'))).toBe(undefined)
    expect(world.engine.statistics()).toMatchObject({ entities: 0, deadlines: 1 })
  })

  it('R-233: a window of no time and an instant in the past make a stream that is gone at once', async () => {
    for (const expiry of [ttl(0), expiresAt(0)]) {
      const world = await worldWith(expiry, { sweepIntervalMs: HARDLY_EVER })
      expect(await accesses(world)).toEqual(ALL_GONE)
    }
  })

  it('R-236: the path is free for a stream of any other kind, swept or not', async () => {
    for (const sweepIntervalMs of [500, HARDLY_EVER]) {
      const world = await worldWith(ttl(10), { sweepIntervalMs })
      await world.pass(10_000)
      expect(inShort(await world.done(world.create('a', { type: 'text/html', body: 'new' })))).toBe('created')
      expect(inShort(await world.done(world.append('a', ' bytes')))).toBe('appended')
      expect(await world.text('a')).toBe('new bytes')
      await world.pass(100_000)
      expect(await world.text('a')).toBe('new bytes')
    }
  })

  it('R-236: the path is free although somebody still waits on the old stream', async () => {
    const world = new World({ sweepIntervalMs: HARDLY_EVER })
    await world.done(world.create('a', { expiry: expiresAt(world.clock.nowMs() + 1000), body: 'old' }))
    const poll = world.poll('a', 'now', 60_000)
    await world.pass(1000)
    expect(inShort(await world.done(world.create('a', { body: 'new' })))).toBe('created')
    expect(inShort(await world.done(world.append('a', ' bytes')))).toBe('appended')
    expect(await world.text('a')).toBe('new bytes')
    expect(pollInShort(poll)).toBe('rejected: not-found')
  })

  it('R-236: the path is free if the deadline passes while the request is being judged', async () => {
    const world = new World({ sweepIntervalMs: HARDLY_EVER })
    await world.done(world.create('source', { body: 'source' }))
    await world.done(world.create('a', { expiry: ttl(10), body: 'old' }))
    world.storage.reads.shut()
    await world.pass(9990)
    const create = new Call(world.create('a', { fork: { from: 'source', at: 2, sub: 1 } }))
    await world.pass(10)
    world.storage.reads.open()
    await world.settle()
    expect(inShort(create.result)).toBe('created')
    expect(await world.text('a')).toBe('sou')
    expect(inShort(await world.done(world.append('a', '!')))).toBe('appended')
    expect(await world.text('a')).toBe('sou!')
  })

  it('never comes early or late because the wall clock was set back', async () => {
    const world = await worldWith(ttl(10))
    await world.pass(5000)
    world.clock.skewMs = -3_600_000
    expect(inShort(await world.done(world.append('a', 'x')))).toBe('appended')
    await world.pass(4000)
    expect(await world.done(world.head('a'))).toMatchObject({ kind: 'found' })
  })
})

describe('the sliding window', () => {
  const RENEWALS: readonly (readonly [string, (world: World) => Promise<unknown>])[] = [
    ['R-237: an append', (world) => world.append('a', 'x')],
    ['R-238: a read', (world) => world.read('a')],
    ['R-238: a read that finds nothing new', (world) => world.read('a', 3)],
    ['R-239: a read from now on', (world) => world.engine.read(pathOf('a'), { kind: 'now' })],
    ['R-240: a close', (world) => world.close('a')],
    ['R-240: a close by a producer', (world) => world.close('a', { producer: ['p', 0, 0] })],
    ['a duplicate', (world) => world.append('a', 'x', { producer: ['first', 0, 0] })],
    ['R-243: a long-poll that need not wait', async (world) => world.poll('a', 0)],
  ]

  for (const [name, use] of RENEWALS) {
    it(`${name} renews it`, async () => {
      const world = await worldWith(ttl(10))
      await world.done(world.append('a', 'x', { producer: ['first', 0, 0] }))
      await world.pass(9000)
      await world.done(use(world))
      await world.pass(9999)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'found' })
      await world.pass(1)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'rejected' })
    })
  }

  const OTHERS: readonly (readonly [string, (world: World) => Promise<unknown>])[] = [
    ['R-241: HEAD', (world) => world.head('a')],
    ['a PUT that finds it', (world) => world.create('a', { expiry: ttl(10) })],
    ['a refused append', (world) => world.append('a', 'x', { type: 'text/html' })],
    ['a refused read', (world) => world.read('a', 4)],
    ['a refused PUT', (world) => world.create('a', { type: 'text/html' })],
    ['R-295: a read of its fork', (world) => world.read('fork')],
    ['R-295: an append to its fork', (world) => world.append('fork', 'x')],
  ]

  for (const [name, use] of OTHERS) {
    it(`${name} does not`, async () => {
      const world = await worldWith(ttl(10))
      await world.done(world.create('fork', { fork: { from: 'a' }, expiry: ttl(100) }))
      await world.pass(9000)
      await world.done(use(world))
      await world.pass(1000)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'rejected' })
    })
  }

  it('R-242: an absolute end does not move', async () => {
    const world = new World()
    await world.done(world.create('a', { expiry: expiresAt(world.clock.nowMs() + 10_000) }))
    await world.pass(9000)
    await world.done(world.append('a', 'x'))
    await world.text('a')
    const poll = world.poll('a', 'now')
    await world.pass(1000)
    expect(await world.done(world.head('a'))).toMatchObject({ kind: 'rejected' })
    await world.pass(1000)
    expect(pollInShort(poll)).toBe('rejected: not-found')
  })

  it('R-244: a read is not forgotten when the stream leaves memory', async () => {
    const world = await worldWith(ttl(10), { limits: { maxIdleStreams: 0 } })
    await world.pass(8000)
    await world.text('a')
    await world.pass(8000)
    expect(world.engine.statistics().entities).toBe(0)
    expect(await world.done(world.head('a'))).toMatchObject({ kind: 'found' })
  })

  it('R-244: a read while a commit is on its way is not forgotten either', async () => {
    const world = await worldWith(ttl(10), { limits: { maxIdleStreams: 0 } })
    world.storage.commits.shut()
    const append = new Call(world.append('a', 'x'))
    await world.settle()
    await world.pass(8000)
    await world.text('a')
    world.storage.commits.open()
    await world.settle()
    expect(inShort(append.result)).toBe('appended')
    await world.pass(8000)
    expect(await world.done(world.head('a'))).toMatchObject({ kind: 'found' })
    await world.pass(3000)
    expect(await stored(world)).toEqual([])
  })
})

describe('live readers', () => {
  for (const sweepIntervalMs of [500, HARDLY_EVER]) {
    const swept = sweepIntervalMs === 500 ? 'swept' : 'not swept'

    it(`R-243: a waiting long-poll keeps the stream, and the window restarts when it ends (${swept})`, async () => {
      const world = await worldWith(ttl(2), { sweepIntervalMs })
      const poll = world.poll('a', 'now', 30_000)
      await world.pass(29_900)
      expect(pollInShort(poll)).toBe('waits')
      await world.pass(125)
      expect(pollInShort(poll)).toBe('nothing')
      await world.pass(1850)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'found' })
      await world.pass(150)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'rejected' })
    })

    it(`R-243: a follower keeps the stream, and the window restarts when the last one leaves (${swept})`, async () => {
      const world = await worldWith(ttl(2), { sweepIntervalMs })
      const [one, other] = [await world.follow('a', 0), await world.follow('a', 0)]
      await world.pass(10_000)
      one.follower?.stop()
      await world.pass(10_000)
      expect(inShort(await world.done(world.append('a', 'd')))).toBe('appended')
      await world.pass(10_000)
      other.follower?.stop()
      await world.pass(1900)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'found' })
      expect([one, other].map(({ text, ended }) => [text, ended])).toEqual([
        ['abc', undefined],
        ['abcd', undefined],
      ])
      await world.pass(100)
      expect(await world.done(world.head('a'))).toMatchObject({ kind: 'rejected' })
    })
  }

  it('R-243: a follower that takes nothing for long still finds the stream', async () => {
    const world = await worldWith(ttl(2), { sweepIntervalMs: HARDLY_EVER })
    const sink = await world.follow('a', 0)
    sink.takesMore = false
    await world.done(world.append('a', '1'))
    await world.done(world.append('a', '2'))
    await world.pass(60_000)
    sink.takesMore = true
    sink.follower?.resume()
    await world.settle()
    expect([sink.text, sink.ended]).toEqual(['abc12', undefined])
  })

  it('an absolute end ends them: long-poll and follower', async () => {
    const world = new World()
    await world.done(world.create('a', { expiry: expiresAt(world.clock.nowMs() + 10_000) }))
    const poll = world.poll('a', 'now')
    const sink = await world.follow('a', 0)
    await world.pass(9990)
    expect([pollInShort(poll), sink.ended]).toEqual(['waits', undefined])
    await world.pass(535)
    expect([pollInShort(poll), sink.ended]).toEqual(['rejected: not-found', 'removed'])
  })
})

describe('forks', () => {
  it('R-293: a fork that expires gives its source free', async () => {
    const world = new World()
    await world.done(world.create('source', { body: 'abc' }))
    await world.done(world.create('fork', { fork: { from: 'source' }, expiry: ttl(5) }))
    expect(await world.done(world.head('source'))).toMatchObject({ state: { refCount: 1 } })
    await world.pass(6000)
    expect(await world.done(world.head('source'))).toMatchObject({ state: { refCount: 0 } })
    expect(inShort(await world.done(world.remove('source')))).toBe('deleted')
    expect(await stored(world)).toEqual([])
    expect(await loadOne(world.storage, path('source'))).toBe(undefined)
  })

  it('R-293: what was only kept for an expired fork goes with it, up the chain', async () => {
    const world = new World()
    await world.done(world.create('a', { body: 'a' }))
    await world.done(world.create('b', { fork: { from: 'a' } }))
    await world.done(world.create('c', { fork: { from: 'b' }, expiry: ttl(5) }))
    await world.done(world.remove('a'))
    await world.done(world.remove('b'))
    expect(await world.text('c')).toBe('a')
    await world.pass(6000)
    for (const name of ['a', 'b', 'c']) expect(await loadOne(world.storage, path(name))).toBe(undefined)
    expect(world.engine.statistics().entities).toBe(0)
  })

  it('R-293: a PUT onto an expired fork gives its source free as well', async () => {
    const world = new World({ sweepIntervalMs: HARDLY_EVER })
    await world.done(world.create('source', { body: 'abc' }))
    await world.done(world.create('fork', { fork: { from: 'source' }, expiry: ttl(5) }))
    await world.pass(6000)
    expect(inShort(await world.done(world.create('fork', { type: 'text/html' })))).toBe('created')
    expect(await world.done(world.head('source'))).toMatchObject({ state: { refCount: 0 } })
  })

  it('R-294: a source that expires is gone, but its forks read on', async () => {
    for (const sweepIntervalMs of [500, HARDLY_EVER]) {
      const world = new World({ sweepIntervalMs })
      await world.done(world.create('source', { body: 'abc', expiry: ttl(5) }))
      await world.done(world.create('fork', { fork: { from: 'source' }, expiry: ttl(1000) }))
      const poll = world.poll('fork', 'now')
      await world.pass(6000)
      expect(await world.done(world.head('source'))).toEqual({
        kind: 'rejected',
        rejection: { kind: 'gone' },
      })
      expect(inShort(await world.done(world.create('source')))).toBe('rejected: path-blocked')
      expect(await world.text('fork')).toBe('abc')
      await world.done(world.append('fork', 'def'))
      expect([pollInShort(poll), await world.text('fork')]).toEqual(['def', 'abcdef'])
    }
  })

  it('R-294: readers of a source that expires with forks are told that it is gone', async () => {
    const world = new World()
    const expiry = expiresAt(world.clock.nowMs() + 5000)
    await world.done(world.create('source', { body: 'abc', expiry }))
    await world.done(world.create('fork', { fork: { from: 'source' }, expiry: ttl(1000) }))
    const poll = world.poll('source', 'now')
    await world.pass(5525)
    expect(pollInShort(poll)).toBe('rejected: gone')
  })

  it('R-293: source and fork that expire together leave nothing', async () => {
    const world = new World()
    await world.done(world.create('source', { body: 'abc', expiry: ttl(5) }))
    await world.done(world.create('fork', { fork: { from: 'source' } }))
    await world.pass(7000)
    for (const name of ['source', 'fork']) expect(await loadOne(world.storage, path(name))).toBe(undefined)
    expect(world.engine.statistics().entities).toBe(0)
  })
})

describe('the sweeper', () => {
  it('one stream that cannot be removed does not keep the others', async () => {
    const world = new World({ limits: { maxIdleStreams: 0, sweepBatch: 2 } })
    await world.done(world.create('bad', { expiry: ttl(1) }))
    for (const name of ['x', 'y', 'z']) await world.done(world.create(name, { expiry: ttl(2) }))
    world.storage.script = {
      beforeLoad: (paths) => {
        if (paths.includes(path('bad'))) throw new Error('checksum')
      },
    }
    await world.pass(10_000)
    expect(await stored(world)).toEqual(['bad'])
    expect(world.faults.length).toBeGreaterThan(0)
    expect(world.faults[0]?.message).toContain('checksum')
  })

  it('goes on after a sweep that failed, and says so', async () => {
    let isBroken = true
    const beforeDue = (): void => {
      if (isBroken) throw new Error('index')
    }
    const world = await worldWith(ttl(1), { beforeDue })
    await world.pass(2000)
    expect(world.faults.length).toBeGreaterThan(1)
    isBroken = false
    await world.pass(1000)
    expect(await stored(world)).toEqual([])
  })

  it('sleeping streams need no timer each, however many there are', async () => {
    const inner = memoryStorage()
    const world = new World({ inner, sweepIntervalMs: 500 })
    const startMs = world.clock.nowMs()
    for (let at = 0; at < 20_000; at++) {
      const stream = new ContractStream(`s${at}`)
      await commitAll(inner, stream.create({ expiry: ttl(1000 + (at % 7)) }, { atMs: startMs, closes: true }))
    }
    await world.pass(900_000)
    expect(world.clock.mostTimers).toBe(1)
    expect(world.clock.timersSet).toBeLessThan(2000)
    expect(world.engine.statistics()).toMatchObject({ deadlines: 1, entities: 0 })
    expect((await stored(world)).length).toBe(100)
  })
})
