import { describe, expect, it } from 'vitest'
import { loadOne, pathOf } from './contract-stream.ts'
import { Engine } from './engine.ts'
import { Call, inShort, path, pollInShort, ttl, World } from './engine-world.fixture.ts'
import { ManualClock } from './manual-clock.fixture.ts'
import { memoryStorage } from './memory-storage.ts'

describe('statistics', () => {
  it('counts readers, streams in memory, deadlines and commits, and nothing that is over', async () => {
    const world = new World()
    expect(world.engine.statistics()).toEqual({ readers: 0, entities: 0, deadlines: 1, pendingCommits: 0 })
    await world.done(world.create('a'))
    await world.done(world.create('b'))
    expect(world.engine.statistics()).toEqual({ readers: 0, entities: 2, deadlines: 1, pendingCommits: 0 })
    const poll = world.poll('a', 0)
    const sink = await world.follow('b', 0, { lifetimeMs: 60_000, heartbeatMs: 1000 })
    const forever = await world.follow('b', 0)
    expect(world.engine.statistics()).toEqual({ readers: 3, entities: 2, deadlines: 3, pendingCommits: 0 })
    world.storage.commits.shut()
    const calls = [world.append('a', 'x'), world.append('b', 'y'), world.create('c')]
    await world.settle()
    expect(world.engine.statistics()).toEqual({ readers: 3, entities: 3, deadlines: 3, pendingCommits: 3 })
    world.storage.commits.open()
    await world.done(Promise.all(calls))
    expect(pollInShort(poll)).toBe('x')
    sink.follower?.stop()
    forever.follower?.stop()
    for (const name of ['a', 'b', 'c']) await world.done(world.remove(name))
    expect(world.engine.statistics()).toEqual({ readers: 0, entities: 0, deadlines: 1, pendingCommits: 0 })
  })

  it('does not count requests that are refused', async () => {
    const world = new World({ limits: { maxReaders: 0 } })
    await world.done(world.create('a', { body: 'x' }))
    const polls = [world.poll('a', 1), world.poll('a', 2), world.poll('b', 0)]
    await world.settle()
    expect(polls.map(pollInShort)).toEqual([
      'rejected: busy',
      'rejected: invalid-offset',
      'rejected: not-found',
    ])
    expect(world.engine.statistics()).toEqual({ readers: 0, entities: 1, deadlines: 1, pendingCommits: 0 })
  })
})

describe('closing the engine', () => {
  it('ends readers, finishes what is on its way, and closes the store after that', async () => {
    const world = new World()
    await world.done(world.create('a'))
    const poll = world.poll('a', 0)
    const sink = await world.follow('a', 0)
    world.storage.commits.shut()
    const append = new Call(world.append('a', 'x'))
    await world.settle()
    const close = new Call(world.engine.close())
    await world.settle()
    expect([pollInShort(poll), sink.ended, append.isDone, close.isDone]).toEqual([
      'nothing',
      'shutdown',
      false,
      false,
    ])
    expect(world.storage.isClosed).toBe(false)
    world.storage.commits.open()
    await world.settle()
    expect([inShort(append.result), close.isDone, world.storage.isClosed]).toEqual(['appended', true, true])
    await world.pass(10_000)
    expect(world.clock.timers).toBe(0)
  })

  it('lets reads and writes go on after the live readers are gone', async () => {
    const world = new World()
    await world.done(world.create('a'))
    world.engine.endLiveReaders()
    expect(inShort(await world.done(world.append('a', 'x')))).toBe('appended')
    expect(await world.text('a')).toBe('x')
  })
})

