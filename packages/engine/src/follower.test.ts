import { describe, expect, it } from 'vitest'
import { at, inShort, path, RecordingSink, ttl, World, type WorldOptions } from './engine-world.fixture.ts'

async function worldWith(body = '', options: WorldOptions = {}): Promise<World> {
  const world = new World(options)
  await world.done(world.create('a', { body }))
  return world
}

/** Nothing of a reader is left: no deadline but the sweep's, nobody counted. */
function leftovers(world: World): unknown {
  const { readers, deadlines } = world.engine.statistics()
  return { readers, deadlines }
}

const NOTHING_LEFT = { readers: 0, deadlines: 1 }

describe('delivery', () => {
  it('gives the backlog in order, and then each append', async () => {
    const world = await worldWith('x'.repeat(25), { limits: { followChunkBytes: 10 } })
    const sink = await world.follow('a', 0)
    expect(sink.places).toEqual([
      [0, 10],
      [10, 20],
      [20, 25],
    ])
    await world.done(world.append('a', 'yy'))
    await world.done(world.append('a', 'z'))
    expect(sink.places.slice(3)).toEqual([
      [25, 27],
      [27, 28],
    ])
    expect([sink.text, sink.ended]).toEqual([`${'x'.repeat(25)}yyz`, undefined])
  })

  it('says where it is when there is nothing to deliver, once', async () => {
    const world = await worldWith('abc')
    for (const start of [3, 'now'] as const) {
      const sink = await world.follow('a', start)
      expect(sink.places).toEqual([[3, 3]])
      await world.done(world.append('a', ''.padEnd(0), { seq: `${start}`, closes: false, type: 'text/html' }))
      expect(sink.places).toEqual([[3, 3]])
    }
  })

  it('does not say it again after a backlog', async () => {
    const world = await worldWith('abc')
    expect((await world.follow('a', 0)).places).toEqual([[0, 3]])
  })

  it('gives appends that were made together as one slice', async () => {
    const world = await worldWith()
    const sink = await world.follow('a', 0)
    await world.done(Promise.all(['a', 'b', 'c'].map((content) => world.append('a', content))))
    expect(sink.places).toEqual([
      [0, 0],
      [0, 3],
    ])
  })

  it('misses nothing that is appended before it begins', async () => {
    const world = await worldWith('abc')
    const result = await world.done(world.engine.follow(path('a'), at('now')))
    await world.done(world.append('a', 'def'))
    const sink = new RecordingSink()
    expect(result.kind).toBe('following')
    if (result.kind === 'following') result.begin(sink, { lifetimeMs: 0, heartbeatMs: 0 }).resume()
    await world.settle()
    expect(sink.places).toEqual([[3, 6]])
  })

  it('gives nothing of a stream that is deleted before it begins', async () => {
    const world = await worldWith('abc')
    const result = await world.done(world.engine.follow(path('a'), at(0)))
    await world.done(world.remove('a'))
    const sink = new RecordingSink()
    expect(result.kind).toBe('following')
    if (result.kind === 'following') result.begin(sink, { lifetimeMs: 0, heartbeatMs: 0 }).resume()
    await world.settle()
    expect([sink.places, sink.ended]).toEqual([[], 'removed'])
  })

  it('reads a fork across its border and on', async () => {
    const world = await worldWith('abc')
    await world.done(world.create('fork', { fork: { from: 'a', at: 2 }, body: 'XY' }))
    const sink = await world.follow('fork', 1)
    await world.done(world.append('a', 'source'))
    await world.done(world.append('fork', 'Z'))
    expect(sink.text).toBe('bXYZ')
  })

  it('is refused where a read would be', async () => {
    const world = await worldWith('abc')
    await expect(world.follow('a', 4)).rejects.toThrow('invalid-offset')
    await expect(world.follow('nowhere', 'now')).rejects.toThrow('not-found')
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })
})

describe('the end', () => {
  it('R-130: comes at once when the stream is closed', async () => {
    const world = await worldWith('abc')
    const sink = await world.follow('a', 0)
    await world.done(world.close('a'))
    expect([sink.places, sink.ended]).toEqual([
      [
        [0, 3],
        [3, 3],
      ],
      'closed',
    ])
    expect(sink.slices.at(-1)?.state.closed).toBe(true)
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('R-130: comes with the bytes that were appended with the close', async () => {
    const world = await worldWith('abc')
    const sink = await world.follow('a', 3)
    await world.done(world.append('a', 'final', { closes: true }))
    expect([sink.text, sink.ended]).toEqual(['final', 'closed'])
    expect(sink.slices.at(-1)?.state.closed).toBe(true)
  })

  it('comes after the backlog of a closed stream, and at its tail', async () => {
    const world = await worldWith('x'.repeat(15), { limits: { followChunkBytes: 10 } })
    await world.done(world.close('a'))
    const sinks = [await world.follow('a', 0), await world.follow('a', 15), await world.follow('a', 'now')]
    expect(sinks.map(({ places }) => places.length)).toEqual([2, 1, 1])
    expect(sinks.map(({ ended }) => ended)).toEqual(['closed', 'closed', 'closed'])
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('R-135: comes when the stream is deleted, also if only its forks keep it', async () => {
    const world = await worldWith('abc')
    await world.done(world.create('source', { body: 'abc' }))
    await world.done(world.create('fork', { fork: { from: 'source' } }))
    const sinks = [await world.follow('a', 0), await world.follow('source', 0), await world.follow('fork', 0)]
    await world.done(world.remove('a'))
    await world.done(world.remove('source'))
    expect(sinks.map(({ ended }) => ended)).toEqual(['removed', 'removed', undefined])
  })

  it('R-135: comes when the stream is deleted and made anew: the new one is another stream', async () => {
    const world = await worldWith('abc')
    const sink = await world.follow('a', 0)
    await world.done(Promise.all([world.remove('a'), world.create('a', { body: 'other bytes' })]))
    expect([sink.text, sink.ended]).toEqual(['abc', 'removed'])
  })

  it('comes when the lifetime is over', async () => {
    const world = await worldWith('abc')
    const sink = await world.follow('a', 0, { lifetimeMs: 60_000 })
    await world.pass(59_999)
    expect(sink.ended).toBe(undefined)
    await world.pass(26)
    expect(sink.ended).toBe('lifetime')
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('comes when the lifetime is over, also for a reader that takes nothing', async () => {
    const world = await worldWith('abc')
    const sink = new RecordingSink()
    sink.takesMore = false
    await world.follow('a', 0, { lifetimeMs: 1000 }, sink)
    await world.pass(1025)
    expect([sink.text, sink.ended]).toEqual(['abc', 'lifetime'])
  })

  it('comes after the slice that is being read when the lifetime is over', async () => {
    const world = await worldWith()
    const sink = await world.follow('a', 0, { lifetimeMs: 1000 })
    world.storage.reads.shut()
    await world.done(world.append('a', 'x'))
    await world.pass(2000)
    expect(sink.ended).toBe(undefined)
    world.storage.reads.open()
    await world.settle()
    expect([sink.text, sink.ended]).toEqual(['x', 'lifetime'])
  })

  it('comes when the engine lets all readers go, for those that come later too', async () => {
    const world = await worldWith('abc')
    const sink = await world.follow('a', 0)
    world.engine.endLiveReaders()
    expect(sink.ended).toBe('shutdown')
    const later = await world.follow('a', 0)
    expect([later.text, later.ended]).toEqual(['abc', 'shutdown'])
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })
})

describe('a store that cannot be read', () => {
  const failure = (): never => {
    throw new Error('bad sector')
  }

  for (const synchronous of [false, true]) {
    const when = synchronous ? 'at once' : 'later'

    it(`ends the reader as failed (the store throws ${when})`, async () => {
      const world = await worldWith('', { synchronous })
      const [one, other] = [await world.follow('a', 0), await world.follow('a', 0)]
      world.storage.script = { synchronous, beforeRead: failure }
      await world.done(world.append('a', 'x'))
      expect([one, other].map(({ ended, error }) => [ended, String(error)])).toEqual([
        ['failed', 'Error: bad sector'],
        ['failed', 'Error: bad sector'],
      ])
      expect(leftovers(world)).toEqual(NOTHING_LEFT)
    })

    it(`ends a reader as failed that goes on after a pause (the store throws ${when})`, async () => {
      const world = await worldWith('x'.repeat(20), { synchronous, limits: { followChunkBytes: 10 } })
      const sink = new RecordingSink()
      sink.takesMore = false
      await world.follow('a', 0, {}, sink)
      world.storage.script = { synchronous, beforeRead: failure }
      sink.follower?.resume()
      await world.settle()
      expect([sink.text.length, sink.ended]).toEqual([10, 'failed'])
    })

    it(`ends a reader as failed that cannot begin (the store throws ${when})`, async () => {
      const world = await worldWith('abc', { synchronous, limits: { maxIdleStreams: 0 } })
      const found = await world.done(world.engine.follow(path('a'), at(0)))
      world.storage.script = { synchronous, beforeLoad: failure }
      const sink = new RecordingSink()
      if (found.kind === 'following') found.begin(sink, { lifetimeMs: 0, heartbeatMs: 0 }).resume()
      await world.settle()
      expect([sink.ended, String(sink.error)]).toEqual(['failed', 'Error: bad sector'])
      expect(leftovers(world)).toEqual(NOTHING_LEFT)
    })

    it(`does not matter to others (the store throws ${when})`, async () => {
      const world = await worldWith('', { synchronous, limits: { wakesPerTurn: 1 } })
      await world.done(world.create('b'))
      await world.follow('a', 0)
      const sink = await world.follow('b', 0)
      const bad = world.storage.loaded.indexOf(path('a'))
      expect(bad).toBeGreaterThanOrEqual(0)
      const head = await world.done(world.head('a'))
      const badId = head.kind === 'found' ? head.state.id : undefined
      world.storage.script = { synchronous, beforeRead: (id) => id === badId && failure() }
      await world.done(Promise.all([world.append('a', 'x'), world.append('b', 'y')]))
      expect(sink.text).toBe('y')
    })
  }

  it('lets readers go when that cannot be noted', async () => {
    const world = new World()
    await world.done(world.create('a', { body: 'abc', expiry: ttl(60) }))
    const sinks = [await world.follow('a', 0), await world.follow('a', 0)]
    world.storage.script = { beforeTouch: failure }
    world.engine.endLiveReaders()
    expect(sinks.map(({ ended }) => ended)).toEqual(['shutdown', 'shutdown'])
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
    expect(world.faults.map(({ code }) => code)).toEqual(['storage', 'storage'])
  })

  it('ends the reader as removed when the stream goes while it is being read', async () => {
    const world = await worldWith()
    const sink = await world.follow('a', 0)
    world.storage.reads.shut()
    await world.done(world.append('a', 'x'))
    await world.done(world.remove('a'))
    world.storage.reads.open()
    await world.settle()
    expect(sink.ended).toBe('removed')
  })
})

describe('heartbeats', () => {
  it('come only when nothing was sent for a while', async () => {
    const world = await worldWith()
    const sink = await world.follow('a', 0, { heartbeatMs: 15_000 })
    await world.pass(15_025)
    expect(sink.heartbeats).toBe(1)
    for (let i = 0; i < 10; i++) {
      await world.pass(10_000)
      await world.done(world.append('a', 'x'))
    }
    expect(sink.heartbeats).toBe(1)
    await world.pass(14_900)
    expect(sink.heartbeats).toBe(1)
    await world.pass(200)
    expect(sink.heartbeats).toBe(2)
    await world.pass(30_100)
    expect(sink.heartbeats).toBe(4)
  })

  it('do not come to a reader that takes nothing, nor after the end', async () => {
    const world = await worldWith('abc')
    const blocked = new RecordingSink()
    blocked.takesMore = false
    await world.follow('a', 0, { heartbeatMs: 1000 }, blocked)
    const stopped = await world.follow('a', 0, { heartbeatMs: 1000 })
    stopped.follower?.stop()
    await world.pass(10_000)
    expect([blocked.heartbeats, stopped.heartbeats]).toEqual([0, 0])
  })

  it('neither lengthen nor shorten the lifetime', async () => {
    const world = await worldWith('abc')
    const sink = await world.follow('a', 0, { heartbeatMs: 15_000, lifetimeMs: 50_000 })
    await world.pass(49_999)
    expect([sink.heartbeats, sink.ended]).toEqual([3, undefined])
    await world.pass(26)
    expect(sink.ended).toBe('lifetime')
  })
})

describe('a reader that cannot take more', () => {
  it('gets nothing until it asks, falls behind, and is served from the store', async () => {
    const world = await worldWith()
    const sink = await world.follow('a', 0)
    sink.takesMore = false
    for (let i = 0; i < 10; i++) await world.done(world.append('a', `${i}`))
    expect(sink.places).toEqual([
      [0, 0],
      [0, 1],
    ])
    const reads = world.storage.readRanges.length
    await world.done(world.append('a', '!'))
    expect(world.storage.readRanges.length).toBe(reads)
    sink.takesMore = true
    sink.follower?.resume()
    await world.settle()
    expect(sink.places.slice(2)).toEqual([[1, 11]])
    await world.done(world.append('a', '?'))
    expect(sink.text).toBe('0123456789!?')
  })

  it('holds a small part of the backlog, whatever a catch-up reader gets at once', async () => {
    const world = await worldWith('x'.repeat(1_000_000))
    const sink = new RecordingSink()
    sink.takesMore = false
    await world.follow('a', 0, {}, sink)
    const caughtUp = await world.read('a', 0)

    expect(sink.text.length).toBe(65_536)
    expect(caughtUp.kind === 'slice' && caughtUp.slice.to).toBe(1_000_000)
  })

  it('lets everybody else go on between two pieces, however soon it can take more', async () => {
    const world = await worldWith('x'.repeat(40), { limits: { followChunkBytes: 10 } })
    const sink = new RecordingSink()
    sink.takesMore = false
    await world.follow('a', 0, {}, sink)
    const inner = sink.deliver.bind(sink)
    sink.deliver = (slice) => {
      // What it was given is gone before anything else happens.
      queueMicrotask(() => sink.follower?.resume())
      return inner(slice)
    }
    sink.follower?.resume()
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    const inOneTurn = sink.slices.length
    await world.settle()

    expect(inOneTurn).toBeLessThanOrEqual(2)
    expect(sink.text.length).toBe(40)
  })

  it('gets its backlog piece by piece, as it asks', async () => {
    const world = await worldWith('x'.repeat(30), { limits: { followChunkBytes: 10 } })
    const sink = new RecordingSink()
    sink.takesMore = false
    await world.follow('a', 0, {}, sink)
    const seen = [sink.slices.length]
    for (let i = 0; i < 4; i++) {
      sink.follower?.resume()
      await world.settle()
      seen.push(sink.slices.length)
    }
    expect(seen).toEqual([1, 2, 3, 3, 3])
  })

  it('asking for more while bytes are on their way, or while it waits, does no harm', async () => {
    const world = await worldWith()
    const sink = await world.follow('a', 0)
    sink.follower?.resume()
    world.storage.reads.shut()
    await world.done(world.append('a', 'x'))
    sink.follower?.resume()
    sink.follower?.resume()
    world.storage.reads.open()
    await world.settle()
    sink.follower?.resume()
    await world.done(world.append('a', 'y'))
    expect(sink.text).toBe('xy')
  })

  it('is told of a close only after everything before it', async () => {
    const world = await worldWith()
    const sink = await world.follow('a', 0)
    sink.takesMore = false
    await world.done(world.append('a', '1'))
    await world.done(world.append('a', '2', { closes: true }))
    expect([sink.text, sink.ended]).toEqual(['1', undefined])
    sink.follower?.resume()
    await world.settle()
    expect([sink.text, sink.ended]).toEqual(['12', 'closed'])
  })
})

describe('stopping', () => {
  it('R-177: frees everything, whatever the reader was doing', async () => {
    const world = await worldWith('abc', { limits: { maxIdleStreams: 0 } })
    const parked = await world.follow('a', 0, { heartbeatMs: 1000, lifetimeMs: 5000 })
    const blocked = new RecordingSink()
    blocked.takesMore = false
    await world.follow('a', 0, { heartbeatMs: 1000 }, blocked)
    world.storage.reads.shut()
    await world.done(world.append('a', 'd'))
    const sinks = [parked, blocked]
    for (const { follower } of sinks) follower?.stop()
    for (const { follower } of sinks) follower?.stop()
    world.storage.reads.open()
    await world.pass(10_000)
    expect(sinks.map(({ text, ended, heartbeats }) => [text, ended, heartbeats])).toEqual([
      ['abc', undefined, 0],
      ['abc', undefined, 0],
    ])
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
    expect(world.engine.statistics().entities).toBe(0)
  })

  it('may happen in the middle of a delivery', async () => {
    const world = await worldWith('x'.repeat(30), { limits: { followChunkBytes: 10 } })
    const sink = new RecordingSink()
    const inner = sink.deliver.bind(sink)
    sink.deliver = (slice) => {
      if (sink.slices.length === 1) sink.follower?.stop()
      return inner(slice)
    }
    await world.follow('a', 0, {}, sink)
    await world.settle()
    expect([sink.slices.length, sink.ended]).toEqual([2, undefined])
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })
})

describe('many readers', () => {
  it('1,000 idle ones use one timer, and set few', async () => {
    const world = await worldWith('abc')
    const sinks: RecordingSink[] = []
    for (let i = 0; i < 1000; i++) {
      sinks.push(await world.follow('a', 'now', { heartbeatMs: 15_000, lifetimeMs: 0 }))
      world.clock.pass(1)
    }
    const before = world.clock.timersSet
    await world.pass(180_000)
    expect(sinks.every(({ heartbeats }) => heartbeats >= 11 && heartbeats <= 13)).toBe(true)
    expect(world.clock.mostTimers).toBe(1)
    expect(world.clock.timersSet - before).toBeLessThan(1200)
    for (const { follower } of sinks) follower?.stop()
    expect(leftovers(world)).toEqual(NOTHING_LEFT)
  })

  it('those at the same place get the same slice', async () => {
    const world = await worldWith('', { synchronous: true })
    const sinks = [await world.follow('a', 0), await world.follow('a', 0), await world.follow('a', 0)]
    await world.done(world.append('a', 'x'))
    await world.done(world.append('a', 'y'))
    expect(sinks.map(({ text }) => text)).toEqual(['xy', 'xy', 'xy'])
    expect(new Set(sinks.map(({ slices }) => slices[1])).size).toBe(1)
    expect(new Set(sinks.map(({ slices }) => slices[2])).size).toBe(1)
  })

  it('those at the same place get the same slice, and the store is read once, where reading takes time', async () => {
    const world = await worldWith()
    const sinks: RecordingSink[] = []
    for (let i = 0; i < 50; i++) sinks.push(await world.follow('a', 0))
    const before = world.storage.readRanges.length
    await world.done(world.append('a', 'x'))
    expect(sinks.every(({ text }) => text === 'x')).toBe(true)
    expect(new Set(sinks.map(({ slices }) => slices.at(-1))).size).toBe(1)
    expect(world.storage.readRanges.length - before).toBe(1)
  })

  it('one that is behind gets slices of its own', async () => {
    const world = await worldWith('abc', { synchronous: true })
    const [behind, ahead] = [await world.follow('a', 1), await world.follow('a', 'now')]
    await world.done(world.append('a', 'd'))
    expect([behind.places, ahead.places]).toEqual([
      [
        [1, 3],
        [3, 4],
      ],
      [
        [3, 3],
        [3, 4],
      ],
    ])
  })

  it('a shared slice is let go with the append after it', async () => {
    const world = await worldWith('', { synchronous: true })
    const sink = await world.follow('a', 0)
    await world.done(world.append('a', 'x'))
    const first = sink.slices.at(-1)
    await world.done(world.append('a', 'y'))
    const read = await world.done(world.read('a', 0))
    expect(read).toMatchObject({ slice: { from: 0, to: 2 } })
    expect(first).toMatchObject({ from: 0, to: 1, state: { tail: 1 } })
  })

  it('those of a stream with a sliding window share slices too', async () => {
    const world = new World({ synchronous: true })
    await world.done(world.create('a', { expiry: ttl(60) }))
    const sinks = [await world.follow('a', 0), await world.follow('a', 0)]
    await world.pass(10_000)
    expect(inShort(await world.done(world.append('a', 'x')))).toBe('appended')
    expect(new Set(sinks.map(({ slices }) => slices.at(-1))).size).toBe(1)
  })
})