describe('a deleted stream', () => {
  it('R-136: leaves no bytes, no producers and no Stream-Seq behind', async () => {
    const world = new World()
    await world.done(world.create('a', { body: 'old' }))
    const write = () => world.done(world.append('a', 'x', { producer: ['p', 5, 0], seq: 'zzz' }))
    expect(inShort(await write())).toBe('appended')
    const before = await loadOne(world.storage, path('a'))
    expect(inShort(await world.done(world.remove('a')))).toBe('deleted')
    expect(await loadOne(world.storage, path('a'))).toBe(undefined)
    const id = before?.state.id
    expect(() => id && world.storage.inner.read({ id, from: 0, to: 1 })).toThrow('removed')
    await world.done(world.create('a'))
    const again = await world.done(world.append('a', 'y', { producer: ['p', 0, 0], seq: 'a' }))
    expect(again).toMatchObject({ kind: 'appended', tail: 1, producer: { epoch: 0, seq: 0 } })
    expect(await world.text('a')).toBe('y')
  })

  it('R-132: is gone for every request that comes after the answer', async () => {
    const world = new World()
    await world.done(world.create('a', { body: 'x' }))
    world.storage.commits.shut()
    const remove = new Call(world.remove('a'))
    await world.settle()
    expect([remove.isDone, await world.text('a')]).toEqual([false, 'x'])
    world.storage.commits.open()
    await world.settle()
    expect([inShort(remove.result), await world.text('a')]).toEqual(['deleted', '<not-found>'])
    expect(inShort(await world.done(world.remove('a')))).toBe('rejected: not-found')
  })

  it('R-287: releases what was only kept for it, in the same commit', async () => {
    const world = new World()
    await world.done(world.create('a', { body: 'a' }))
    await world.done(world.create('b', { fork: { from: 'a' }, body: 'b' }))
    await world.done(world.create('c', { fork: { from: 'b' }, body: 'c' }))
    await world.done(world.remove('b'))
    await world.done(world.remove('a'))
    expect(await world.text('c')).toBe('abc')
    const before = world.storage.batches.length
    await world.done(world.remove('c'))
    expect(world.storage.batches.slice(before)).toEqual([1])
    expect(await world.storage.list('', undefined, 10)).toEqual([])
    for (const name of ['a', 'b', 'c']) expect(await loadOne(world.storage, path(name))).toBe(undefined)
    expect(world.engine.statistics().entities).toBe(0)
  })

  it('R-287: two forks of one source that are deleted together release it once each', async () => {
    const world = new World()
    await world.done(world.create('a', { body: 'a' }))
    for (const name of ['b', 'c']) await world.done(world.create(name, { fork: { from: 'a' } }))
    await world.done(world.remove('a'))
    await world.done(Promise.all([world.remove('b'), world.remove('c'), world.remove('b')]))
    expect(await loadOne(world.storage, path('a'))).toBe(undefined)
  })
})

describe('a fork', () => {
  it('R-270: R-271: begins with no producers and no Stream-Seq', async () => {
    const world = new World()
    await world.done(world.create('a'))
    await world.done(world.append('a', 'x', { producer: ['p', 3, 0], seq: 'm' }))
    await world.done(world.create('b', { fork: { from: 'a' } }))
    const outcome = await world.done(world.append('b', 'y', { producer: ['p', 0, 0], seq: 'a' }))
    expect(outcome).toMatchObject({ kind: 'appended', tail: 2 })
    const late = await world.done(world.append('a', 'z', { producer: ['p', 3, 1], seq: 'a' }))
    expect(inShort(late)).toBe('rejected: stream-seq-conflict')
  })
})

describe('producers', () => {
  const WEEK_MS = 7 * 24 * 3600 * 1000

  it('R-113: are forgotten after a week without use where the store does not last, and only there', async () => {
    for (const durable of [false, true]) {
      const world = new World({ traits: { durable }, sweepIntervalMs: WEEK_MS })
      await world.done(world.create('a'))
      const send = () => world.done(world.append('a', 'x', { producer: ['p', 0, 0] }))
      expect(inShort(await send())).toBe('appended')
      await world.pass(WEEK_MS)
      expect(inShort(await send())).toBe('duplicate')
      await world.pass(1)
      expect(inShort(await send())).toBe(durable ? 'duplicate' : 'appended')
    }
  })
})

describe('commit times', () => {
  it('never decrease, however the wall clock is set', async () => {
    const world = new World()
    await world.done(world.create('a'))
    const times: number[] = []
    for (const skewMs of [0, 3_600_000, -3_600_000, 0, 7_200_000]) {
      world.clock.skewMs = skewMs
      await world.pass(1000)
      await world.done(world.append('a', 'x'))
      const head = await world.done(world.head('a'))
      if (head.kind === 'rejected') throw new Error('the stream is there')
      times.push((await world.storage.unitAt(head.state.id, head.state.tail - 1)).atMs)
    }
    expect(times).toEqual([...times].sort((one, other) => one - other))
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBe(7_204_000)
  })
})

describe('what an engine is made of', () => {
  it('is a store, a clock, and somewhere to send faults: all else has defaults', async () => {
    const clock = new ManualClock()
    const engine = new Engine({ storage: memoryStorage(), clock, onFault: () => undefined })
    expect(await engine.head(pathOf('a'))).toEqual({ kind: 'rejected', rejection: { kind: 'not-found' } })
    expect(engine.statistics()).toEqual({ readers: 0, entities: 0, deadlines: 1, pendingCommits: 0 })
    await engine.close()
    expect(clock.timers).toBe(0)
  })

  it('R-152: is read as it was last written, on a store that answers at once', async () => {
    const world = new World({ synchronous: true })
    await world.create('a', { expiry: ttl(60) })
    for (let at = 0; at < 50; at++) {
      await world.append('a', `${at % 10}`)
      expect(await world.head('a')).toMatchObject({ state: { tail: at + 1 } })
    }
    expect(await world.text('a')).toBe('0123456789'.repeat(5))
  })
})
